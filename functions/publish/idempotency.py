"""Send what carries an idempotency key once, however often it is asked for, and however its sender was stopped.

The records are Powertools' own, in its DynamoDB layer. One thing differs: Powertools lets an in-progress record that
has expired be written over unseen, and would then send again. Here it is taken over knowingly. Such a record says that
an invocation was killed somewhere between its claim and its result, so that the shop may have acted; what can be sent
twice is sent, what has a natural key (`match`) is looked up, and anything else is answered `unknown`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import STATUS_CONSTANTS, DataRecord
from botocore.exceptions import BotoCoreError, ClientError

from connector.errors import ConnectorError, IdempotencyConflict
from connector.observability import logger
from lightspeed import LightspeedError
from publish.result import Outcome, Result

if TYPE_CHECKING:
    from publish.event import PublishRequest
    from publish.write import WriteOperation

KEPT_SECONDS = 15 * 24 * 3600
"""How long a key is remembered: a day longer than a message can lie in a queue."""

MARGIN_SECONDS = 60
"""How long after its invocation's deadline a claim still stands: the shop may be busy with its last request."""

LONGEST_INVOCATION_SECONDS = 900
_MOST_BYTES = 300_000


class InProgress(IdempotencyConflict):
    """The first call with this key may still be running.

    Attributes:
        retry_after_seconds: Until it surely is not.
    """

    def __init__(self, key: str, retry_after_seconds: float) -> None:
        self.retry_after_seconds = max(1.0, retry_after_seconds)
        super().__init__(f"the first call with idempotency key {key!r:.100} is still running")


@dataclass(frozen=True)
class Claim:
    """The right to send what a key stands for.

    Attributes:
        data: Key and content, as the layer takes them.
        stopped_since: If an earlier holder was stopped, epoch seconds before which it had not begun.
    """

    data: dict[str, Any]
    stopped_since: float | None = None


@dataclass(frozen=True)
class Kept:
    """What was answered to the first call with a key.

    Attributes:
        record: As stored.
        result: The answer.
        age_seconds: How long ago it was stored.
    """

    data: dict[str, Any]
    record: DataRecord
    result: Result
    age_seconds: float


