"""Let the newest message win, field by field: a queue delivers twice, out of order, and anew after a consumer's death.

For every record that a queued update names, one item of the table keeps by field when the message was queued that set
it last (`m.`), which message that was (`w.`), the value (`v.`), and the same of the last message whose value the shop
surely had (`b.`, `a.`, `c.`). Beside the fields stand the messages that may have a request on its way
(`messages_sending`) and those that are done (`messages_done`, until a newer one comes): of two messages that were
queued in the same millisecond the one wins that arrives last, but not by being delivered again.

A message first enters its fields; those for which a newer message is known are left out. After the shop has answered it
takes itself out of `messages_sending`, unless another message entered in the meantime: then that one's value is sent
once more, since nobody can say whose request the shop handled last. What the shop refuses is withdrawn, by whoever sent
it; what the shop had before is the newest again. A message that comes again while it still stands in `messages_sending`
was stopped halfway; whatever it left behind is written over with the newest values.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

KEPT_SECONDS = 15 * 24 * 3600
"""A day longer than a message can lie in a queue."""

_MOST_BYTES = 100_000
_REFUSED = "ConditionalCheckFailedException"


@dataclass(frozen=True)
class FieldWrite:
    """What a field shall be, and since when.

    Attributes:
        moment: When its message was queued, epoch milliseconds.
        message: Its id, the same whenever it is delivered.
    """

    moment: int
    message: str
    value: Any


Wishes = dict[str, FieldWrite]
"""By field."""

_Known = Mapping[str, Any]


class FieldVersions:
    """What the newest messages want, by record."""

    def __init__(self, table: str, client: Any) -> None:
        """Prepare; nothing is read.

        Args:
            table: With partition key `id` and time to live `expiration`.
            client: Of DynamoDB.
        """
        self._table = table
        self._client = client

    def enter(self, record: str, wishes: Wishes, messages: Collection[str]) -> Wishes:
        """Enter what messages want; return what is to be sent, which may be what another message wants.

        Args:
            record: Names the record, whatever the characters.
            wishes: By field, the newest of these messages.
            messages: Ids of all of them.
        """
        if _too_large(wishes):
            return wishes
        values = _values(wishes, messages, kept=True)
        newer = _each(wishes, lambda n: f"(attribute_not_exists(#m{n}) OR #m{n} < :m{n})")
        change = f"SET {_entered(wishes)}, expiration = :kept REMOVE messages_done ADD messages_sending :messages"
        done, known = self._update(record, change, wishes, values, newer)
        if done:
            return wishes
        return self._enter_among(record, wishes, messages, known)

    def sent(self, record: str, wishes: Wishes, own: Wishes, messages: Collection[str]) -> Wishes:
        """Note that the shop has these values; return other ones to send again, which are then to be noted as well.

        Args:
            record: Names the record.
            wishes: What the shop has.
            own: What these messages want themselves. It is entered again where something older stands there now, or
                nothing: then what had been newer was refused, and withdrawn by whoever else sent it.
            messages: Ids of all of them.
        """
        if _too_large(wishes):
            return {}
        still = _each(wishes, lambda n: f"#w{n} = :w{n}")
        changes = ", ".join(f"#a{n} = :w{n}, #b{n} = :m{n}, #c{n} = :v{n}" for n in range(len(wishes)))
        change = f"SET {changes} ADD messages_done :messages DELETE messages_sending :messages"
        done, known = self._update(record, change, wishes, _values(wishes, messages), still)
        if done:
            return {}
        latest = {name: wish for name in wishes if (wish := _latest(known, name)) is not None}
        if any(name not in latest or latest[name].moment < own[name].moment for name in wishes):
            return self._enter_among(record, own, messages, known)
        return {name: wish for name, wish in latest.items() if wish.message != wishes[name].message}

    def withdraw(self, record: str, wishes: Wishes, messages: Collection[str]) -> None:
        """Forget what the shop refused, so that it does not stand in the way of older messages.

        Args:
            record: Names the record.
            wishes: What was refused, whoever wanted it.
            messages: Ids of those that have no request on its way any more.
        """
        if _too_large(wishes):
            return
        if messages:
            self._update(record, "DELETE messages_sending :messages", {}, _values({}, messages))
        for name, wish in wishes.items():
            values = _values({name: wish}, messages)
            before = "SET #m0 = #b0, #w0 = #a0, #v0 = #c0"
            done, _ = self._update(record, before, {name: wish}, values, "#w0 = :w0 AND attribute_exists(#b0)")
            if not done:
                self._update(record, "REMOVE #m0, #w0, #v0, #a0", {name: wish}, values, "#w0 = :w0")

    def _enter_among(self, record: str, wishes: Wishes, messages: Collection[str], known: _Known) -> Wishes:
        """Enter wishes beside others that are as new or newer, or that were entered before."""
        while True:
            again = _has(known, "messages_sending", messages)
            entered = again or _has(known, "messages_done", messages)
            winning = {name: wish for name, wish in wishes.items() if _wins(known, name, wish, entered=entered)}
            latest = {name: winning.get(name) or _latest(known, name) or wish for name, wish in wishes.items()}
            due = {name: wish for name, wish in latest.items() if again or _applied(known, name) != wish.message}
            values = _values(winning, messages, kept=True)
            place = "messages_sending" if due else "messages_done"
            new = f"{_entered(winning)}, " if winning else ""
            change = f"SET {new}expiration = :kept ADD {place} :messages"
            unmoved = " AND ".join(_unmoved(known, name, n, values) for n, name in enumerate(winning))
            done, known = self._update(record, change, winning, values, unmoved)
            if done:
                return due

    def _update(
        self, record: str, change: str, fields: Wishes, values: dict[str, Any], condition: str = ""
    ) -> tuple[bool, _Known]:
        """Change the record's item; return whether the condition held, and the item as it was before."""
        text = f"{change} {condition}"
        names = {f"#{part}{n}": f"{part}.{name}" for n, name in enumerate(fields) for part in "mwvabc"}
        asked: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        used = {short: name for short, name in names.items() if short in text}
        if used:
            asked["ExpressionAttributeNames"] = used
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": f"newest#{hashlib.sha256(record.encode()).hexdigest()}"}},
                UpdateExpression=change,
                ExpressionAttributeValues={short: value for short, value in values.items() if short in text},
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **asked,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != _REFUSED:
                raise
            return False, dict(error.response).get("Item") or {}
        return True, answer.get("Attributes") or {}


