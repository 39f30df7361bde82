"""What is decoded of a list's records: just enough to know them again and to see whether they obey the filters sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from lightspeed.request import format_time, parse_time


@dataclass(slots=True)
class Record:
    """One record of a list.

    Attributes:
        text: Its JSON text as the shop sent it, on one line.
        id: Its id; `None` where it has none.
        changed: `updatedAt`, or else `createdAt`, as the shop wrote it; `None` where it has neither.
    """

    text: bytes
    id: int | str | None
    changed: str | None


class _Head(msgspec.Struct):
    id: int | str | None = None
    createdAt: str | bool | None = None  # noqa: N815 - the shop's spelling; `false` is its way to say none
    updatedAt: str | bool | None = None  # noqa: N815 - the shop's spelling


_HEAD = msgspec.json.Decoder(_Head, strict=False)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EXACT = ("number", "sku", "ean", "articleCode", "email")


@dataclass(frozen=True, slots=True)
class Window:
    """A closed stretch of the past, both ends included, by one of the list's time filters.

    Attributes:
        by: `updated_at` or `created_at`.
        start: UTC, or `None` for the beginning.
        end: UTC, whole seconds.
    """

    by: Literal["updated_at", "created_at"]
    start: datetime | None
    end: datetime

    @property
    def query(self) -> dict[str, str]:
        """The filters that ask for it."""
        query = {f"{self.by}_max": format_time(self.end)}
        return query if self.start is None else {f"{self.by}_min": format_time(self.start), **query}

    def holds(self, text: str | None) -> bool:
        """Whether a time lies in it; one that is missing or no time cannot be judged and passes."""
        try:
            moment = parse_time(text) if text else self.end
        except ValueError:
            return True
        return moment <= self.end and (self.start is None or moment >= self.start)


class RecordParser:
    """Decodes records and notes the first that does not obey what was asked for.

    Attributes:
        doubt: What was not obeyed, or empty.
    """

    def __init__(self, window: Window | None, filters: Mapping[str, str], relations: frozenset[str]) -> None:
        """Take what was asked for.

        Args:
            window: The window, if any.
            filters: Further filters as they were sent.
            relations: Names of those filters whose value is an id of another record.
        """
        self._window = window
        self._by_update = window is not None and window.by == "updated_at"
        self._filters = {name: value for name, value in filters.items() if name in relations or name in _EXACT}
        self.doubt = ""

    def read(self, texts: list[bytes]) -> list[Record]:
        """Return the records of one page, in its order."""
        decode = _HEAD.decode
        records = []
        for text in texts:
            head = decode(text)
            created, updated = _text(head.createdAt), _text(head.updatedAt)
            if self._window is not None and not self._window.holds(updated if self._by_update else created):
                self.doubt = self.doubt or f"the shop ignores its filter {self._window.by}: see record {head.id}"
            records.append(Record(text, head.id, updated or created))
        if self._filters and not self.doubt:
            self._check_filters(records)
        return records

    def _check_filters(self, records: list[Record]) -> None:
        for record in records:
            members = _MEMBERS.decode(record.text)
            for name, wanted in self._filters.items():
                found = _plain(msgspec.json.decode(members[name])) if name in members else None
                if found is not None and str(found).lower() != wanted.lower():
                    self.doubt = f"the shop ignores its filter {name}: see record {record.id}"
                    return


def _text(value: str | bool | None) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: object) -> object:
    """Return the id behind a relation, which is read as `{"resource": {"id": …}}`; any other value as it is."""
    resource = value.get("resource") if isinstance(value, dict) else None
    if isinstance(resource, dict):
        return resource.get("id") or None
    return None if isinstance(value, dict | list | bool) else value