class Idempotency:
    """Keys and the results that they were answered with."""

    def __init__(self, layer: Records, remaining_seconds: Callable[[], float]) -> None:
        """Prepare; nothing is read.

        Args:
            layer: Where the records lie.
            remaining_seconds: How long the invocation may still run.
        """
        self._layer = layer
        self._remaining_seconds = remaining_seconds

    def send(self, publication: WriteOperation, key: str) -> Result:
        """Send a publication, or return the result of the call that used the key first.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
            LightspeedError: As the client raises it; the key is then free again, since the shop did not act.
            ConnectorError: The same.
        """
        begun = self.begin(publication, key)
        if not isinstance(begun, Claim):
            return begun
        return self.finish(begun, lambda: publication.send(stopped_since=begun.stopped_since))

    def begin(self, publication: WriteOperation, key: str) -> Claim | Result:
        """Claim a key, or return the result of the call that used it first, settled if that can be done.

        Raises:
            IdempotencyConflict: The key was used with other content, or its first call is still running.
        """
        claim = self.claim(publication.request, key)
        return claim if isinstance(claim, Claim) else self._settled(publication, claim)

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
        """
        data = {"key": f"{request.connection} {key}", "content": request.content()}
        try:
            self._layer.save_inprogress(data, self._milliseconds())
        except IdempotencyValidationError as error:
            message = f"idempotency key {key!r:.100} was used before with other content; nothing was sent"
            raise IdempotencyConflict(message) from error
        except IdempotencyItemAlreadyExistsError as error:
            before = error.old_data_record
            if before is None:
                raise InProgress(key, MARGIN_SECONDS) from error
        else:
            return Claim(data)
        if before.status == STATUS_CONSTANTS["INPROGRESS"]:
            expiry = float(before.in_progress_expiry_timestamp or 0) / 1000
            if expiry >= time.time():
                raise InProgress(key, expiry - time.time())
            return self._take_over(key, data, before, expiry - MARGIN_SECONDS - LONGEST_INVOCATION_SECONDS)
        age = time.time() - (float(before.expiry_timestamp or 0) - KEPT_SECONDS)
        return Kept(data, before, before.response_json_as_dict() or {}, age)

    def keep(self, claim: Claim, result: Result) -> None:
        """Store the result. The shop has acted: if it cannot be stored, the caller still gets it."""
        try:
            self._layer.save_success(claim.data, _storable(result))
        except (ClientError, BotoCoreError) as error:
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
            self._layer.delete_record(claim.data, LightspeedError("nothing was sent"))
        except (ClientError, BotoCoreError) as error:
            logger().error(
                "an idempotency key could not be freed", extra={"key": claim.data["key"], "error": str(error)}
            )

    def _settled(self, publication: WriteOperation, kept: Kept) -> Result | Claim:
        """Return the first result, what is known by now where that was `unknown`, or the right to send again."""
        if kept.result.get("status") != "unknown" or not publication.request.match_fields:
            return kept.result
        if kept.age_seconds > MARGIN_SECONDS:  # the shop is done with the lost request: whether it acted can be seen
            key = str(kept.data["key"])
            since = time.time() - kept.age_seconds - LONGEST_INVOCATION_SECONDS
            return self._take_over(key, kept.data, kept.record, since)
        result = publication.settle(kept.result)
        if result["status"] != "unknown":
            self.keep(Claim(kept.data), result)
        return result

    def _take_over(self, key: str, data: dict[str, Any], before: DataRecord, since: float) -> Claim:
        try:
            self._layer.take_over(data, before, self._milliseconds())
        except IdempotencyItemAlreadyExistsError as error:
            raise InProgress(key, self._remaining_seconds() + MARGIN_SECONDS) from error
        return Claim(data, stopped_since=since)

    def _milliseconds(self) -> int:
        return int((max(0.0, self._remaining_seconds()) + MARGIN_SECONDS) * 1000)


class Records(DynamoDBPersistenceLayer):
    """Powertools' records; one that is in progress is never written over unless that is meant."""

    _over: DataRecord | None = None

    @classmethod
    def open(cls, table: str, client: Any) -> Records:
        """Return the records of a table; once per client, which Powertools registers itself with.

        Args:
            table: Of Powertools' form: partition key `id`, time to live `expiration`.
            client: Of DynamoDB.
        """
        layer = cls(table, boto3_client=client)
        config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="content",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=KEPT_SECONDS,
        )
        layer.configure(config, key_prefix="publish")
        return layer

    def take_over(self, data: dict[str, Any], before: DataRecord, remaining_milliseconds: int) -> None:
        """Put a new claim in the place of a record, if that is still as it was read.

        Raises:
            IdempotencyItemAlreadyExistsError: Somebody else was faster.
        """
        self._over = before
        try:
            self.save_inprogress(data, remaining_milliseconds)
        finally:
            self._over = None

    def _put_record(self, data_record: DataRecord) -> None:
        item = {
            **self._get_key(data_record.idempotency_key),
            self.expiry_attr: {"N": str(data_record.expiry_timestamp)},
            self.status_attr: {"S": data_record.status},
            self.in_progress_expiry_attr: {"N": str(data_record.in_progress_expiry_timestamp)},
            self.validation_key_attr: {"S": data_record.payload_hash},
        }
        condition, values = self._condition()
        try:
            self.client.put_item(
                TableName=self.table_name,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in _names(condition)},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            found: dict[str, Any] = dict(error.response).get("Item") or {}
            before = self._item_to_data_record(found) if found else None
            if before is not None:
                self._validate_payload(data_record, before)
            raise IdempotencyItemAlreadyExistsError(old_data_record=before) from error

    def _condition(self) -> tuple[str, dict[str, Any]]:
        before = self._over
        if before is None:
            now = {"N": str(int(time.time()))}
            return f"attribute_not_exists(#{self.key_attr}) OR #{self.expiry_attr} < :now", {":now": now}
        if before.status == STATUS_CONSTANTS["INPROGRESS"]:
            expiry = {"N": str(before.in_progress_expiry_timestamp)}
            return (
                f"#{self.status_attr} = :status AND #{self.in_progress_expiry_attr} = :expiry",
                {":status": {"S": before.status}, ":expiry": expiry},
            )
        return (
            f"#{self.status_attr} = :status AND #{self.data_attr} = :data",
            {":status": {"S": before.status}, ":data": {"S": before.response_data}},
        )


def _names(condition: str) -> list[str]:
    return [word.strip("#()") for word in condition.replace("(", " ").replace(")", " ").split() if word.startswith("#")]


def _storable(result: Result) -> Result:
    """Return the result without its record where that is too large for a DynamoDB item."""
    if len(json.dumps(result, ensure_ascii=False).encode()) <= _MOST_BYTES:
        return result
    return {**result, "record": None}