def _entered(wishes: Wishes) -> str:
    return ", ".join(f"#m{n} = :m{n}, #w{n} = :w{n}, #v{n} = :v{n}" for n in range(len(wishes)))


def _each(wishes: Wishes, condition: Callable[[int], str]) -> str:
    return " AND ".join(condition(n) for n in range(len(wishes)))


def _unmoved(known: _Known, name: str, number: int, values: dict[str, Any]) -> str:
    """Return the condition that nobody has set a field since it was looked at."""
    latest = _latest(known, name)
    if latest is None:
        return f"attribute_not_exists(#w{number})"
    values[f":k{number}"] = {"S": latest.message}
    return f"#w{number} = :k{number}"


def _wins(known: _Known, name: str, wish: FieldWrite, *, entered: bool) -> bool:
    latest = _latest(known, name)
    if latest is None or wish.moment > latest.moment:
        return True
    return wish.moment == latest.moment and wish.message != latest.message and not entered


def _latest(known: _Known, name: str) -> FieldWrite | None:
    if f"w.{name}" not in known:
        return None
    moment, message, value = (known[f"{part}.{name}"] for part in "mwv")
    return FieldWrite(int(moment["N"]), message["S"], json.loads(value["S"]))


def _applied(known: _Known, name: str) -> str | None:
    found: str | None = known.get(f"a.{name}", {}).get("S")
    return found


def _has(known: _Known, name: str, messages: Collection[str]) -> bool:
    return not set(messages).isdisjoint(known.get(name, {}).get("SS", ()))


def _values(wishes: Wishes, messages: Collection[str], *, kept: bool = False) -> dict[str, Any]:
    values: dict[str, Any] = {":messages": {"SS": sorted(messages)}}
    if kept:
        values[":kept"] = {"N": str(int(time.time()) + KEPT_SECONDS)}
    for n, wish in enumerate(wishes.values()):
        values[f":m{n}"] = {"N": str(wish.moment)}
        values |= {f":w{n}": {"S": wish.message}, f":v{n}": {"S": json.dumps(wish.value)}}
    return values


def _too_large(wishes: Wishes) -> bool:
    return len(json.dumps({name: wish.value for name, wish in wishes.items()}).encode()) > _MOST_BYTES
