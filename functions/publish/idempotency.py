"""Send what carries an idempotency key once, however often it is asked for, and however its sender was stopped.

The records have the form of Powertools' idempotency, in its DynamoDB layer. One rule differs. Powertools executes again
if a record in progress has expired (aws-powertools/powertools-lambda-python #8049). Such a record means that an
invocation was killed between its claim and its result, so the shop may have acted. Here the record is taken over: what
can be repeated is sent again, what has a natural key (`match`) is looked up, and anything else is answered `unknown`.

A claim carries a token. If the answer to a claim is lost and the claim is repeated, the token shows that the record in
the table is the own one.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import STATUS_CONSTANTS

from connector import botocore_errors
from connector.errors import ConnectorError, IdempotencyConflict
from connector.observability import logger
from lightspeed import LightspeedError
from publish.result import Outcome, Result

if TYPE_CHECKING:
    from lightspeed import Clock
    from publish.event import PublishRequest
    from publish.write import WriteOperation

KEPT_SECONDS = 15 * 24 * 3600
"""How long a key is remembered: a day longer than a message can lie in a queue."""

MARGIN_SECONDS = 60
"""How long a claim is valid after its invocation's deadline: the shop may be busy with its last request."""

LONGEST_INVOCATION_SECONDS = 900
_MOST_BYTES = 300_000
_CLAIM_ATTEMPTS = 3
_TOKEN = "token"  # noqa: S105 - the name of an attribute
_IN_PROGRESS = STATUS_CONSTANTS["INPROGRESS"]
_NAME = re.compile(r"#\w+")
_CONDITION_FAILED = "ConditionalCheckFailedException"


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
    """The right to send the request of a key.

    Attributes:
        data: Key and content, as the layer takes them.
        token: Identifies the claim in the table.
        stopped_since: If an earlier holder was stopped, epoch seconds before which it had not begun.
    """

    data: dict[str, Any]
    token: str = ""
    stopped_since: float | None = None


@dataclass(frozen=True)
class Stored:
    """A record of the table, which is a claim or a result.

    Attributes:
        item: The attributes in DynamoDB's form.
    """

    item: dict[str, Any]

    @property
    def in_progress(self) -> bool:
        """Whether it is a claim."""
        return self._text("status") == _IN_PROGRESS

    @property
    def claimed_until(self) -> float:
        """Epoch seconds until which the claim is valid."""
        return float(self.item.get("in_progress_expiration", {}).get("N", 0)) / 1000

    @property
    def expires_at(self) -> float:
        """Epoch seconds."""
        return float(self.item.get("expiration", {}).get("N", 0))

    @property
    def token(self) -> str:
        """The token of the claim; empty for a record of an earlier version."""
        return self._text(_TOKEN)

    @property
    def content_hash(self) -> str:
        """Hash of the event's content."""
        return self._text("validation")

    @property
    def data(self) -> str:
        """The result as JSON text."""
        return self._text("data")

    def _text(self, name: str) -> str:
        return str(self.item.get(name, {}).get("S", ""))


@dataclass(frozen=True)
class Kept:
    """What was answered to the first call with a key.

    Attributes:
        data: Key and content.
        record: As stored.
        result: The answer.
        age_seconds: How long ago it was stored.
    """

    data: dict[str, Any]
    record: Stored
    result: Result
    age_seconds: float


