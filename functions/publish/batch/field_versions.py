"""Let the newest message win, field by field, although a queue delivers twice, out of order, and again after a kill.

The table keeps one item for each record that a queued update or a line of a file names. For every field the item holds
the newest accepted write: its queue time, the ids of its messages, and its value. It also holds the ids of messages in
flight. A batch holds the writer lease (see `writer_lease`), so no other batch interferes with these steps:

1. The batch reads the item and drops fields that are older than the stored ones.
2. It stores its messages as in flight, then sends.
3. It stores the values that the shop accepted, and removes the messages with a final outcome.

If a message arrives while it is in flight, its first invocation was interrupted. That request may have reached the shop
after a newer one. So the batch repairs the record: it sends the newest stored values of these fields again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from connector.aws import botocore_errors
from connector.chunks import batches, chunks
from connector.errors import OutOfTime
from lightspeed import Clock
from lightspeed.numbers import dumps, loads
from publish.event import KEPT_SECONDS

_MAX_ITEM_BYTES = 300_000
_MAX_TRANSACTION_BYTES = 3_500_000
_MAX_ITEMS = 100
"""DynamoDB takes 400 KB in an item, 4 MB in a transaction, and 100 items in a call."""

_NO_VALUE = object()


@dataclass(frozen=True)
class FieldWrite:
    """The newest accepted write of a field.

    Attributes:
        queued_at: When its message was queued or its file uploaded, epoch milliseconds. Fractions order the lines.
        messages: The ids of the accepted messages of this time, in the order of acceptance.
        value: The sent value; absent if the item would be too large.
    """

    queued_at: Decimal
    messages: tuple[str, ...]
    value: Any = _NO_VALUE

    @property
    def has_value(self) -> bool:
        """Whether the value is stored."""
        return self.value is not _NO_VALUE


@dataclass(frozen=True)
class RecordVersions:
    """The stored field versions of one record.

    Attributes:
        fields: Newest accepted writes, by field.
        in_flight: The ids of messages without a final outcome.
        revision: Grows by 1 with every write of the item; 0 if there is no item.
    """

    fields: Mapping[str, FieldWrite] = field(default_factory=dict)
    in_flight: frozenset[str] = frozenset()
    revision: int = 0

    def accepts(self, name: str, queued_at: Decimal, message: str) -> bool:
        """Whether a message's value of a field is newer than the stored one.

        If two messages have the same time, the later arrival wins. A second delivery does not count as an arrival.
        """
        known = self.fields.get(name)
        if known is None or queued_at > known.queued_at:
            return True
        return queued_at == known.queued_at and message not in known.messages

    def newer(self, fields: Mapping[str, Any], queued_at: Decimal, message: str) -> dict[str, Any]:
        """Return the fields of a message that are newer than the stored ones."""
        return {name: value for name, value in fields.items() if self.accepts(name, queued_at, message)}

    def values_to_repair(self, messages: Collection[str], names: Iterable[str]) -> dict[str, Any]:
        """Return the stored values of the named fields if one of the messages is in flight, else nothing."""
        if self.in_flight.isdisjoint(messages):
            return {}
        known = {name: self.fields[name] for name in names if name in self.fields}
        return {name: found.value for name, found in known.items() if found.has_value}

    def with_in_flight(self, messages: Collection[str]) -> RecordVersions:
        """Return a copy with more messages in flight."""
        return replace(self, in_flight=self.in_flight | set(messages))

    def with_accepted(self, fields: Mapping[str, Any], queued_at: Decimal, message: str) -> RecordVersions:
        """Return a copy with a message's values as the newest."""
        known = dict(self.fields)
        for name, value in fields.items():
            same = known[name].messages if name in known and known[name].queued_at == queued_at else ()
            known[name] = FieldWrite(queued_at, (*same, message), value)
        return replace(self, fields=known)

    def without_in_flight(self, messages: Collection[str]) -> RecordVersions:
        """Return a copy without these messages in flight."""
        return replace(self, in_flight=self.in_flight - set(messages))


