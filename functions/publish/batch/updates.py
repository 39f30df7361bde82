"""Updates that wait for others: those of one record become one request, and many go out in bulk (see `bulk`).

Of several updates of a record the last value of each field wins. Updates out of a queue are ordered by when they were
queued, over all batches (see `newest`); those of a batch by their place in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lightspeed import ApiError, AuthenticationError, RateLimited, ServerError, UnknownLanguage
from lightspeed.writing.natural_key import concerns_key
from publish.batch.bulk import LIMIT, Bulk, Change, bulk_of
from publish.batch.guard import BatchContext
from publish.batch.item import number
from publish.result import Outcome, Refusal, attempt, result

if TYPE_CHECKING:
    from publish.batch.field_versions import FieldVersions, Wishes
    from publish.batch.item import PreparedWrite
    from publish.write import WriteOperation

_MAY_PASS = (RateLimited, ServerError, AuthenticationError, UnknownLanguage)


@dataclass
class _Joined:
    """Updates of one record that go out together.

    Attributes:
        fields: What is sent next.
        own: What its messages want; empty for what did not come out of a queue, like `wishes`.
        wishes: What the shop shall have of the same fields when all is sent; some of it may be what others want.
    """

    items: list[PreparedWrite]
    fields: Mapping[str, Any]
    own: Wishes = field(default_factory=dict)
    wishes: Wishes = field(default_factory=dict)

    @property
    def publication(self) -> WriteOperation:
        return self.items[0].publication

    @property
    def record(self) -> str:
        return self.items[0].record

    @property
    def messages(self) -> list[str]:
        return [item.entry.key or "" for item in self.items]

    @property
    def bulk(self) -> Bulk | None:
        """The bulk route that it may go out in; none for a connection that asks for another verb."""
        publication = self.publication
        return bulk_of(publication.request.entity, self.fields) if publication.built.method == "PUT" else None

    @property
    def parents(self) -> dict[str, object]:
        """The path of the record, without its id."""
        path = self.publication.parameters.path
        return {name: path[name] for name in self.publication.request.endpoint.parents}

    @property
    def identity(self) -> object:
        """The record's id as a number where it is one: a bulk entry takes it so."""
        text = str(self.publication.parameters.path.get("id"))
        found = number(text)
        return text if found is None else found

    def carried(self, messages: Collection[str] | None = None) -> Wishes:
        """Return what is sent next of what these messages want, or any."""
        return {
            n: w for n, w in self.wishes.items() if n in self.fields and (messages is None or w.message in messages)
        }

    def update(self, fields: Mapping[str, Any]) -> Outcome:
        return attempt(partial(self.publication.update, fields))


