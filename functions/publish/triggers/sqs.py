"""Messages of the publish queue: each is published or goes back to the queue, and none stops another.

All messages of an invocation are one batch, so that their updates can be joined; Powertools' batch processor hands them
over one by one. Waiting for the shop's quota or for time costs a message nothing. One that is itself wrong goes to the
failure queue at once, if the function knows it: it would be refused as often as it came, a request each time.
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
"""Nothing but the message or its record is wrong. What is wrong with the connection (credentials, permissions, the
language) is mended there, and the message is right then."""


def consume(event: dict[str, Any], publisher: Publisher) -> dict[str, Any]:
    """Publish the messages of a batch; return `{"batchItemFailures": …}`."""
    messages = [Message(record, publisher.deps) for record in event["Records"]]
    found = [_entry(message) for message in messages]
    published = iter(
        Batch(publisher, background=True).run([entry for entry in found if isinstance(entry, IncomingEvent)])
    )
    outcomes = [next(published) if isinstance(entry, IncomingEvent) else entry for entry in found]
    entries = [entry if isinstance(entry, IncomingEvent) else IncomingEvent(None) for entry in found]
    facts = [{"message_id": message.first_id, "attempt": message.receipts} for message in messages]
    publisher.tell(entries, outcomes, facts)
    handled = zip(messages, entries, outcomes, strict=True)
    failures = [message for message, entry, outcome in handled if not _is_done(message, entry, outcome)]
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failures]}


def _entry(message: Message) -> IncomingEvent | RequestError:
    """Return a message as an entry of the batch, or why it cannot be read.

    One whose time cannot be read is not published: as if it were new or had no time, it could undo a newer update.
    """
    try:
        return IncomingEvent(parse_json(message.body, exact=True), key=message.first_id, queued=message.queued)
    except RequestError as error:
        return error
    except ValueError as error:
        return RequestError([f"the message must be a JSON object, a publish event: {error}"])


def _is_done(message: Message, entry: IncomingEvent, outcome: Outcome) -> bool:
    """Whether a message may leave the queue; see to it that one which may not comes again at the right time."""
    if isinstance(outcome, dict):
        if outcome["status"] != "unknown":
            return True
        told: dict[str, Any] = {name: outcome[name] for name in ("detail", "check") if name in outcome}
        logger().error("published with unknown outcome", extra={"message_id": message.first_id, **told})
        return message.is_worn and message.give_up("unknown", str(outcome.get("detail", "")))
    if isinstance(outcome, RateLimited):
        return message.wait(outcome.retry_after_seconds)
    if isinstance(outcome, OutOfTime):
        return message.wait(0)
    name = type(outcome).__name__
    failed = {"message_id": message.first_id, "error": name, "detail": str(outcome)}
    logger().error("publish failed", extra=failed)
    if (message.is_worn or _is_wrong(entry, outcome)) and message.give_up(name, str(outcome)):
        return True
    seconds = getattr(outcome, "retry_after_seconds", None)
    if seconds is not None:
        message.hide(seconds)
    return False


def _is_wrong(entry: IncomingEvent, outcome: Outcome) -> bool:
    """Whether it is the message that is wrong, so that it would be refused again."""
    if isinstance(outcome, NotFound):
        may_pass = isinstance(entry.event, dict) and get_entity(str(entry.event["entity"])).transient_404
        return not (may_pass or isinstance(outcome, UnknownLanguage))
    still_running = hasattr(outcome, "retry_after_seconds")
    return isinstance(outcome, _WRONG_ITSELF) and not still_running
