"""Plan a batch without sending anything: where its order matters, and what can be sent together.

Updates, upserts and placements wait until the end of their segment, so that many go out in one request. Other writes
are sent first, in order. A segment ends before a write that would overtake a waiting one it depends on.
"""

from __future__ import annotations

import enum
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from connector.chunks import chunks
from lightspeed.writing.natural_key import concerns_key

if TYPE_CHECKING:
    from decimal import Decimal

    from publish.event import PublishRequest
    from publish.idempotency import Claim
    from publish.write import WriteOperation

_Item = TypeVar("_Item")

MAX_RECORDS = 100
"""Records in one request. The shop's own limit is not known; a larger request that it refuses is split."""

PLACEMENT = "categories/products"
"""The entity of a product's place in a category."""

_ID = re.compile("0|[1-9][0-9]{0,18}")
_PLACEMENT_FIELDS = frozenset(("category", "product"))

_PLACEMENT_ORDER = (PLACEMENT, "categories", "products")
"""Creates, deletes and actions of these entities keep their order with placements."""


class Kind(enum.Enum):
    """How a batch sends a write."""

    UPDATE = enum.auto()
    """Merged with other updates of its record."""
    PLACEMENT = enum.auto()
    """Puts a product into a category; sent with the other placements of its product."""
    UPSERT = enum.auto()
    """A create that becomes an update if its record exists."""
    OTHER = enum.auto()
    """Sent alone."""


@dataclass(frozen=True)
class BulkRoute:
    """A bulk route that takes updates: action `bulk` of an entity, a list of records with their ids.

    Attributes:
        entity: Catalogue name.
        prefixes: Of the field names that the route is known to take; other updates are sent alone.
        must_show_values: Whether an update is done only if its row shows every value that was sent. Otherwise a row
            may leave values out, and an answer without any row confirms all updates.
    """

    entity: str
    prefixes: tuple[str, ...]
    must_show_values: bool = False


BULK_ROUTES = (
    BulkRoute("variants", ("stock", "price", "oldPrice")),
    BulkRoute("products/attributes", ("value",), must_show_values=True),
)
"""`variants/bulk` is known from clients that push stock and prices through it. Of the attributes of a product, only the
route and its envelope are known, so its answer must show the values."""


def bulk_route(entity: str, fields: Mapping[str, object]) -> BulkRoute | None:
    """Return the bulk route that an update may be sent through, or `None`."""
    for route in BULK_ROUTES:
        if entity == route.entity and fields and all(name.startswith(route.prefixes) for name in fields):
            return route
    return None


def canonical_id(identity: object) -> int | None:
    """Return an id as a number if it is written as the shop writes one, else `None`."""
    text = str(identity)
    return int(text) if _ID.fullmatch(text) else None


@dataclass(frozen=True)
class PreparedWrite:
    """A checked event, ready to be sent.

    Attributes:
        position: Its place in the batch.
        operation: What is sent.
        message_id: The id of the message or line that it came in; empty if a caller waits.
        queued_at: When it was queued, epoch milliseconds; `None` if a caller waits or that is not known.
        claim: Its idempotency key, once that is claimed.
        upsert: The upsert that this update comes from, if a list that was read earlier named its record.
    """

    position: int
    operation: WriteOperation
    message_id: str = ""
    queued_at: Decimal | None = None
    claim: Claim | None = None
    upsert: PreparedWrite | None = None

    @property
    def request(self) -> PublishRequest:
        """The checked event."""
        return self.operation.request

    @property
    def entity_key(self) -> tuple[str, str]:
        """Connection and entity, to group writes by."""
        return self.request.connection, self.request.entity

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields of the record that is written."""
        return self.operation.fields

    @functools.cached_property
    def record_key(self) -> str:
        """Names the record of the event, or the place of a placement.

        That of an update is stored hashed, so its form must not change.
        """
        named = self.fields if self.kind is Kind.PLACEMENT else self.operation.parameters.path
        texts = {name: str(value).strip() for name, value in named.items()}
        path = {name: _without_leading_zeros(text) for name, text in texts.items()}
        return f"{self.request.connection} {self.request.entity} {json.dumps(path, sort_keys=True)}"

    @property
    def parents(self) -> dict[str, object]:
        """The path of the record without its id."""
        path = self.operation.parameters.path
        return {name: path[name] for name in self.request.endpoint.parents}

    @property
    def list_key(self) -> tuple[str, ...]:
        """The list that its record is in: by connection, entity and parents; by product, if it is a placement."""
        parents = [self.fields["product"]] if self.kind is Kind.PLACEMENT else self.parents.values()
        return *self.entity_key, *map(str, parents)

    @property
    def idempotency_key(self) -> str | None:
        """The event's own idempotency key, with its connection."""
        key = self.request.idempotency_key
        return None if key is None else f"{self.request.connection} {key}"

    @functools.cached_property
    def kind(self) -> Kind:
        """How the batch sends it."""
        request, http_request = self.request, self.operation.http_request
        if request.dry_run or not isinstance(http_request.body, bytes):
            return Kind.OTHER  # nothing can be merged with a file, or without a body
        if self._is_placement and not http_request.query:
            return Kind.PLACEMENT
        if request.action == "update" and not http_request.query and self.fields:
            return Kind.UPDATE
        return Kind.UPSERT if request.match_fields and request.endpoint.has("update") else Kind.OTHER

    @property
    def _is_placement(self) -> bool:
        """Whether it creates a placement of two ids, which are also its key. A bulk takes them as numbers."""
        request, fields = self.request, self.fields
        if request.entity != PLACEMENT or request.action != "create":
            return False
        if set(request.match_fields) != _PLACEMENT_FIELDS or set(fields) != _PLACEMENT_FIELDS:
            return False
        return all(canonical_id(identity) is not None for identity in fields.values())