class Idempotency:
    """Keys and the results that they were answered with."""

    def __init__(self, layer: Records, remaining_seconds: Callable[[], float]) -> None:
        """Prepare; nothing is read.

        Args:
            layer: The records; they know the time.
            remaining_seconds: How long the invocation may still run.
        """
        self._layer = layer
        self._remaining_seconds = remaining_seconds

    def send(self, operation: WriteOperation, key: str) -> Result:
        """Send an operation, or return the result of the call that used the key first.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
            LightspeedError: As the client raises it; the key is then free again, since the shop did not act.
            ConnectorError: The same.
        """
        begun = self.begin(operation, key)
        if not isinstance(begun, Claim):
            return begun
        return self.finish(begun, lambda: operation.send(stopped_since=begun.stopped_since))

    def begin(self, operation: WriteOperation, key: str) -> Claim | Result:
        """Claim a key, or return the result of the call that used it first; `unknown` is resolved if possible.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
        """
        claim = self.claim(operation.request, key)
        return claim if isinstance(claim, Claim) else self._settled(operation, claim)

    def finish(self, claim: Claim, send: Callable[[], Result]) -> Result:
        """Send under a claim and keep the result.

        Raises:
            LightspeedError: As the client raises it; the key is then free again, since the shop did not act.
            ConnectorError: The same.
        """
        try:
            result = send()
        except (LightspeedError, ConnectorError):
            self.release(claim)
            raise
        self.keep(claim, result)
        return result

    def claim(self, request: PublishRequest, key: str) -> Claim | Kept:
        """Claim a key for this invocation, or return what it was answered with.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
            ClientError: DynamoDB refuses the claim; the key is free, as far as it can be reached.
            BotoCoreError: The same.
        """
        subject = f"{request.connection} {request.entity}"
        data = {"key": f"{request.connection} {key}", "content": request.content(), "subject": subject}
        claim = Claim(data, secrets.token_hex(16))
        before = self._repeated(claim, lambda: self._layer.claim(data, claim.token, self._seconds()))
        if before is None:
            return claim
        if before.content_hash != self._layer.content_hash(data):
            message = f"idempotency key {key!r:.100} was used before with other content; nothing was sent"
            raise IdempotencyConflict(message)
        now = self._layer.clock.time()
        if before.in_progress:
            until = before.claimed_until
            if until >= now:
                raise InProgress(key, until - now)
            return self._take_over(key, data, before, until - MARGIN_SECONDS - LONGEST_INVOCATION_SECONDS)
        return Kept(data, before, json.loads(before.data or "{}"), now - (before.expires_at - KEPT_SECONDS))

    def keep(self, claim: Claim, result: Result) -> None:
        """Store the result. The shop has acted: if it cannot be stored, the caller still gets it."""
        try:
            self._layer.save_success(claim.data, _storable(result))
        except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:
            facts = {"key": claim.data["key"], "status": result["status"], "error": str(error)}
            logger().error("the result of an idempotency key could not be stored", extra=facts)

    def end(self, claim: Claim, outcome: Outcome) -> None:
        """Keep the result, or free the key of what was refused."""
        if isinstance(outcome, dict):
            self.keep(claim, outcome)
        else:
            self.release(claim)

    def release(self, claim: Claim) -> None:
        """Free a key whose content surely did not reach the shop."""
        try:
            self._layer.free(claim.data, claim.token)
        except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:
            logger().error(
                "an idempotency key could not be freed", extra={"key": claim.data["key"], "error": str(error)}
            )

    def _settled(self, operation: WriteOperation, kept: Kept) -> Result | Claim:
        """Return the first result, what is known by now where that was `unknown`, or the right to send again."""
        if kept.result.get("status") != "unknown" or not operation.request.match_fields:
            return kept.result
        if kept.age_seconds > MARGIN_SECONDS:  # the shop is done with the lost request: whether it acted can be seen
            key = str(kept.data["key"])
            since = self._layer.clock.time() - kept.age_seconds - LONGEST_INVOCATION_SECONDS
            return self._take_over(key, kept.data, kept.record, since)
        result = operation.resolve_unknown(kept.result)
        if result["status"] != "unknown":
            self.keep(Claim(kept.data), result)
        return result

    def _take_over(self, key: str, data: dict[str, Any], before: Stored, since: float) -> Claim:
        claim = Claim(data, secrets.token_hex(16), since)
        rival = self._repeated(claim, lambda: self._layer.take_over(data, claim.token, self._seconds(), before))
        if rival is not None:
            raise InProgress(key, self._seconds())
        return claim

    def _repeated(self, claim: Claim, put: Callable[[], Stored | None]) -> Stored | None:
        """Put a claim, again if its answer is lost; return the record that is there instead, if it is another's."""
        for left in range(_CLAIM_ATTEMPTS - 1, -1, -1):
            try:
                found = put()
            except (botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:
                if left and _may_have_written(error):
                    continue
                if claim.stopped_since is None and _may_have_written(error):
                    self.release(claim)
                raise
            break
        return None if found is not None and found.token == claim.token else found

    def _seconds(self) -> float:
        return max(0.0, self._remaining_seconds()) + MARGIN_SECONDS


class Records(DynamoDBPersistenceLayer):
    """Powertools' records; one that is in progress is never replaced unless that is meant."""

    clock: Clock

    @classmethod
    def open(cls, table: str, client: Any, clock: Clock) -> Records:
        """Return the records of a table; once per client, which Powertools registers itself with.

        Args:
            table: Of Powertools' form: partition key `id`, time to live `expiration`.
            client: Of DynamoDB.
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

    def claim(self, data: dict[str, Any], token: str, seconds: float) -> Stored | None:
        """Put a claim for so many seconds; return the record that is there already, if there is one."""
        condition = f"attribute_not_exists(#{self.key_attr}) OR #{self.expiry_attr} < :now"
        return self._put(data, token, seconds, condition, {":now": {"N": str(int(self.clock.time()))}})

    def take_over(self, data: dict[str, Any], token: str, seconds: float, before: Stored) -> Stored | None:
        """Put a claim in the place of a record; return the record that is there, if it is another one by now."""
        compared = self.in_progress_expiry_attr if before.in_progress else self.data_attr
        condition = f"#{self.status_attr} = :status AND #{compared} = :before"
        values = {":status": before.item[self.status_attr], ":before": before.item[compared]}
        return self._put(data, token, seconds, condition, values)

    def free(self, data: dict[str, Any], token: str) -> None:
        """Delete a claim, unless it was taken over."""
        try:
            self.client.delete_item(
                TableName=self.table_name,
                Key=self._get_key(str(self._get_hashed_idempotency_key(data))),
                ConditionExpression=f"#{_TOKEN} = :token",
                ExpressionAttributeNames={f"#{_TOKEN}": _TOKEN},
                ExpressionAttributeValues={":token": {"S": token}},
            )
        except botocore_errors.ClientError as error:
            if error.response["Error"]["Code"] != _CONDITION_FAILED:
                raise

    def _put(
        self, data: dict[str, Any], token: str, seconds: float, condition: str, values: dict[str, Any]
    ) -> Stored | None:
        item = {
            **self._get_key(str(self._get_hashed_idempotency_key(data))),
            self.expiry_attr: {"N": str(self._get_expiry_timestamp())},
            self.status_attr: {"S": _IN_PROGRESS},
            self.in_progress_expiry_attr: {"N": str(int((self.clock.time() + seconds) * 1000))},
            self.validation_key_attr: {"S": self.content_hash(data)},
            _TOKEN: {"S": token},
            "subject": {"S": data["subject"]},
        }
        try:
            self.client.put_item(
                TableName=self.table_name,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames={name: name[1:] for name in _NAME.findall(condition)},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except botocore_errors.ClientError as error:
            if error.response["Error"]["Code"] != _CONDITION_FAILED:
                raise
            return Stored(dict(error.response).get("Item") or {})
        return None

    def _get_expiry_timestamp(self) -> int:
        return int(self.clock.time()) + KEPT_SECONDS


def _may_have_written(error: Exception) -> bool:
    """Return whether DynamoDB may have done what it answered this error to."""
    if isinstance(error, botocore_errors.ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return not isinstance(error, (botocore_errors.EndpointConnectionError, botocore_errors.ConnectTimeoutError))


def _storable(result: Result) -> Result:
    """Return the result without its record where that is too large for a DynamoDB item."""
    if len(json.dumps(result, ensure_ascii=False).encode()) <= _MOST_BYTES:
        return result
    return {**result, "record": None}
