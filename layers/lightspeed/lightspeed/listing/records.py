"""The rows of a list, decoded far enough to identify records and to check that they match the filters.

A value that the decoder cannot use (an id that is `false`, an `updatedAt` that is a number) counts as missing. The
record is kept as sent, and the parser notes why the list is then not verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

from lightspeed.json_text import UNREADABLE, parse_record
from lightspeed.listing.window import Window
from lightspeed.response import Page


class Record(msgspec.Struct, gc=False):
    """One row of a list. It cannot be part of a reference cycle, so the garbage collector does not track it.

    Attributes:
        text: The JSON text as the shop sent it, on one line; for a rejected row, its bytes as sent.
        id: `None` if the row has no usable id.
        changed_at: `updatedAt`, or else `createdAt`, as the shop wrote it; `None` if the row has neither.
        reject_reason: Why the row is no JSON object in UTF-8; empty for a record. Only a record may be stored as one.
        parent: The parent's id, if the row comes from a nested list that was read for many parents.
        never_updated: Whether `updatedAt` is missing or a zero date. A filter by time of change may hide the record.
    """

    text: bytes
    id: int | str | None
    changed_at: str | None
    reject_reason: str = ""
    parent: int | str | None = None
    never_updated: bool = False


class Times(msgspec.Struct):
    """The times of a record, as the shop wrote them."""

    created: str = msgspec.field(default="", name="createdAt")
    updated: str = msgspec.field(default="", name="updatedAt")


def times_of(record: Record) -> Times:
    """Return a record's times. A missing one is empty; if one is no text, both are empty."""
    try:
        return msgspec.json.decode(record.text, type=Times)
    except UNREADABLE:
        return Times()


class _Head(msgspec.Struct):
    id: int | str | None = None
    createdAt: str | bool | None = None  # noqa: N815 - the shop's spelling; it writes `false` for none
    updatedAt: str | bool | None = None  # noqa: N815 - the shop's spelling


_HEAD = msgspec.json.Decoder(_Head, strict=False)
_TIME = r'"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d)"'
_USUAL_HEADS = re.compile(rf'\n{{"id":([1-9]\d{{0,17}}),"createdAt":{_TIME},"updatedAt":{_TIME}[,}}]', re.ASCII)
"""How orders, products, variants, customers and most other records begin. Of these, only the head is decoded."""

_HEAD_BYTES = 128

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ZERO_DATE = "0000"
"""The year of a zero date."""


class RecordParser:
    """Decodes records and notes why a list made of them is not verified.

    Attributes:
        unverified_reason: The first reason, or empty: a record that does not match the filters, a value that cannot be
            used, or a rejected row.
        filters_ignored: Whether a record did not match the window or the filters.

    Args:
        window: The window that was asked for, if any.
        filters: The values that each record must show under the same names, as a plain value or as a relation's id.
    """

    def __init__(self, window: Window | None = None, filters: Mapping[str, str] | None = None) -> None:
        self._window = window
        self._by_update = window is not None and window.by == "updated_at"
        self._filters = filters or {}
        self.unverified_reason = ""
        self.filters_ignored = False

    def read(self, page: Page) -> list[Record]:
        """Return the rows of one page: the records in the page's order, then the rejected rows."""
        records = self._usual(page.records) or [self._record(text) for text in page.records]
        if self._filters and not self.unverified_reason:
            self._check_filters(records)
        for reject in page.rejects:
            self._note(f"a row is no record: {reject.reason:.200}")
            records.append(Record(reject.text, None, None, reject.reason))
        return records

    def _usual(self, texts: list[bytes]) -> list[Record]:
        """Return the records of a page if all of them begin as usual and lie in the window; otherwise none."""
        heads = b"\n".join([b"", *(text[:_HEAD_BYTES] for text in texts)]).decode("latin-1")
        found = _USUAL_HEADS.findall(heads)
        if len(found) != len(texts):
            return []
        if self._window is not None and not self._window.contains_all([head[1 + self._by_update] for head in found]):
            return []
        return [Record(text, int(head[0]), head[2]) for text, head in zip(texts, found, strict=True)]

    def _record(self, text: bytes) -> Record:
        try:
            head = _HEAD.decode(text)
        except UNREADABLE:
            head = self._odd_head(text)
        window, created, updated = self._window, _text(head.createdAt), _text(head.updatedAt)
        if window is not None and not window.contains(updated if self._by_update else created):
            self._note_ignored(window.by, head.id)
        never_updated = not updated or updated.startswith(_ZERO_DATE)
        return Record(text, head.id, updated or created, never_updated=never_updated)

    def _odd_head(self, text: bytes) -> _Head:
        """Return the usable values of a record that does not decode as expected, and note the others."""
        row = parse_record(text)
        created, updated = _time_text(row.get("createdAt")), _time_text(row.get("updatedAt"))
        head = _Head(parse_id(row.get("id")), created, updated)
        for name, found in (("id", head.id), ("createdAt", created), ("updatedAt", updated)):
            missing = row.get(name) is None or (name != "id" and row[name] is False)
            if found is None and not missing:
                where = "a record" if head.id is None else f"record {head.id!r:.100}"
                self._note(f"{where} has a value under {name} that cannot be used: {row[name]!r:.100}")
        return head

    def _check_filters(self, records: list[Record]) -> None:
        for record in records:
            try:
                members = _MEMBERS.decode(record.text)
                texts = {name: members[name] for name in self._filters if name in members}
                values = {name: _plain(msgspec.json.decode(text)) for name, text in texts.items()}
            except UNREADABLE:
                row = parse_record(record.text)
                values = {name: _plain(row[name]) for name in self._filters if name in row}
            for name, found in values.items():
                if found is not None and str(found).lower() != self._filters[name].lower():
                    self._note_ignored(name, record.id)
                    return

    def _note_ignored(self, name: str, identity: int | str | None) -> None:
        self.filters_ignored = True
        self._note(f"the shop ignores its filter {name}: see record {identity!r:.100}")

    def _note(self, reason: str) -> None:
        self.unverified_reason = self.unverified_reason or reason


def ids_of(records: Iterable[Record]) -> list[int | str]:
    """Return the ids of the records that have one, in order."""
    return [record.id for record in records if record.id is not None]


def lack_ids(records: Iterable[Record]) -> bool:
    """Whether a record has no id; rejected rows do not count."""
    return any(record.id is None and not record.reject_reason for record in records)


def split_repeated(records: Iterable[Record], known: Set[int | str]) -> tuple[list[Record], list[Record]]:
    """Return the new records and the repeated records. A record without an id counts as new.

    Args:
        records: In order; a record may repeat an earlier one of them.
        known: The ids of earlier records.
    """
    seen = set(known)
    new: list[Record] = []
    repeated: list[Record] = []
    for record in records:
        (new if record.id is None or record.id not in seen else repeated).append(record)
        if record.id is not None:
            seen.add(record.id)
    return new, repeated


def parse_id(value: Any) -> int | str | None:
    """Return an id that is a whole number or text; half a surrogate pair cannot be stored as text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return value if value.isascii() or value.encode(errors="replace").decode() == value else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.encode(errors="replace").decode() == value else None


def _text(value: str | bool | None) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: object) -> object:
    """Return the id of a relation, which the shop writes as `{"resource": {"id": …}}`, or a number or text as it is."""
    resource = value.get("resource") if isinstance(value, dict) else None
    if isinstance(resource, dict):
        return resource.get("id") or None
    return None if isinstance(value, dict | list | bool) else value