class Updates:
    """Updates that were not sent yet; `send` sends them and notes their outcomes."""

    def __init__(self, course: BatchContext) -> None:
        """Prepare; nothing waits yet."""
        self._course = course
        self._waiting: dict[str, list[PreparedWrite]] = {}
        self._keys: set[str | None] = set()
        self._names: dict[tuple[str, str], set[str]] = {}

    def add(self, item: PreparedWrite) -> None:
        """Let an update wait; when there are enough of them they are sent."""
        if item.key is not None and item.key in self._keys:
            self.send()
        self._keys.add(item.key)
        self._waiting.setdefault(item.record, []).append(item)
        place = item.request.connection, item.request.entity
        self._names.setdefault(place, set()).update(item.publication.fields)
        if len(self._waiting) >= LIMIT:
            self.send()

    def concern(self, item: PreparedWrite) -> bool:
        """Whether an event may concern a record whose update waits, or carries the key of one."""
        request = item.request
        if item.key is not None and item.key in self._keys:
            return True
        if request.action != "bulk" and not request.match_fields:
            return item.record in self._waiting
        names = self._names.get((request.connection, request.entity))
        if names is None or not item.may_update:
            return names is not None
        return concerns_key(names, request.match_fields)

    def send(self) -> None:
        """Send everything that waits."""
        waiting, self._waiting = self._waiting, {}
        self._keys.clear()
        self._names.clear()
        in_bulk: dict[tuple[Bulk, str, str], list[_Joined]] = {}
        for items in waiting.values():
            joined = self._prepared(items)
            if joined is None:
                continue
            if (bulk := joined.bulk) is None:
                self._send_in(None, [joined])
            else:
                parents = " ".join(map(str, joined.parents.values()))
                in_bulk.setdefault((bulk, joined.publication.request.connection, parents), []).append(joined)
        for (bulk, _, _), together in in_bulk.items():
            self._send_in(bulk, together)

    def _send_in(self, bulk: Bulk | None, together: list[_Joined]) -> None:
        """Send updates of one connection and parent in a bulk route, or each by itself if there is none for them.

        What newer messages wanted meanwhile is sent likewise, and so on until the shop has the newest of everything.
        """
        while together:
            outcomes = self._outcomes_in(bulk, together)
            overtaken = []
            for joined, outcome in zip(together, outcomes, strict=True):
                self._course.notice(joined.publication, outcome)
                more = attempt(partial(self._has_more, joined, outcome))
                if isinstance(more, Refusal):  # it is not known to be done, and can be sent again
                    self._note(joined.items, more)
                elif more:
                    overtaken.append(joined)
            together = overtaken

    def _has_more(self, joined: _Joined, outcome: Outcome) -> bool:
        """Note what became of it, unless other values are to be sent now; return whether they are."""
        overtaken = self._is_overtaken(joined, outcome)
        if not overtaken:
            self._end(joined, outcome)
        return overtaken

    def _outcomes_in(self, bulk: Bulk | None, together: list[_Joined]) -> list[Outcome]:
        first = together[0].publication
        halt = self._course.halt(first)
        if halt is not None:
            return [halt] * len(together)
        if bulk is None:
            return [joined.update(joined.fields) for joined in together]
        by_id = {joined.identity: joined for joined in together}
        changes: list[Change] = [(identity, joined.fields) for identity, joined in by_id.items()]
        found = attempt(partial(bulk.update, first.client, together[0].parents, changes, partial(_alone, by_id)))
        return [found] * len(together) if isinstance(found, Refusal) else found

    def _prepared(self, items: list[PreparedWrite]) -> _Joined | None:
        """Join the updates of one record; `None` if nothing of them is left to send."""
        halt = self._course.halt(items[0].publication)
        if halt is not None:
            self._note(items, halt)
            return None
        live = [item for item in items if self._claims(item)]
        if not live:
            return None
        fields = {name: value for item in live for name, value in item.publication.fields.items()}
        newest = None if any(item.entry.queued is None for item in live) else self._course.publisher.newest
        return _Joined(live, fields) if newest is None else self._ordered(live, newest)

    def _ordered(self, items: list[PreparedWrite], newest: FieldVersions) -> _Joined | None:
        from publish.batch.field_versions import FieldWrite  # noqa: PLC0415 - only for what comes out of a queue

        wishes: Wishes = {}
        for item in sorted(items, key=lambda item: (item.entry.queued or 0, item.position)):
            moment, message = item.entry.queued or 0, item.entry.key or ""
            wishes |= {name: FieldWrite(moment, message, value) for name, value in item.publication.fields.items()}
        joined = _Joined(items, {}, wishes)
        entered = attempt(partial(newest.enter, joined.record, wishes, joined.messages))
        if isinstance(entered, Refusal):
            self._note(items, entered)
            return None
        joined.wishes = entered
        joined.fields = _fields(joined.wishes)
        if joined.wishes:
            return joined
        identity = items[0].publication.parameters.path.get("id")
        self._note(items, result("unchanged", None, identity, None))
        return None

    def _claims(self, item: PreparedWrite) -> bool:
        """Claim the item's idempotency key; where it was used before, note the outcome."""
        ordered = item.entry.queued is not None and self._course.publisher.newest is not None
        key = item.request.idempotency_key or (None if ordered else item.entry.key)
        once = None if key is None else self._course.publisher.once
        if key is None or once is None or item.claim is not None:
            return True
        from publish.idempotency import Claim  # noqa: PLC0415 - only with a key

        found = attempt(partial(once.claim, item.request, key))
        if isinstance(found, Claim):
            item.claim = found
            return True
        self._course.outcomes[item.position] = found if isinstance(found, Refusal) else found.result
        return False

    def _is_overtaken(self, joined: _Joined, outcome: Outcome) -> bool:
        """Note what the shop took; return whether other values are to be sent now, and let them be the next."""
        newest = self._course.publisher.newest if joined.wishes and isinstance(outcome, dict) else None
        other = newest.sent(joined.record, joined.wishes, joined.own, joined.messages) if newest is not None else {}
        if other:
            joined.wishes = {**joined.wishes, **other}
            joined.fields = _fields(other)
        return bool(other)

    def _end(self, joined: _Joined, outcome: Outcome) -> None:
        newest = self._course.publisher.newest if joined.wishes else None
        if not _refused(outcome):
            self._note(joined.items, outcome)
        elif len(joined.items) > 1:
            if newest is not None:
                newest.withdraw(joined.record, joined.carried(joined.messages), joined.messages)
            self._one_by_one(joined)
        elif newest is not None:
            self._apart(joined, outcome, newest)
        else:
            self._note(joined.items, outcome)

    def _one_by_one(self, joined: _Joined) -> None:
        """Send the updates of a record as they came: one of them is bad, and the others shall not suffer."""
        for item in joined.items:
            single = self._prepared([item])
            if single is not None:
                self._send_in(None, [single])

    def _apart(self, joined: _Joined, refusal: Outcome, newest: FieldVersions) -> None:
        """Find out whose values the shop refused: a message does not suffer for those of others that it carried.

        Every turn ends here or withdraws what another message wanted, so that it does not go round for ever.
        """
        (message,) = joined.messages
        carried = joined.carried()
        senders = list(dict.fromkeys(wish.message for wish in carried.values()))
        outcomes: dict[str, Outcome] = {}
        for sender in senders:
            values = joined.carried([sender])
            outcome = refusal if len(senders) == 1 else self._alone_or_halted(joined, values)
            if _refused(outcome):
                newest.withdraw(joined.record, values, [message] if sender == message else [])
            outcomes[sender] = outcome
        failures = [outcome for outcome in outcomes.values() if not isinstance(outcome, dict)]
        final = outcomes[message] if _refused(outcomes.get(message)) else _first_passing(failures)
        if final is not None:
            self._note(joined.items, final)
        elif failures:
            self._one_by_one(joined)
        elif self._is_overtaken(joined, outcomes[senders[-1]]):
            self._send_in(None, [joined])
        else:
            self._note(joined.items, outcomes[senders[-1]])

    def _alone_or_halted(self, joined: _Joined, wishes: Wishes) -> Outcome:
        outcome = self._course.halt(joined.publication) or joined.update(_fields(wishes))
        self._course.notice(joined.publication, outcome)
        return outcome

    def _note(self, items: Iterable[PreparedWrite], outcome: Outcome) -> None:
        for item in items:
            self._course.outcomes[item.position] = outcome
            claim, item.claim = item.claim, None
            once = None if claim is None else self._course.publisher.once
            if claim is not None and once is not None:
                once.end(claim, outcome)


def _alone(by_id: Mapping[object, _Joined], change: Change) -> Outcome:
    identity, fields = change
    return by_id[identity].update(fields)


def _fields(wishes: Wishes) -> dict[str, Any]:
    return {name: wish.value for name, wish in wishes.items()}


def _first_passing(failures: Iterable[Outcome]) -> Outcome | None:
    """Return the first failure after which a message is to be tried again."""
    return next((failure for failure in failures if not _refused(failure)), None)


def _refused(outcome: Outcome | None) -> bool:
    """Whether the shop will not take it, however often it is sent."""
    return isinstance(outcome, ApiError) and not isinstance(outcome, _MAY_PASS)
