"""Selects and orders the rows of a list by its query.

Known everywhere: `page`, `limit`, `since_id`, `fields`; the four time bounds where the record has the timestamp; the
names in the resource's row. Times are `YYYY-MM-DD HH:MM:SS` in UTC; `_min` includes its second, `_max` does so unless
`Habits` says otherwise.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from .exchange import RefusedError
from .habits import Habits
from .listing import Listing, all_but, by_position, listed
from .resource import Resource
from .shapes import Row
from .table import Table

PAGE_PARAMETERS = frozenset({"page", "limit", "since_id", "fields"})
MAX_LIMIT = 250
DEFAULT_LIMIT = 50
_ID_MASK = (1 << 32) - 1
Rows = Callable[[str, int], Row | None]
Bounds = dict[str, tuple[int | None, int | None]]


def page_of(query: Mapping[str, str], habits: Habits) -> tuple[int, int]:
    """Return (offset, limit) of the page that is asked for."""
    limit = _number(query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        if habits.over_limit == "refuse":
            raise RefusedError(400, f"Invalid limit: {limit}")
        limit = max(1, min(limit, MAX_LIMIT))
    return (max(_number(query, "page", 1), 1) - 1) * limit, limit


def select(
    table: Table, resource: Resource, query: Mapping[str, str], habits: Habits, parent: int | None, rows: Rows
) -> Listing:
    """Return the list that a query asks for, before paging.

    Args:
        parent: id of the record above, for resources below another.
        rows: finds a row of any resource, for filters that look at a related record.
    """
    order = habits.orders.get(resource.name, "-id")
    bounds, wanted, since_id = _sort_out(resource, query, habits)
    never_updated = habits.never_updated if "updatedAt" in bounds else "as created"
    key = (resource.name, order, never_updated, parent, since_id, tuple(bounds.items()), tuple(wanted.items()))
    looks_elsewhere = any("." in path for path in wanted)
    known = None if looks_elsewhere else table.remembered(key)
    if known is not None:
        return known
    base = _related(table, resource, wanted, parent)
    if base is None and not wanted and since_id is None and len(bounds) <= 1 and never_updated == "as created":
        return table.remember(key, _whole(table, bounds, order))
    tests = _tests(resource, wanted, bounds, since_id, rows, never_updated)
    found = [row["id"] for row in table.rows(base) if all(test(row) for test in tests)]
    return table.remember(key, listed(_ordered(table, found, order)))


def _sort_out(
    resource: Resource, query: Mapping[str, str], habits: Habits
) -> tuple[Bounds, dict[str, str], int | None]:
    bounds: Bounds = {}
    wanted: dict[str, str] = {}
    since_id = None
    for name, value in query.items():
        if name in habits.ignored_filters:
            continue
        if name in resource.time_filters:
            field = resource.time_filters[name]
            low, high = bounds.get(field, (None, None))
            epoch = _epoch(name, value)
            if name.endswith("_max"):
                epoch -= 0 if habits.max_inclusive else 1
            bounds[field] = (epoch, high) if name.endswith("_min") else (low, epoch)
        elif name == "since_id":
            since_id = _number(query, name, 0)
        elif name in resource.filters:
            wanted[resource.filters[name]] = value
        elif name not in PAGE_PARAMETERS and habits.unknown_parameters == "refuse":
            raise RefusedError(400, f"Unknown parameter: {name}")
    return bounds, wanted, since_id


def _related(table: Table, resource: Resource, wanted: dict[str, str], parent: int | None) -> list[int] | None:
    if parent is not None:
        below = table.owned_by(resource.parent_field, parent)
        return below if below is not None else [r["id"] for r in table.rows() if r.get(resource.parent_field) == parent]
    for field, value in wanted.items():
        owned = table.owned_by(field, int(value)) if value.isdecimal() and len(value) <= 18 else None
        if owned is not None:
            return owned
    return None


def _whole(table: Table, bounds: Bounds, order: str) -> Listing:
    """List the whole table, or what one time window leaves of it, without walking over it."""
    if not bounds:
        if order.endswith("updatedAt"):
            return by_position(table.by_time("updatedAt"), 0, len(table), reverse=order == "-updatedAt", mask=_ID_MASK)
        return by_position(table.ids, 0, len(table), reverse=order == "-id")
    ((field, (since, until)),) = bounds.items()
    index = table.by_time(field)
    low, high = table.slice_by_time(field, since, until)
    if order.endswith("updatedAt") and field == "updatedAt":
        return by_position(index, low, high, reverse=order == "-updatedAt", mask=_ID_MASK)
    if high - low > len(index) // 2 and order.endswith("id"):
        outside = sorted(packed & _ID_MASK for part in (index[:low], index[high:]) for packed in part)
        return all_but(table.ids, outside, newest_first=order == "-id")
    return listed(_ordered(table, [packed & _ID_MASK for packed in index[low:high]], order))


def _tests(
    resource: Resource,
    wanted: dict[str, str],
    bounds: Bounds,
    since_id: int | None,
    rows: Rows,
    never_updated: str,
) -> list[Callable[[Row], bool]]:
    tests: list[Callable[[Row], bool]] = []
    if since_id is not None:
        tests.append(lambda row: row["id"] > since_id)
    for field, (since, until) in bounds.items():
        tests.append(_within(field, since, until, never_updated))
    for path, value in wanted.items():
        tests.append(_equals(resource, path, value, rows))
    return tests


def _within(field: str, since: int | None, until: int | None, never_updated: str) -> Callable[[Row], bool]:
    def test(row: Row) -> bool:
        if field == "updatedAt" and not row.get(field) and never_updated != "as created":
            return never_updated == "shown"
        epoch = row.get(field) or row.get("createdAt") or 0
        return (since is None or epoch >= since) and (until is None or epoch <= until)

    return test


def _equals(resource: Resource, path: str, value: str, rows: Rows) -> Callable[[Row], bool]:
    """Compare a field, or `relation.field` of the related record, with the text of a parameter."""
    relation, dot, field = path.partition(".")
    if not dot:
        if path in resource.relations:
            return lambda row: str(row.get(path)) == value
        default = resource.defaults.get(path)
        return lambda row: _same(row.get(path, default), value)

    def test(row: Row) -> bool:
        target = resource.relations[relation]
        related = rows(target, row.get(relation) or 0)
        return related is not None and _same(related.get(field), value)

    return test


def _same(stored: Any, asked: str) -> bool:
    if isinstance(stored, bool):
        return stored == (asked.lower() in {"1", "true"})
    if isinstance(stored, dict):
        return asked in stored.values()
    return str(stored) == asked


def _ordered(table: Table, ids: list[int], order: str) -> list[int]:
    if order == "id":
        return sorted(ids)
    if order == "-id":
        return sorted(ids, reverse=True)
    rows = [(row.get("updatedAt") or row.get("createdAt") or 0, row["id"]) for row in table.rows(ids)]
    return [record_id for _, record_id in sorted(rows, reverse=order == "-updatedAt")]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        raise RefusedError(400, f"Invalid {name}: {value}") from None


def _epoch(name: str, value: str) -> int:
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
        try:
            moment = datetime.strptime(value, form)
        except ValueError:
            continue
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    raise RefusedError(400, f"Invalid {name}: {value}")
