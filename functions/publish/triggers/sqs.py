"""Messages of the publish queue: each is published or goes back to the queue, and none stops another.

All messages of an invocation are one batch, so that their updates can be merged. Waiting for the shop's quota, for time
or for another writer does not wear a message out. A message that is wrong itself goes to the failure queue at once:
the shop would refuse it every time, a request each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.errors import IdempotencyConflict, OutOfTime, RequestError, TransformError
from connector.observability import logger
from connector.validation import parse_json
from lightspeed import CatalogueError, InvalidRequest, NotFound, RateLimited, UnknownLanguage, get_entity
from publish.batch.batch import Batch
from publish.batch.item import IncomingEvent
from publish.result import Outcome
from publish.triggers.message import Message

if TYPE_CHECKING:
    from publish.publisher import Publisher

_WRONG_ITSELF = (CatalogueError, RequestError, TransformError, IdempotencyConflict, InvalidRequest, NotFound)
"""Only the message or its record is wrong. An error of the connection (credentials, permissions, language) is corrected
there, and the message is right then."""


def consume(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Publish the messages of a batch; return `{"batchItemFailures": …}`."""
    messages = [Message(record, publisher.deps) for record in event["Records"]]
    found = [_incoming(message) for message in messages]
    batch = Batch(publisher, background=True)
    published = iter(batch.run([one for one in found if isinstance(one, IncomingEvent)]))
    outcomes = [next(published) if isinstance(one, IncomingEvent) else one for one in found]
    events = [one if isinstance(one, IncomingEvent) else IncomingEvent(None) for one in found]
    facts = [{"message_id": message.first_id, "attempt": message.receives} for message in messages]
    publisher.tell(events, outcomes, facts)
    handled = zip(messages, events, outcomes, strict=True)
    failures = [message for message, incoming, outcome in handled if not _is_done(message, incoming, outcome)]
    # Lambda takes an empty id for the failure of the whole batch
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failures if message.id]}


def _incoming(message: Message) -> IncomingEvent | RequestError:
    """Return a message as an event of the batch, or why it cannot be read.

    A message whose time cannot be read is not published, because it could undo a newer update.
    """
    try:
        event, moment = parse_json(message.body, exact=True), message.moment
        return IncomingEvent(event, message.first_id, moment) if message.first_id else IncomingEvent(event)
    except RequestError as error:
        return error
    except ValueError as error:
        return RequestError([f"the message must be a JSON object, a publish event: {error}"])


def _is_done(message: Message, incoming: IncomingEvent, outcome: Outcome) -> bool:
    """Whether a message may leave the queue; one that may not is delivered again at the right time."""
    if isinstance(outcome, dict):
        if outcome["status"] != "unknown":
            return True
        told: dict[str, Any] = {name: outcome[name] for name in ("detail", "check") if name in outcome}
        logger().error("published with unknown outcome", extra={"message_id": message.first_id, **told})
        return message.is_exhausted and message.dead_letter("unknown", str(outcome.get("detail", "")))
    seconds = getattr(outcome, "retry_after_seconds", None)
    if isinstance(outcome, RateLimited | OutOfTime):
        return message.postpone(seconds or 0)
    name = type(outcome).__name__
    failed = {"message_id": message.first_id, "error": name, "detail": str(outcome)}
    logger().error("publish failed", extra=failed)
    give_up = message.is_exhausted or not message.id or _is_wrong(incoming, outcome)
    if give_up and message.dead_letter(name, str(outcome)):
        return True
    if seconds is not None:
        message.set_visibility(seconds)
    return False


def _is_wrong(incoming: IncomingEvent, outcome: Outcome) -> bool:
    """Whether the message itself is wrong, so that it would be refused again."""
    if isinstance(outcome, NotFound):
        event = incoming.event
        may_pass = isinstance(event, dict) and get_entity(str(event["entity"])).transient_404
        return not (may_pass or isinstance(outcome, UnknownLanguage))
    still_running = hasattr(outcome, "retry_after_seconds")
    return isinstance(outcome, _WRONG_ITSELF) and not still_running
