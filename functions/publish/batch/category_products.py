"""Creates that put a product into categories: those of one product become one request, `categories/products/bulk`.

Only creates with `match` on category and product are joined, for only a look-up can tell what became of each: one
client has seen the route answer 2xx with `errors` for categories that it left out, and nobody says what a refused
request leaves behind. So the product's places are listed first, the absent ones are asked for in one request, and
those that its answer does not show are looked for again. One that is there was created. One that is absent after a
complete answer was surely not: it is created by itself, and gets the shop's own answer. One that is absent after a lost
answer is `unknown`.

Claims are held from before the first look until each result is kept, as for a single create: whoever takes them over
from an invocation that was killed looks first as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lightspeed import PAGE_LIMIT, InvalidRequest, LightspeedError, NotFound, Parameters, UnknownLanguage
from lightspeed.response import parse, parse_record
from lightspeed.writing.ambiguous import may_have_acted
from lightspeed.writing.diff import identities
from publish.batch.bulk import LIMIT
from publish.batch.guard import BatchContext
from publish.batch.item import number
from publish.result import REFUSALS, Outcome, Refusal, Result, attempt, result

if TYPE_CHECKING:
    from publish.batch.item import PreparedWrite
    from publish.write import WriteOperation

_ENTITY = "categories/products"
_ENDS = {"category", "product"}
_ORDERED = (_ENTITY, "categories", "products")
"""Entities whose creates, deletes and actions keep their place among the creates that wait."""

_Items = Mapping[str, "PreparedWrite"]
"""By category."""

_Rows = dict[str, Any]
"""By category, the rows of one product."""


class CategoryProducts:
    """Creates that were not sent yet; `send` sends them and notes their outcomes."""

    def __init__(self, course: BatchContext) -> None:
        """Prepare; nothing waits yet."""
        self._course = course
        self._waiting: dict[tuple[str, str, str], PreparedWrite] = {}

    @staticmethod
    def take(item: PreparedWrite) -> bool:
        """Whether an event may be joined with others: anything but the two ends does not fit into the request."""
        request, publication = item.request, item.publication
        asked = (request.entity, request.action, request.dry_run) == (_ENTITY, "create", False)
        if not asked or publication.built.query or set(request.match_fields) != _ENDS:
            return False
        return set(publication.fields) == _ENDS and all(number(end) is not None for end in publication.fields.values())

    def add(self, item: PreparedWrite) -> None:
        """Let a create wait; when there are enough of them they are sent."""
        ends = item.publication.fields
        place = (item.request.connection, str(ends["product"]), str(ends["category"]))
        if place in self._waiting or self._has(item.key):
            self.send()
        self._waiting[place] = item
        if len(self._waiting) >= LIMIT:
            self.send()

    def concern(self, item: PreparedWrite) -> bool:
        """Whether an event must keep its place among those that wait, or carries the key of one."""
        ordered = item.request.entity in _ORDERED and item.request.action != "update"
        return (ordered and bool(self._waiting)) or self._has(item.key)

    def send(self) -> None:
        """Send everything that waits."""
        waiting, self._waiting = self._waiting, {}
        products: dict[tuple[str, str], dict[str, PreparedWrite]] = {}
        for (connection, product, category), item in waiting.items():
            products.setdefault((connection, product), {})[category] = item
        for items in products.values():
            self._send_product(items)

    def _has(self, key: str | None) -> bool:
        return key is not None and any(item.key == key for item in self._waiting.values())

    def _send_product(self, items: _Items) -> None:
        live = {category: item for category, item in items.items() if self._begin(item)}
        outcomes = attempt(partial(self._together, live))
        for category, item in live.items():
            if isinstance(outcomes, Mapping):
                self._note(item, outcomes[category])
            else:  # unforeseen: the claim stays, since nobody knows how far it came
                self._course.outcomes[item.position] = outcomes

    def _begin(self, item: PreparedWrite) -> bool:
        """Claim the item's idempotency key; where it may not be sent, note the outcome."""
        key = item.request.idempotency_key or item.entry.key
        halt = self._course.halt(item.publication)
        once = None if key is None or halt is not None else self._course.publisher.once
        begun = halt if key is None or once is None else attempt(partial(once.begin, item.publication, key))
        if isinstance(begun, dict | Refusal):
            self._course.outcomes[item.position] = begun
            return False
        item.claim = begun
        return True

    def _together(self, items: _Items) -> dict[str, Outcome]:
        """Create what is absent; return one outcome for each category."""
        if len(items) < 2:
            return {category: self._alone(item) for category, item in items.items()}
        try:
            present = _look(_first(items))
        except REFUSALS as error:
            return dict.fromkeys(items, error)
        if present is None:
            return {category: self._alone(item) for category, item in items.items()}
        outcomes: dict[str, Outcome] = {
            category: result("unchanged", 200, present[category].get("id"), present[category])
            for category in items
            if category in present
        }
        absent = {category: item for category, item in items.items() if category not in present}
        if len(absent) < 2:
            return outcomes | {category: self._alone(item, absent=True) for category, item in absent.items()}
        return outcomes | self._create(absent)

    def _create(self, items: _Items) -> dict[str, Outcome]:
        """Ask for several places at once; return one outcome each."""
        first = _first(items)
        client, since = first.client, self._course.publisher.deps.clock.time() + first.client.transport.skew_seconds
        payload = {"categories": [int(category) for category in items], "product": int(first.fields["product"])}
        built = client.build(_ENTITY, "bulk", Parameters(payload=payload))
        why_unknown, status, request_id = "", None, ""
        rows: _Rows = {}
        try:
            written = client.write(built)
        except REFUSALS as error:
            if isinstance(error, LightspeedError) and may_have_acted(built, error):
                why_unknown = str(error)
            elif not isinstance(error, InvalidRequest | NotFound) or isinstance(error, UnknownLanguage):
                return dict.fromkeys(items, error)
        else:
            status, request_id = written.http_status, written.request_id
            rows = _by_category(parse(written.record) if written.record is not None else None, first)
        if not set(items) <= set(rows):
            seen = attempt(partial(_look, first))
            if isinstance(seen, dict):
                rows = seen | rows
            else:
                why_unknown = why_unknown or f"it could not be looked for: {seen or 'its product has too many'}"
        outcomes: dict[str, Outcome] = {}
        for category, item in items.items():
            if category in rows:
                row = rows[category]
                outcomes[category] = result("created", status, row.get("id"), row, request_id)
            elif why_unknown:
                outcomes[category] = item.publication.lost(why_unknown, since=since)
            else:
                outcomes[category] = self._alone(item, absent=True)
        return outcomes

    def _alone(self, item: PreparedWrite, *, absent: bool = False) -> Outcome:
        """Create one by itself; the claim is then used up.

        Args:
            item: The create.
            absent: It was looked for and is not there.
        """
        halt = self._course.halt(item.publication)
        if halt is not None:
            return halt
        claim, once = item.claim, self._course.publisher.once if item.claim else None
        since = None if claim is None else claim.stopped_since
        send: Callable[[], Result] = partial(item.publication.send, stopped_since=since)
        send = item.publication.create if absent else send
        outcome = attempt(send if claim is None or once is None else partial(once.finish, claim, send))
        item.claim = None
        self._course.notice(item.publication, outcome)
        return outcome

    def _note(self, item: PreparedWrite, outcome: Outcome) -> None:
        self._course.outcomes[item.position] = outcome
        self._course.notice(item.publication, outcome)
        claim, item.claim = item.claim, None
        once = None if claim is None else self._course.publisher.once
        if claim is not None and once is not None:
            once.end(claim, outcome)