def segments(items: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Cut a batch where a write depends on an earlier one that would wait.

    Two writes with the same idempotency key are in different segments if the first one waits. So are two writes of the
    same record, natural key or placement, unless they can be merged.

    Args:
        items: The writes of a batch, in order.

    Returns:
        Every write once, in order.
    """
    found: list[list[PreparedWrite]] = []
    waiting = _Waiting()
    for item in items:
        if not found or waiting.blocks(item):
            found.append([])
            waiting = _Waiting()
        found[-1].append(item)
        waiting.add(item)
    return found


def sent_together(items: Iterable[PreparedWrite]) -> Iterator[list[PreparedWrite]]:
    """Yield the updates or placements that are sent together, in order of appearance.

    They are updates of at most `MAX_RECORDS` records that share connection, entity and parent, or at most
    `MAX_RECORDS` placements of one product.
    """
    for siblings in groups(items, lambda item: item.list_key):
        for records in chunks(by_record(siblings), MAX_RECORDS):
            yield [item for record in records for item in record]


def by_record(items: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Group items by record, in order of appearance."""
    return groups(items, lambda item: item.record_key)


def groups(items: Iterable[_Item], key: Callable[[_Item], object]) -> list[list[_Item]]:
    """Group items by a key, in order of appearance."""
    found: dict[object, list[_Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.values())


def _without_leading_zeros(text: str) -> str:
    """Return a number without zeros in front, `0` and `00` as they are; any other text as it is."""
    return (text.lstrip("0") or text) if text.isdigit() else text


class _Waiting:
    """The writes that wait for the end of a segment."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._records: set[str] = set()
        self._written_fields: dict[tuple[str, str], set[str]] = {}  # by connection and entity, as `_upserts`
        self._upserts: set[tuple[str, str]] = set()
        self._has_placements = False

    def add(self, item: PreparedWrite) -> None:
        if item.kind is Kind.OTHER:
            return
        if item.idempotency_key is not None:
            self._keys.add(item.idempotency_key)
        if item.kind is Kind.UPSERT:
            self._upserts.add(item.entity_key)
        else:
            self._records.add(item.record_key)
        self._written_fields.setdefault(item.entity_key, set()).update(item.operation.fields_of_update)
        self._has_placements |= item.kind is Kind.PLACEMENT

    def blocks(self, item: PreparedWrite) -> bool:
        """Whether the item must not be sent before what waits. An update may: it waits too, and is merged."""
        if item.idempotency_key in self._keys:
            return True
        if item.kind is Kind.UPDATE:
            return False
        if item.kind is Kind.PLACEMENT:
            return item.record_key in self._records
        ordered = item.request.entity in _PLACEMENT_ORDER and item.request.action != "update"
        return (ordered and self._has_placements) or self._may_concern_waiting_record(item)

    def _may_concern_waiting_record(self, item: PreparedWrite) -> bool:
        """Whether the item may concern a record whose update or upsert waits. A bulk or a `match` may concern any."""
        if item.kind is Kind.UPSERT:
            return concerns_key(self._written_fields.get(item.entity_key, ()), item.request.match_fields)
        if item.request.action == "bulk" or item.request.match_fields:
            return item.entity_key in self._written_fields
        return item.record_key in self._records or (
            item.entity_key in self._upserts and item.request.action != "create"
        )
