"""Updates that wait for others: those of one record become one request, and many go out in bulk (see `bulk`).

Of several updates of a record the last value of each field wins. Updates out of a queue are ordered by when they were
queued, over all batches (see `newest`); those of a batch by their place in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from connector.errors import ConnectorError
from lightspeed import ApiError, AuthenticationError, RateLimited, ServerError, UnknownLanguage
from publish.bulk import LIMIT, Bulk, Change, bulk_of
from publish.item import number
from publish.outcome import Outcome, Refusal, attempt, result

if TYPE_CHECKING:
    from publish.invocation import Invocation
    from publish.item import Item
    from publish.newest import Newest, Wishes
    from publish.service import Publication

_MAY_PASS = (RateLimited, ServerError, AuthenticationError, UnknownLanguage)


@dataclass
class _Joined:
    """Updates of one record that go out together.

    Attributes:
        fields: What is sent.
        wishes: The same for what came out of a queue; empty for anything else.
    """

    items: list[Item]
    fields: Mapping[str, Any]
    wishes: Wishes = field(default_factory=dict)

    @property
    def publication(self) -> Publication:
        return self.items[0].publication

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

    def update(self) -> Outcome:
        return attempt(partial(self.publication.update, self.fields))


class Updates:
    """Updates that were not sent yet; `send` sends them and notes their outcomes."""

    def __init__(
        self,
        invocation: Invocation,
        halt: Callable[[Publication], Refusal | None],
        notice: Callable[[Publication, Outcome], None],
        outcomes: dict[int, Outcome],
    ) -> None:
        """Prepare.

        Args:
            invocation: Has idempotency keys and the order of queued updates, if there is a table for them; both are
                dear to open, and only looked at where they are needed.
            halt: Tells why nothing more may be sent.
            notice: Is told of every outcome.
            outcomes: Where outcomes are noted, by position.
        """
        self._invocation = invocation
        self._halt = halt
        self._notice = notice
        self._outcomes = outcomes
        self._waiting: dict[str, list[Item]] = {}
        self._keys: set[str | None] = set()

    def add(self, item: Item) -> None:
        """Let an update wait; when there are enough of them they are sent."""
        if item.key is not None and item.key in self._keys:
            self.send()
        self._keys.add(item.key)
        self._waiting.setdefault(item.record, []).append(item)
        if len(self._waiting) >= LIMIT:
            self.send()

    def concern(self, item: Item) -> bool:
        """Whether an event may concern a record whose update waits, or carries the key of one."""
        request = item.request
        if item.key is not None and item.key in self._keys:
            return True
        if request.action != "bulk" and not request.match_fields:
            return item.record in self._waiting
        others = (other.request for items in self._waiting.values() for other in items)
        return any((o.connection, o.entity) == (request.connection, request.entity) for o in others)

    def send(self) -> None:
        """Send everything that waits."""
        waiting, self._waiting = self._waiting, {}
        self._keys.clear()
        in_bulk: dict[tuple[Bulk, str, str], list[_Joined]] = {}
        for items in waiting.values():
            joined = self._prepared(items)
            if joined is None:
                continue
            if (bulk := joined.bulk) is None:
                self._finish(joined, joined.update())
            else:
                parents = " ".join(map(str, joined.parents.values()))
                in_bulk.setdefault((bulk, joined.publication.request.connection, parents), []).append(joined)
        for (bulk, _, _), together in in_bulk.items():
            self._send_in(bulk, together)

    def _send_in(self, bulk: Bulk, together: list[_Joined]) -> None:
        """Send updates of one connection and parent in a bulk route."""
        first = together[0]
        by_id = {joined.identity: joined for joined in together}
        changes: list[Change] = [(identity, joined.fields) for identity, joined in by_id.items()]
        halt = self._halt(first.publication)
        outcomes: list[Outcome] = [halt] * len(changes) if halt is not None else []
        if halt is None:
            outcomes = bulk.update(first.publication.client, first.parents, changes, partial(_alone, by_id))
        for joined, outcome in zip(by_id.values(), outcomes, strict=True):
            self._finish(joined, outcome)

    def _prepared(self, items: list[Item]) -> _Joined | None:
        """Join the updates of one record; `None` if nothing of them is left to send."""
        halt = self._halt(items[0].publication)
        if halt is not None:
            self._note(items, halt)
            return None
        live = [item for item in items if self._claims(item)]
        if not live:
            return None
        fields = {name: value for item in live for name, value in item.publication.fields.items()}
        newest = None if any(item.entry.queued is None for item in live) else self._invocation.newest
        return _Joined(live, fields) if newest is None else self._ordered(live, newest)

    def _ordered(self, items: list[Item], newest: Newest) -> _Joined | None:
        from publish.newest import Wish  # noqa: PLC0415 - only for what comes out of a queue

        wishes: Wishes = {}
        for item in sorted(items, key=lambda item: (item.entry.queued or 0, item.position)):
            moment, message = item.entry.queued or 0, item.entry.key or ""
            wishes |= {name: Wish(moment, message, value) for name, value in item.publication.fields.items()}
        joined = _Joined(items, {})
        joined.wishes = newest.enter(items[0].record, wishes, joined.messages)
        joined.fields = {name: wish.value for name, wish in joined.wishes.items()}
        if joined.wishes:
            return joined
        identity = items[0].publication.parameters.path.get("id")
        self._note(items, result("unchanged", None, identity, None))
        return None

    def _claims(self, item: Item) -> bool:
        """Claim the item's idempotency key; where it was used before, note the outcome."""
        ordered = item.entry.queued is not None and self._invocation.newest is not None
        key = item.request.idempotency_key or (None if ordered else item.entry.key)
        once = None if key is None else self._invocation.once
        if key is None or once is None or item.claim is not None:
            return True
        from publish.once import Claim  # noqa: PLC0415 - only with a key

        try:
            found = once.claim(item.request, key)
        except ConnectorError as error:
            self._outcomes[item.position] = error
            return False
        if isinstance(found, Claim):
            item.claim = found
            return True
        self._outcomes[item.position] = found.result
        return False

    def _finish(self, joined: _Joined, outcome: Outcome) -> None:
        self._notice(joined.publication, outcome)
        newest = self._invocation.newest if joined.wishes else None
        if newest is not None:
            if isinstance(outcome, dict):
                outcome = self._until_newest(joined, outcome, newest)
            elif _refused(outcome):
                newest.withdraw(joined.items[0].record, joined.wishes, joined.messages)
        if _refused(outcome) and len(joined.items) > 1:
            self._one_by_one(joined)
        else:
            self._note(joined.items, outcome)

    def _one_by_one(self, joined: _Joined) -> None:
        """Send the updates of a record as they came: one of them is bad, and the others shall not suffer."""
        for item in joined.items:
            single = self._prepared([item])
            if single is not None:
                self._finish(single, single.update())

    def _until_newest(self, joined: _Joined, outcome: Outcome, newest: Newest) -> Outcome:
        """Send again what newer messages wanted meanwhile, until the shop has the newest of everything."""
        record, wishes = joined.items[0].record, joined.wishes
        while isinstance(outcome, dict) and (newer := newest.sent(record, wishes, joined.messages)):
            values = {name: wish.value for name, wish in newer.items()}
            outcome = attempt(partial(joined.publication.update, values))
            wishes = {**wishes, **newer}
        return outcome

    def _note(self, items: Iterable[Item], outcome: Outcome) -> None:
        for item in items:
            self._outcomes[item.position] = outcome
            claim, item.claim = item.claim, None
            once = None if claim is None else self._invocation.once
            if claim is not None and once is not None:
                once.end(claim, outcome)


def _alone(by_id: Mapping[object, _Joined], change: Change) -> Outcome:
    return by_id[change[0]].update()


def _refused(outcome: Outcome) -> bool:
    """Whether the shop will not take it, however often it is sent."""
    return isinstance(outcome, ApiError) and not isinstance(outcome, _MAY_PASS)
