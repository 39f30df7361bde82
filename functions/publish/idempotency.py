"""Idempotency keys: a request with a key is sent once, even if it is repeated or its sender is killed.

The items of the table have the form of Powertools' idempotency records. One rule differs. Powertools executes again if
a record in progress has expired (aws-powertools/powertools-lambda-python #8049). Such a record means that an invocation
was killed between its claim and its result, so the shop may have acted. Here another invocation takes the record over.
It sends a repeatable request again, looks up the record of a natural key (`match`), and answers `unknown` to any other.

A claim is repeated if DynamoDB's answer is lost. Its token shows that the item in the table belongs to this claim.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from connector.aws import botocore_errors
from connector.aws.conditional_items import delete_item, put_item
from connector.aws.errors import aws_error_types
from connector.errors import IdempotencyConflict
from connector.observability import logger
from lightspeed.numbers import dumps, loads
from publish.event import KEPT_SECONDS
from publish.result import Outcome, Result

if TYPE_CHECKING:
    from lightspeed import Clock
    from publish.event import PublishRequest

MARGIN_SECONDS = 60
"""How long a claim is valid after its invocation's deadline, because the shop may still work on the last request."""

_LONGEST_INVOCATION_SECONDS = 900
"""Lambda's limit: an invocation began at most this long before its deadline."""

_MAX_BYTES = 300_000
"""The largest stored result; a DynamoDB item has at most 400 KB."""

_CLAIM_ATTEMPTS = 3
_IN_PROGRESS = "INPROGRESS"

_Item = Mapping[str, Mapping[str, str]]
"""An item of the table, a claim or a result, in DynamoDB's form."""


