"""Plan a batch: cut it into segments, and group the writes that one request can carry. Nothing here sends anything.

A batch defers updates, the updates of upserts, and placements to the end of their segment, so that one request carries
many. It sends other writes at once, in order. A segment ends before a write that depends on a deferred one.
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
    """A create with `match`, which becomes an update if its record exists."""
    OTHER = enum.auto()
    """Sent alone."""


@dataclass(frozen=True)
class BulkRoute:
    """A bulk route that takes updates: action `bulk` of an entity, a list of records with their ids.

    Attributes:
        entity: Catalogue name.
        prefixes: The route is known to take fields with these prefixes. An update of another field is sent alone.
        must_show_values: Whether a row confirms an update only if it shows every value that was sent. Otherwise a row
            may leave out values, and an answer without rows confirms all updates.
    """

    entity: str
    prefixes: tuple[str, ...]
    must_show_values: bool = False


BULK_ROUTES = (
    BulkRoute("variants", ("stock", "price", "oldPrice")),
    BulkRoute("products/attributes", ("value",), must_show_values=True),
)
"""Other clients push stock and prices through `variants/bulk`. Of `products/attributes/bulk`, only the address and the
envelope are known, so its answer must show the values."""


def bulk_route(entity: str, fields: Mapping[str, object]) -> BulkRoute | None:
    """Return the bulk route that takes an update of these fields, or `None`."""
    for route in BULK_ROUTES:
        if entity == route.entity and fields and all(name.startswith(route.prefixes) for name in fields):
            return route
    return None


def numeric_id(identity: object) -> int | None:
    """Return an id as a number if its text has the shop's form (digits, no leading zero), else `None`."""
    text = str(identity)
    return int(text) if _ID.fullmatch(text) else None


@dataclass(frozen=True)
class PreparedWrite:
    """A checked event, ready to be sent.

    Attributes:
        position: Its place in the batch.
        operation: The write.
        message_id: The id of its message or line; empty if a caller waits.
        queued_at: When it was queued, epoch milliseconds; `None` if a caller waits or the time is not known.
        claim: The claim of its idempotency key; `None` before the claim.
        upsert: The upsert that became this update, if a list that was read earlier named the record.
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
        """Connection and entity."""
        return self.request.connection, self.request.entity

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields to write."""
        return self.operation.fields

    @functools.cached_property
    def record_key(self) -> str:
        """Identifies the record: by its path, or a placement by category and product.

        `field_versions` stores a hash of this text, so its form must not change.
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
        """Connection, entity and the ids of the parents; for a placement, the id of the product instead."""
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
            return Kind.OTHER  # a request with a file, or without a body, cannot be merged
        if self._is_placement and not http_request.query:
            return Kind.PLACEMENT
        if request.action == "update" and not http_request.query and self.fields:
            return Kind.UPDATE
        return Kind.UPSERT if request.match_fields and request.endpoint.has("update") else Kind.OTHER

    @property
    def _is_placement(self) -> bool:
        """Whether it creates a placement from two numeric ids, which are also its `match`: a bulk takes only these."""
        request, fields = self.request, self.fields
        if request.entity != PLACEMENT or request.action != "create":
            return False
        if set(request.match_fields) != _PLACEMENT_FIELDS or set(fields) != _PLACEMENT_FIELDS:
            return False
        return all(numeric_id(identity) is not None for identity in fields.values())


def segments(items: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Cut a batch before each write that depends on a deferred one.

    Two writes with the same idempotency key are in different segments if the first one is deferred. So are two writes
    of the same record, natural key or placement, unless they can be merged.

    Args:
        items: The writes of a batch, in order.

    Returns:
        Every write once, in order.
    """
    found: list[list[PreparedWrite]] = []
    deferred = _Deferred()
    for item in items:
        if not found or deferred.blocks(item):
            found.append([])
            deferred = _Deferred()
        found[-1].append(item)
        deferred.add(item)
    return found


def request_groups(items: Iterable[PreparedWrite]) -> Iterator[list[PreparedWrite]]:
    """Group the updates or placements that one request may carry, in order of appearance.

    A group has the updates of at most `MAX_RECORDS` records that share connection, entity and parents, or at most
    `MAX_RECORDS` placements of one product.
    """
    for siblings in group_by(items, lambda item: item.list_key):
        for records in chunks(group_by_record(siblings), MAX_RECORDS):
            yield [item for record in records for item in record]


def group_by_record(items: Iterable[PreparedWrite]) -> list[list[PreparedWrite]]:
    """Group items by record, in order of appearance."""
    return group_by(items, lambda item: item.record_key)


def group_by(items: Iterable[_Item], key: Callable[[_Item], object]) -> list[list[_Item]]:
    """Group items by a key, in order of appearance."""
    found: dict[object, list[_Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.values())


def _without_leading_zeros(text: str) -> str:
    """Return digits without leading zeros; zeros alone and any other text stay as they are."""
    return (text.lstrip("0") or text) if text.isdigit() else text


class _Deferred:
    """The writes that a batch defers to the end of a segment."""

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
        """Whether the deferred writes must be sent before the item."""
        if item.idempotency_key in self._keys:
            return True
        if item.kind is Kind.UPDATE:
            return False  # it is deferred too, and merged in order
        if item.kind is Kind.PLACEMENT:
            return item.record_key in self._records
        ordered = item.request.entity in _PLACEMENT_ORDER and item.request.action != "update"
        return (ordered and self._has_placements) or self._may_concern_deferred_record(item)

    def _may_concern_deferred_record(self, item: PreparedWrite) -> bool:
        """Whether the item may concern the record of a deferred write. A bulk or a `match` may concern any record."""
        if item.kind is Kind.UPSERT:
            return concerns_key(self._written_fields.get(item.entity_key, ()), item.request.match_fields)
        if item.request.action == "bulk" or item.request.match_fields:
            return item.entity_key in self._written_fields
        return item.record_key in self._records or (
            item.entity_key in self._upserts and item.request.action != "create"
        )
