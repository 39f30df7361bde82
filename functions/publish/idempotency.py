"""Idempotency keys: a request with a key is sent once, even if it is repeated or its sender is killed.

The records have the form of Powertools' idempotency, in its DynamoDB layer. One rule differs. Powertools executes again
if a record in progress has expired (aws-powertools/powertools-lambda-python #8049). Such a record means that an
invocation was killed between its claim and its result, so the shop may have acted. Here the record is taken over: what
can be repeated is sent again, what has a natural key (`match`) is looked up, and anything else is answered `unknown`.

A claim carries a token. The answer to a claim can be lost, and the claim is then repeated. The token shows that the
record in the table belongs to this invocation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import STATUS_CONSTANTS, DataRecord

from connector import botocore_errors
from connector.aws_errors import aws_error_types
from connector.conditional_items import delete_item, put_item
from connector.errors import IdempotencyConflict
from connector.observability import logger
from lightspeed.numbers import dumps, loads
from publish.event import KEPT_SECONDS
from publish.result import Outcome, Result

if TYPE_CHECKING:
    from lightspeed import Clock
    from publish.event import PublishRequest

MARGIN_SECONDS = 60
"""How long a claim is valid after its invocation's deadline: the shop may be busy with its last request."""

_LONGEST_INVOCATION_SECONDS = 900
"""Lambda's limit: an invocation began at most so long before its deadline."""

_MOST_BYTES = 300_000
"""Of a stored result; a DynamoDB item has at most 400 KB."""

_CLAIM_ATTEMPTS = 3
_TOKEN = "token"  # noqa: S105 - the name of an attribute
_IN_PROGRESS = STATUS_CONSTANTS["INPROGRESS"]