class InProgress(IdempotencyConflict):
    """The first call with this key may still be running.

    Attributes:
        retry_after_seconds: How long that call's claim is still valid, at least 1.
    """

    def __init__(self, key: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = max(1.0, retry_after_seconds)
        super().__init__(f"the first call with idempotency key {key!r:.100} is still running")


@dataclass(frozen=True)
class Claim:
    """The right to send the request of an idempotency key, or the result of the call that used the key first.

    Attributes:
        key: Connection and key.
        content_hash: Hash of the event's content.
        token: Identifies the claim in the table.
        begun_after: Epoch seconds; an earlier holder, whose outcome is not known, began later. `None` without one.
        earlier_result: The result of the call that used the key first; `None` if the request may be sent.
    """

    key: str
    content_hash: str
    token: str
    begun_after: float | None = None
    earlier_result: Result | None = None

    @property
    def id(self) -> dict[str, str]:
        """The id of the item, in DynamoDB's form."""
        return {"S": f"publish#{_hash(self.key)}"}


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Idempotency keys and their results.

    Attributes:
        table: The name of a table of Powertools' form: partition key `id`, time to live `expiration`.
        client: The DynamoDB client.
        clock: Time for expirations.
    """

    table: str
    client: Any
    clock: Clock

    def claim(self, request: PublishRequest, key: str, remaining_seconds: float) -> Claim:
        """Claim a key, or return the result of the call that used it first.

        If the result of a create with `match` is `unknown`, its key can be claimed again after `MARGIN_SECONDS`. The
        shop is done with the lost request then, so a look-up shows what the shop did.

        Args:
            request: The checked event.
            key: The key, unique per connection.
            remaining_seconds: How long the invocation may still run. The claim is valid for `MARGIN_SECONDS` more.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
            ClientError: DynamoDB refuses the claim. A new claim that may be stored is deleted, if that is possible.
            BotoCoreError: The same.
        """
        claim = Claim(f"{request.connection} {key}", _hash(request.content()), secrets.token_hex(16))
        now, seconds = self.clock.time(), remaining_seconds + MARGIN_SECONDS
        item = {
            "id": claim.id,
            "expiration": _number(now + KEPT_SECONDS),
            "status": {"S": _IN_PROGRESS},
            "in_progress_expiration": _number((now + seconds) * 1000),
            "validation": {"S": claim.content_hash},
            "token": {"S": claim.token},
            "subject": {"S": f"{request.connection} {request.entity}"},
        }
        unused = "attribute_not_exists(#id) OR #expiration < :now"
        stored = self._put(claim, item, unused, {":now": _number(now)})
        if stored is None:
            return claim
        if _text(stored, "validation") != claim.content_hash:
            message = f"idempotency key {key!r:.100} was used before with other content; nothing was sent"
            raise IdempotencyConflict(message)
        if _text(stored, "status") == _IN_PROGRESS:
            claimed_until = int(stored["in_progress_expiration"]["N"]) / 1000
            if claimed_until >= now:
                raise InProgress(key, claimed_until - now)
            unchanged = "in_progress_expiration"
            begun_after = claimed_until - MARGIN_SECONDS - _LONGEST_INVOCATION_SECONDS
        else:
            stored_at = int(stored["expiration"]["N"]) - KEPT_SECONDS
            result: Result = loads(_text(stored, "data") or "{}")
            can_be_looked_up = result.get("status") == "unknown" and request.match_fields
            if not can_be_looked_up or now - stored_at <= MARGIN_SECONDS:
                return replace(claim, earlier_result=result)
            unchanged = "data"
            begun_after = stored_at - _LONGEST_INVOCATION_SECONDS
        # take the stored item over, unless another invocation has just done that
        claim = replace(claim, begun_after=begun_after)
        values = {":status": stored["status"], ":before": stored[unchanged]}
        if self._put(claim, item, f"#status = :status AND #{unchanged} = :before", values) is not None:
            raise InProgress(key, seconds)
        return claim

    def complete(self, claim: Claim, outcome: Outcome) -> None:
        """Store a result, or free the key of a request that the shop did not act on.

        An error of DynamoDB is logged: the shop has acted, so the caller still gets the outcome.
        """
        if isinstance(outcome, dict):
            with _log_errors(claim):
                self._store(claim, outcome)
        else:
            self._free(claim)

    def _free(self, claim: Claim) -> None:
        """Delete a claim, unless another call has taken it over; an error of DynamoDB is logged."""
        with _log_errors(claim):
            delete_item(self.client, self.table, {"id": claim.id}, "#token = :token", {":token": {"S": claim.token}})

    def _store(self, claim: Claim, result: Result) -> None:
        """Store a result in place of a claim, without the record if the result is too large for an item."""
        text = dumps(result)
        if len(text) > _MAX_BYTES:
            text = dumps({**result, "record": None})
        values = {
            "data": {"S": text.decode()},
            "expiration": _number(self.clock.time() + KEPT_SECONDS),
            "status": {"S": "COMPLETED"},
            "validation": {"S": claim.content_hash},
        }
        self.client.update_item(
            TableName=self.table,
            Key={"id": claim.id},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def _put(self, claim: Claim, item: _Item, condition: str, values: _Item) -> _Item | None:
        """Put a claim; repeat that if the answer is lost. Return the item of another claim if it is in the way."""
        for attempts_left in reversed(range(_CLAIM_ATTEMPTS)):
            try:
                stored = put_item(self.client, self.table, item, condition, values)
                break
            except aws_error_types() as error:
                if not _may_have_written(error):
                    raise
                if not attempts_left:
                    # a claim that was taken over stays: without its item, the earlier request would be sent again
                    if claim.begun_after is None:
                        self._free(claim)
                    raise
        return None if stored is not None and _text(stored, "token") == claim.token else stored


@contextmanager
def _log_errors(claim: Claim) -> Iterator[None]:
    """Log an error of DynamoDB in the `with` block; do not raise it."""
    try:
        yield
    except aws_error_types() as error:
        facts = {"key": claim.key, "error": str(error)}
        logger().error("the outcome of an idempotency key could not be stored", extra=facts)


def _hash(value: object) -> str:
    """Return Powertools' hash of a JSON value."""
    return hashlib.md5(json.dumps(value, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _number(value: float) -> dict[str, str]:
    return {"N": str(int(value))}


def _text(item: _Item, name: str) -> str:
    """Return an attribute; empty if an earlier version stored the item without it."""
    return item.get(name, {}).get("S", "")


def _may_have_written(error: Exception) -> bool:
    """Whether DynamoDB may have written the item in spite of an error."""
    if isinstance(error, botocore_errors.ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return not isinstance(error, (botocore_errors.EndpointConnectionError, botocore_errors.ConnectTimeoutError))
