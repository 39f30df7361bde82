"""A table: the rows of one kind of record, and its lists.

A table makes unchanged rows of its series on demand, and stores changed and added rows. A list never walks over rows
that it does not return: it pages the whole table by position, and a time window is a slice of an index by time.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator, Sequence

from .listing import Listing
from .series import Series
from .shapes import Row

_KEPT_UNTOUCHED = 20_000  # made rows are kept up to here; beyond, making one again is cheaper than the memory
_KEPT_LISTINGS = 64
_FIRST_ID = 1_000_000  # of what is added to a table that opens empty
_TIME_ORIGIN = 1_000_000_000


def pack(epoch: int, record_id: int) -> int:
    """Pack a time and an id into one sortable number of 64 bits (times until 2069, ids below 2^32)."""
    return ((epoch - _TIME_ORIGIN) << 32) | record_id


class Table:
    """The rows of one resource.

    Attributes:
        version: changes with every change of any row.
        parent: name of the field that holds the id of the record above, for resources below another; else empty.
    """

    def __init__(self, name: str, series: Series | None, parent: str = "") -> None:
        self.name = name
        self.parent = parent
        self.version = 0
        self._series = series
        self._ids: array[int] | None = None if series is not None else array("q")
        self._rows: dict[int, Row] = {}
        self._touched: set[int] = set()
        self._gone: set[int] = set()
        self._by_time: dict[str, array[int]] = {}
        self._highest = _FIRST_ID if series is None else series.first_id + series.stride * series.count
        self._listings: dict[Hashable, Listing] = {}
        self._listings_version = 0

    def __len__(self) -> int:
        if self._ids is None and self._series is not None and self._series.size is None:
            return self._series.count
        return len(self.ids)

    @property
    def ids(self) -> "array[int]":
        """All ids, ascending."""
        if self._ids is None:
            assert self._series is not None
            self._ids = self._series.ids()
        return self._ids

    def row(self, record_id: int) -> Row | None:
        """Return the row, which the caller must not change, or None."""
        row = self._rows.get(record_id)
        if row is None and self._series is not None and record_id not in self._gone:
            row = self._series.row(record_id)
            if row is not None and len(self._rows) < _KEPT_UNTOUCHED:
                self._rows[record_id] = row
        return row

    def rows(self, ids: Sequence[int] | None = None) -> Iterator[Row]:
        """Yield rows, all of them in ascending order of id unless ids are given."""
        for record_id in self.ids if ids is None else ids:
            row = self.row(record_id)
            if row is not None:
                yield row

    def next_id(self) -> int:
        """Return an id that no record ever had; it is larger than all others, by an irregular step."""
        self._highest += 1 + self._highest % 3
        return self._highest

    def put(self, row: Row) -> None:
        """Add or replace a row."""
        record_id = row["id"]
        old = self.row(record_id)
        ids = self.ids
        if old is None:
            self._gone.discard(record_id)
            if not ids or record_id > ids[-1]:
                ids.append(record_id)
            else:
                ids.insert(bisect_left(ids, record_id), record_id)
        for field, index in self._by_time.items():
            if old is not None:
                _remove(index, pack(_time(old, field), record_id))
            insort(index, pack(_time(row, field), record_id))
        self._rows[record_id] = row
        self._touched.add(record_id)
        self._highest = max(self._highest, record_id)
        self.version += 1

    def remove(self, record_id: int) -> None:
        """Delete a row that exists."""
        row = self.row(record_id)
        assert row is not None
        _remove(self.ids, record_id)
        for field, index in self._by_time.items():
            _remove(index, pack(_time(row, field), record_id))
        self._rows.pop(record_id, None)
        self._touched.discard(record_id)
        self._gone.add(record_id)
        self.version += 1

    def by_time(self, field: str) -> "array[int]":
        """Return the packed (time, id) of every row, ascending; built once and kept up to date."""
        index = self._by_time.get(field)
        if index is None:
            index = self._by_time[field] = array("q", sorted(self._packed(field)))
        return index

    def slice_by_time(self, field: str, since: int | None, until: int | None) -> tuple[int, int]:
        """Return the bounds in `by_time` of the rows with `since <= time <= until`."""
        index = self.by_time(field)
        low = 0 if since is None else bisect_left(index, pack(since, 0))
        high = len(index) if until is None else bisect_left(index, pack(until + 1, 0))
        return low, max(low, high)

    def owned_by(self, field: str, owner_id: int) -> list[int] | None:
        """Return the ids of the records whose field names the owner, ascending; None where only a walk can tell."""
        series = self._series
        if series is None or series.owner != field:
            if field != self.parent or series is not None:
                return None
            return [i for i in self.ids if self._rows[i].get(field) == owner_id]
        born = {i for i in series.owned_by(owner_id) if i not in self._gone and i not in self._touched}
        moved = {i for i in self._touched if self._rows[i].get(field) == owner_id}
        return sorted(born | moved)

    def remembered(self, key: Hashable) -> Listing | None:
        """Return the listing that was remembered under the key, if no row has changed since."""
        if self._listings_version != self.version:
            self._listings.clear()
            self._listings_version = self.version
        return self._listings.get(key)

    def remember(self, key: Hashable, listing: Listing) -> Listing:
        """Remember a listing until a row changes."""
        if len(self._listings) > _KEPT_LISTINGS:
            self._listings.clear()
        self._listings[key] = listing
        return listing

    def _packed(self, field: str) -> Iterator[int]:
        series = self._series
        quick = series.times if series is not None and series.size is None else None
        for record_id in self.ids:
            if quick is not None and series is not None and record_id not in self._touched:
                found = series.find(record_id)
                if found is not None:
                    yield pack(quick(found[0])[field == "updatedAt"], record_id)
                    continue
            row = self.row(record_id)
            assert row is not None
            yield pack(_time(row, field), record_id)


def _time(row: Row, field: str) -> int:
    return int(row.get(field) or row.get("createdAt") or row.get("created_at") or _TIME_ORIGIN)


def _remove(index: "array[int]", value: int) -> None:
    position = bisect_left(index, value)
    if position < len(index) and index[position] == value:
        index.pop(position)
