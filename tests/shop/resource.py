"""A resource: names, envelope keys, verbs, filters and permission group, from facts and examples of the API.

Resources that are no lists of records (singletons, actions, images of one record, checkouts) have modules of their own.
`routes` joins all of them.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .shapes import METAFIELD, Shape

READ = ("list", "get", "count")
ALL = ("list", "get", "count", "create", "update", "delete")
JOIN = ("list", "get", "count", "create", "delete")
UPDATE = ("list", "get", "count", "update")
_PLAIN_IDS = {"customerId": "customers", "orderId": "orders"}  # relations that are not links, in returns


@dataclass(frozen=True)
class Resource:
    """A kind of record and its address.

    Attributes:
        name: its path, with the parent's name in front where it lies below another record.
        item: envelope key of one record; also of what is written, unless `written_as` says otherwise.
        items: envelope key of a list.
        group: permission group; empty for what every key may do.
        parent: resource of the record above (`products` for `products/{id}/images`); empty for flat resources.
        table: where the rows are, if not under the resource's own name.
        filters: parameter to the field of a row, or to `relation.field` of a related record.
        required: fields without which a record cannot be created.
        written_as: envelope key accepted on create beside `item`.
        created_as: envelope key of the answer to create, where it differs.
    """

    name: str
    item: str
    items: str
    shape: Shape
    verbs: tuple[str, ...]
    group: str
    parent: str = ""
    table: str = ""
    filters: dict[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    written_as: str = ""
    created_as: str = ""

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Default of each field."""
        return {f.name: f.default for f in self.shape}

    @cached_property
    def relations(self) -> dict[str, str]:
        """Resource that each relation leads to."""
        links = {f.name: f.target for f in self.shape if f.kind in {"one", "embed"}}
        return links | {name: target for name, target in _PLAIN_IDS.items() if name in self.defaults}

    @cached_property
    def time_filters(self) -> dict[str, str]:
        """Time parameters to fields, where the record has the timestamp."""
        found: dict[str, str] = {}
        for name, prefix in (("createdAt", "created_at"), ("updatedAt", "updated_at")):
            if any(f.name == name and f.kind == "time" for f in self.shape):
                found |= {f"{prefix}_min": name, f"{prefix}_max": name}
        return found

    @property
    def parent_field(self) -> str:
        """Name of the hidden field that holds the id of the record above."""
        return "parent_id"


def metafields(owner: str, item: str, group: str) -> Resource:
    """Return the metafields below the records of another resource."""
    return Resource(f"{owner}/metafields", item, item + "s", METAFIELD, ALL, group, parent=owner, required=("key",))


def same(*names: str) -> dict[str, str]:
    """Return filters that have the name of the field that they compare."""
    return {name: name for name in names}