@dataclass(frozen=True, slots=True)
class FieldVersions:
    """The items of records in the table.

    Attributes:
        table: The name of a table with partition key `id` and time to live `expiration`.
        client: The DynamoDB client.
        clock: Time for the expiration.
    """

    table: str
    client: Any
    clock: Clock

    def read(self, record_keys: Sequence[str]) -> dict[str, RecordVersions]:
        """Return the versions of each record, by `PreparedWrite.record_key`; empty ones for a record without an item.

        Raises:
            ClientError: DynamoDB refused the call, or returned no item.
        """
        names = {_id(key): key for key in record_keys}
        versions = {key: RecordVersions() for key in record_keys}
        for ids in chunks(list(names), _MAX_ITEMS):
            keys = [{"id": {"S": name}} for name in ids]
            while keys:
                asked = {self.table: {"Keys": keys, "ConsistentRead": True}}
                answer = self.client.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(self.table, []):
                    versions[names[item["id"]["S"]]] = _decode(item)
                left = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
                if len(left) == len(keys):
                    code = {"Code": "ThrottlingException", "Message": "no item was returned"}
                    raise botocore_errors.ClientError({"Error": code}, "BatchGetItem")
                keys = left
        return versions

    def write(self, versions: Mapping[str, RecordVersions]) -> dict[str, RecordVersions]:
        """Store versions, by record key; return them with their new revisions.

        Raises:
            OutOfTime: Another batch has written an item since this one read it: this batch lost its lease.
            ClientError: DynamoDB refused the call.
        """
        rows = ((key, record.revision, _encode(record)) for key, record in versions.items())
        for group in batches(rows, lambda row: len(row[2]), most=_MAX_ITEMS, most_bytes=_MAX_TRANSACTION_BYTES):
            self._transact([self._put(*row) for row in group])
        return {key: replace(record, revision=record.revision + 1) for key, record in versions.items()}

    def _put(self, record_key: str, revision: int, text: str) -> dict[str, Any]:
        item = {
            "id": {"S": _id(record_key)},
            "revision": {"N": str(revision + 1)},
            "versions": {"S": text},
            "subject": {"S": record_key},
            "expiration": {"N": str(int(self.clock.time()) + KEPT_SECONDS)},
        }
        put: dict[str, Any] = {"TableName": self.table, "Item": item}
        if not revision:
            return {"Put": {**put, "ConditionExpression": "attribute_not_exists(revision)"}}
        values = {":revision": {"N": str(revision)}}
        return {"Put": {**put, "ConditionExpression": "revision = :revision", "ExpressionAttributeValues": values}}

    def _transact(self, puts: list[dict[str, Any]]) -> None:
        try:
            self.client.transact_write_items(TransactItems=puts)
        except botocore_errors.ClientError as error:
            reasons = dict(error.response).get("CancellationReasons", [])
            if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                raise OutOfTime("another batch writes to this shop: the lease of this one is over") from error
            raise


def _id(record_key: str) -> str:
    return f"newest#{hashlib.sha256(record_key.encode()).hexdigest()}"


def _encode(found: RecordVersions) -> str:
    """Return the text of a record's item, without values if it would be too large. `on_their_way` is `in_flight`."""
    whole = {
        name: [str(one.queued_at), list(one.messages), *([one.value] if one.has_value else [])]
        for name, one in found.fields.items()
    }
    text = dumps({"fields": whole, "on_their_way": sorted(found.in_flight)})
    if len(text) > _MAX_ITEM_BYTES:
        short = {name: entry[:2] for name, entry in whole.items()}
        text = dumps({"fields": short, "on_their_way": sorted(found.in_flight)})
    return text.decode()


def _decode(item: Mapping[str, Any]) -> RecordVersions:
    stored = loads(item["versions"]["S"]) if "versions" in item else {"fields": {}, "on_their_way": []}
    fields = {
        name: FieldWrite(Decimal(queued_at), tuple(messages), *value)
        for name, (queued_at, messages, *value) in stored["fields"].items()
    }
    in_flight = frozenset((*stored["on_their_way"], *item.get("messages_sending", {}).get("SS", ())))
    for name, known in _first_format(item).items():
        if name not in fields or fields[name].queued_at < known.queued_at:
            fields[name] = known
    return RecordVersions(fields, in_flight, int(item.get("revision", {"N": "0"})["N"]))


def _first_format(item: Mapping[str, Any]) -> dict[str, FieldWrite]:
    """Return the fields of an item of the first format.

    Each field has three attributes: `m.<name>` (queue time), `w.<name>` (message id) and `v.<name>` (value).
    """
    done = item.get("messages_done", {}).get("SS", [])
    return {
        name[2:]: FieldWrite(
            Decimal(item[f"m.{name[2:]}"]["N"]),
            (*(message for message in done if message != found["S"]), found["S"]),
            loads(item[f"v.{name[2:]}"]["S"]),
        )
        for name, found in item.items()
        if name.startswith("w.")
    }
