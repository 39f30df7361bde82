"""The views of the stored records: one SQL text for Athena and DuckDB.

Each entity has three relations that differ by engine. `<entity>_raw` and `<entity>_deleted` have a column `json` of
text and a column `"$path"`. `<entity>_parts` has the parts that manifests name. The views on top of them have the same
text in both engines. They use only the functions in `FUNCTIONS`, which have one meaning in both engines.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from connector.operator.stack import CommandError
from lightspeed import CATALOGUE, Endpoint

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "json_extract_scalar": "the text of a string, number, true or false; NULL of an object, a list and null",
        "json_extract": "the value as JSON text; used for objects and lists only",
        "from_iso8601_timestamp": "the instant of 2026-11-23T06:00:00+01:00; an error if the text is no such time",
        "try": "NULL instead of an error",
        "max_by": "the first argument of the row whose second argument is largest",
        "row": "values that compare one after the other; none is NULL",
        "coalesce": "the first value that is not NULL",
        "nullif": "NULL if both values are equal",
        "count": "the number of rows, or of values that are not NULL",
        "sum": "the sum of DECIMAL or BIGINT values",
        "max": "the largest value",
        "substr": "part of a text; the first letter is 1",
    }
)
"""The functions that views and recipes may use, besides `CAST` and `TRY_CAST` to VARCHAR, BIGINT and DECIMAL."""

ISO_8601 = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
"""A regular expression of the times that `from_iso8601_timestamp` reads. For the views, any other text is no time."""

MONEY = "DECIMAL(38, 4)"
WHOLE = "BIGINT"

TYPES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("price_excl", "price_incl"), MONEY)
    | dict.fromkeys(("quantity_ordered", "stock_level", "stock_alert"), WHOLE)
)
"""The type of each column that is not text."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "orders": "number status channel payment_status shipment_status price_excl price_incl customer_id",
        "orders/products": "order_id product_id variant_id product_title article_code quantity_ordered price_excl"
        " price_incl",
        "products": "title visibility brand_id",
        "variants": "title sku article_code price_excl price_incl stock_tracking stock_level stock_alert product_id",
        "customers": "type is_confirmed",
    }
)
"""The fields of a record that have columns of their own, by entity. All other fields are in `json` only.

A column has the name of the shop's field: `payment_status` is `paymentStatus`. `customer_id` is the id of the linked
`customer`. A run of `"*"` puts the id of the parent in front of the record; then the column has that id.
"""

RAW, DELETED, PARTS = "_raw", "_deleted", "_parts"
TOMBSTONES, UNREADABLE, GONE, CURRENT = "_tombstones", "_unreadable", "_gone", "_current"

_EMPTY_TEXT = "''"
_VIEWS = Path(__file__).with_suffix(".sql")
_VIEW = re.compile(r"^-- view: (?P<name>\w+)\n(?P<query>.*?)\n(?:\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class EntityViews:
    """The relations of an entity.

    Attributes:
        entity: The entity's name in the catalogue.
        name: The entity's name in SQL, with `_` for `/`.
        parents: The path parameters that name a parent, such as `product_id`.
    """

    entity: str
    name: str
    parents: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all relations, those that differ by engine first."""
        return tuple(self.name + end for end in (RAW, DELETED, PARTS, TOMBSTONES, "", UNREADABLE, GONE, CURRENT))

    def columns(self) -> list[tuple[str, str]]:
        """Return name and type of each column of the two views, in order. Both engines have these types."""
        names = ["connection", "lang", "date", "run_id", "started", *(name for name, _ in self._fields("json")), "json"]
        return [(name, TYPES.get(name, "VARCHAR")) for name in names]

    def queries(self) -> Mapping[str, str]:
        """Return the query of each view. A view reads the relations and the views before it."""
        of_raw, of_latest = self._columns("r.json"), self._columns("l.json")
        text = _VIEWS.read_text(encoding="utf-8").format(name=self.name, of_raw=of_raw, of_latest=of_latest)
        return {match["name"]: match["query"] for match in _VIEW.finditer(text)}

    def _columns(self, record: str) -> str:
        return ",\n  ".join(f"{value} AS {name}" for name, value in self._fields(record))

    def _fields(self, record: str) -> Iterator[tuple[str, str]]:
        yield "parent_id", self._parent(record)
        yield "id", f"json_extract_scalar({record}, '$.id')"
        for name, path in (("created_at", "$.createdAt"), ("updated_at", "$.updatedAt")):
            yield name, f"nullif(nullif(json_extract_scalar({record}, '{path}'), 'false'), '')"
        for name in FIELDS.get(self.entity, "").split():
            text, kind = f"json_extract_scalar({record}, '{self._path(name)}')", TYPES.get(name)
            if kind == WHOLE:  # of the text 7.5, DuckDB makes 8 and Athena NULL; of the DECIMAL 7.5, both make 8
                text = f"TRY_CAST({text} AS {MONEY})"
            yield name, f"TRY_CAST({text} AS {kind})" if kind else text

    def _path(self, column: str) -> str:
        if column.endswith("_id"):
            return f"$.{column}" if column in self.parents else f"$.{column.removesuffix('_id')}.resource.id"
        first, *words = column.split("_")
        return f"$.{first}{''.join(word.capitalize() for word in words)}"

    def _parent(self, record: str) -> str:
        """Return the parent's id, which a run of `"*"` puts in front of the record; an empty text if there is none."""
        parents = [f"json_extract_scalar({record}, '$.{name}')" for name in self.parents]
        return f"coalesce({', '.join([*parents, _EMPTY_TEXT])})" if parents else _EMPTY_TEXT


def view_name(entity: str) -> str:
    """Return an entity's name in SQL."""
    return entity.replace("/", "_").replace(".", "_").lower()


def views_of(endpoint: Endpoint) -> EntityViews:
    """Return the relations of an entity."""
    return EntityViews(endpoint.name, view_name(endpoint.name), tuple(endpoint.parents))


def views_by_folder() -> dict[str, EntityViews]:
    """Return the relations of every entity, by the name of its folder in the bucket."""
    return {name.replace("/", "."): views_of(endpoint) for name, endpoint in CATALOGUE.items()}


def all_views() -> dict[str, EntityViews]:
    """Return the relations of every entity, by the name of each relation."""
    return {name: views for views in map(views_of, CATALOGUE.values()) for name in views.names}


def views_named(names: Sequence[str]) -> list[EntityViews]:
    """Return the relations of the entities that have some names, each entity once.

    Args:
        names: Names of entities or of relations.

    Raises:
        CommandError: A name is unknown. The message has the nearest known names.
    """
    known = all_views()
    found = {}
    for name in names:
        views = known.get(view_name(name))
        if views is None:
            near = difflib.get_close_matches(view_name(name), known, 3)
            hint = f"; is it {' or '.join(near)}?" if near else ""
            raise CommandError(f"no entity or view has the name {name!r:.100}{hint}")
        found[views.name] = views
    return list(found.values())
