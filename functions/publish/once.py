"""Send what carries an idempotency key once, however often it is asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)

from connector.errors import IdempotencyConflict

if TYPE_CHECKING:
    from publish.app import Wiring
    from publish.request import PublishRequest
    from publish.service import Publication

KEPT_SECONDS = 15 * 24 * 3600
"""How long a key is remembered: a day longer than a message can lie in a queue."""


def send_once(
    publication: Publication, request: PublishRequest, key: str, held: Wiring, context: Any
) -> dict[str, Any]:
    """Send the publication, or return the result of the call that used the key first.

    Raises:
        IdempotencyConflict: The key was used with other content, or its first call is still running.
    """
    layer, config = _store(held)
    config.register_lambda_context(context)
    send = idempotent_function(
        _send, data_keyword_argument="call", persistence_store=layer, config=config, key_prefix="publish"
    )
    try:
        result: dict[str, Any] = send(
            publication, call={"key": f"{request.connection} {key}", "content": request.content()}
        )
    except IdempotencyValidationError as error:
        message = f"idempotency key {key!r} was used before with other content; nothing was sent"
        raise IdempotencyConflict(message) from error
    except IdempotencyAlreadyInProgressError as error:
        raise IdempotencyConflict(f"the first call with idempotency key {key!r} is still running") from error
    return result


def _send(publication: Publication, *, call: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - what is compared
    return publication.send()


@functools.cache
def _store(held: Wiring) -> tuple[DynamoDBPersistenceLayer, IdempotencyConfig]:
    layer = DynamoDBPersistenceLayer(held.settings.idempotency_table, boto3_client=held.aws.client("dynamodb"))
    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="content",
        raise_on_no_idempotency_key=True,
        expires_after_seconds=KEPT_SECONDS,
    )
    return layer, config