class InProgress(IdempotencyConflict):
    """The first call with this key may still be running.

    Attributes:
        retry_after_seconds: How long the claim of that call is valid, at least 1.
    """

    def __init__(self, key: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = max(1.0, retry_after_seconds)
        super().__init__(f"the first call with idempotency key {key!r:.100} is still running")


@dataclass(frozen=True)
class Claim:
    """What an invocation gets for an idempotency key: the right to send the request, or the result of the first call.

    Attributes:
        data: Key and content, as Powertools takes them.
        token: Identifies the claim in the table; empty with a result, which needs no claim.
        stopped_since: If an earlier holder was stopped, epoch seconds before which it had not begun.
        result: The result of the call that used the key first; `None` if the request may be sent.
    """

    data: dict[str, Any]
    token: str = ""
    stopped_since: float | None = None
    result: Result | None = None


@dataclass(frozen=True)
class StoredRecord:
    """A record of the table, which is a claim or a result.

    Attributes:
        item: The attributes in DynamoDB's form.
    """

    item: dict[str, Any]

    @property
    def in_progress(self) -> bool:
        """Whether it is a claim."""
        return self.text("status") == _IN_PROGRESS

    @property
    def claimed_until(self) -> float:
        """Epoch seconds until which the claim is valid."""
        return float(self.item.get("in_progress_expiration", {}).get("N", 0)) / 1000

    @property
    def stored_at(self) -> float:
        """Epoch seconds when the record was stored."""
        return float(self.item.get("expiration", {}).get("N", 0)) - KEPT_SECONDS

    def text(self, name: str) -> str:
        """Return an attribute; empty if an earlier version stored the record without it."""
        return str(self.item.get(name, {}).get("S", ""))


class Idempotency:
    """Keys and the results that they were answered with."""

    def __init__(self, table: str, client: Any, clock: Clock) -> None:
        """Prepare; nothing is read.

        Args:
            table: Has Powertools' form: partition key `id`, time to live `expiration`.
            client: The DynamoDB client.
            clock: Time for expirations.
        """
        self._records = _Records.open(table, client, clock)
        self._clock = clock

    def claim(self, request: PublishRequest, key: str, remaining_seconds: float) -> Claim:
        """Claim a key, or return the result of the call that used it first.

        The key of a create with `match` whose result is `unknown` is claimed again once the shop is done with the lost
        request: a look-up then shows what the shop did.

        Args:
            request: The checked event.
            key: The key, unique per connection.
            remaining_seconds: How long the invocation may still run. The claim is valid for `MARGIN_SECONDS` more.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
            ClientError: DynamoDB refuses the claim. A new claim that may be stored is deleted, if that is possible.
            BotoCoreError: The same.
        """
        subject = f"{request.connection} {request.entity}"
        data = {"key": f"{request.connection} {key}", "content": request.content(), "subject": subject}
        seconds = max(0.0, remaining_seconds) + MARGIN_SECONDS
        claim = Claim(data, secrets.token_hex(16))
        stored = self._put_claim(claim, lambda: self._records.claim(data, claim.token, seconds))
        if stored is None:
            return claim
        if stored.text("validation") != self._records.content_hash(data):
            message = f"idempotency key {key!r:.100} was used before with other content; nothing was sent"
            raise IdempotencyConflict(message)
        now = self._clock.time()
        if stored.in_progress:
            if stored.claimed_until >= now:
                raise InProgress(key, stored.claimed_until - now)
            begun_after = stored.claimed_until - MARGIN_SECONDS - _LONGEST_INVOCATION_SECONDS
        else:
            result: Result = loads(stored.text("data") or "{}")
            can_be_looked_up = result.get("status") == "unknown" and request.match_fields
            if not can_be_looked_up or now - stored.stored_at <= MARGIN_SECONDS:
                return Claim(data, result=result)
            begun_after = stored.stored_at - _LONGEST_INVOCATION_SECONDS
        claim = Claim(data, secrets.token_hex(16), begun_after)
        rival = self._put_claim(claim, lambda: self._records.take_over(data, claim.token, seconds, stored))
        if rival is not None:
            raise InProgress(key, seconds)
        return claim

    def complete(self, claim: Claim, outcome: Outcome) -> None:
        """Store a result, or free the key of a request that the shop did not act on.

        An error of DynamoDB is logged: the shop has acted, so the caller still gets the outcome.
        """
        if not isinstance(outcome, dict):
            self._free(claim)
            return
        try:
            self._records.save_result(claim.data, _stored_text(outcome))
        except aws_error_types() as error:
            facts = {"key": claim.data["key"], "status": outcome["status"], "error": str(error)}
            logger().error("the result of an idempotency key could not be stored", extra=facts)

    def _free(self, claim: Claim) -> None:
        try:
            self._records.free(claim.data, claim.token)
        except aws_error_types() as error:
            facts = {"key": claim.data["key"], "error": str(error)}
            logger().error("an idempotency key could not be freed", extra=facts)

    def _put_claim(self, claim: Claim, put: Callable[[], StoredRecord | None]) -> StoredRecord | None:
        """Put a claim, again if its answer is lost; return the record that is there instead, if it is another's."""
        for left in range(_CLAIM_ATTEMPTS - 1, -1, -1):
            try:
                found = put()
                break
            except aws_error_types() as error:
                if not _may_have_written(error):
                    raise
                if not left:
                    # without the record of an earlier call, its request would be sent a second time
                    if claim.stopped_since is None:
                        self._free(claim)
                    raise
        return None if found is not None and found.text(_TOKEN) == claim.token else found


class _Records(DynamoDBPersistenceLayer):
    """Powertools' records, with one rule more: only `take_over` replaces a record in progress."""

    clock: Clock

    @classmethod
    def open(cls, table: str, client: Any, clock: Clock) -> _Records:
        """Return the records of a table; once per client, which Powertools registers itself with.

        Args:
            table: A table in Powertools' form: partition key `id`, time to live `expiration`.
            client: The DynamoDB client.
            clock: The time.
        """
        layer = cls(table, boto3_client=client)
        config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="content",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=KEPT_SECONDS,
        )
        layer.configure(config, key_prefix="publish")
        layer.clock = clock
        return layer

    def content_hash(self, data: dict[str, Any]) -> str:
        """Return the hash of an event's content."""
        return str(self._get_hashed_payload(data))

    def claim(self, data: dict[str, Any], token: str, seconds: float) -> StoredRecord | None:
        """Put a claim for so many seconds; return the record that is there already, if there is one."""
        condition = f"attribute_not_exists(#{self.key_attr}) OR #{self.expiry_attr} < :now"
        return self._put(data, token, seconds, condition, {":now": {"N": str(int(self.clock.time()))}})

    def take_over(self, data: dict[str, Any], token: str, seconds: float, before: StoredRecord) -> StoredRecord | None:
        """Put a claim in the place of a record; return the record that is there, if it is another one by now."""
        compared = self.in_progress_expiry_attr if before.in_progress else self.data_attr
        condition = f"#{self.status_attr} = :status AND #{compared} = :before"
        values = {":status": before.item[self.status_attr], ":before": before.item[compared]}
        return self._put(data, token, seconds, condition, values)

    def save_result(self, data: dict[str, Any], text: str) -> None:
        """Store the JSON text of a result in place of a claim; the numbers in it stay as they are."""
        self._update_record(
            DataRecord(
                idempotency_key=str(self._get_hashed_idempotency_key(data)),
                status=STATUS_CONSTANTS["COMPLETED"],
                expiry_timestamp=self._get_expiry_timestamp(),
                response_data=text,
                payload_hash=self.content_hash(data),
            )
        )

    def free(self, data: dict[str, Any], token: str) -> None:
        """Delete a claim, unless it was taken over."""
        key = self._get_key(str(self._get_hashed_idempotency_key(data)))
        delete_item(self.client, self.table_name, key, f"#{_TOKEN} = :token", {":token": {"S": token}})

    def _put(
        self, data: dict[str, Any], token: str, seconds: float, condition: str, values: dict[str, Any]
    ) -> StoredRecord | None:
        item = {
            **self._get_key(str(self._get_hashed_idempotency_key(data))),
            self.expiry_attr: {"N": str(self._get_expiry_timestamp())},
            self.status_attr: {"S": _IN_PROGRESS},
            self.in_progress_expiry_attr: {"N": str(int((self.clock.time() + seconds) * 1000))},
            self.validation_key_attr: {"S": self.content_hash(data)},
            _TOKEN: {"S": token},
            "subject": {"S": data["subject"]},
        }
        found = put_item(self.client, self.table_name, item, condition, values)
        return None if found is None else StoredRecord(found)

    def _get_expiry_timestamp(self) -> int:
        return int(self.clock.time()) + KEPT_SECONDS


def _may_have_written(error: Exception) -> bool:
    """Whether DynamoDB may have written the item although it answered with an error, or not at all."""
    if isinstance(error, botocore_errors.ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return not isinstance(error, (botocore_errors.EndpointConnectionError, botocore_errors.ConnectTimeoutError))


def _stored_text(result: Result) -> str:
    """Return the JSON text of a result, without its record where that is too large for a DynamoDB item."""
    text = dumps(result)
    return (text if len(text) <= _MOST_BYTES else dumps({**result, "record": None})).decode()