def _first(items: _Items) -> WriteOperation:
    return next(iter(items.values())).publication


def _look(publication: WriteOperation) -> _Rows | None:
    """Return where the product is by now, or `None` if the list does not tell: it is full, or a place is in it twice.

    Raises:
        LightspeedError: As the client raises it.
    """
    query = {"product": publication.fields["product"], "limit": PAGE_LIMIT}
    page = publication.client.page(publication.client.build(_ENTITY, "list", Parameters(query=query)))
    rows = [parse_record(text) for text in page.records]
    found = _by_category(rows, publication)
    others = sum(_end(row, "product") != str(publication.fields["product"]) for row in rows)
    return found if len(rows) < PAGE_LIMIT and len(found) + others == len(rows) else None


def _by_category(found: object, publication: WriteOperation) -> _Rows:
    """Return those rows of an answer that are places of the product; one without an id, or with an error, is none."""
    product = str(publication.fields["product"])
    rows = [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, Mapping)]
    there = [row for row in rows if row.get("id") is not None and "error" not in row]
    return {_end(row, "category"): row for row in there if _end(row, "product") == product}


def _end(row: Mapping[str, Any], name: str) -> str:
    end = row.get(name)
    ids = identities(end) if isinstance(end, Mapping) else [end]
    return str(ids[0]) if ids else ""
