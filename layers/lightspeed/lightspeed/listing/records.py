"""What is decoded of a list's records: enough to identify them and to check that they match the filters sent.

A value that the decoder cannot use (an id that is `false`, an `updatedAt` that is a number) counts as unknown. The
record is kept as sent, and the parser says why the list is then not verified.
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
    """One row of a list. It can be part of no reference cycle, so the garbage collector does not look at it.

    Attributes:
        text: Its JSON text as the shop sent it, on one line; a rejected row's bytes as sent.
        id: Its id; `None` if it has none that can be used.
        changed: `updatedAt`, or else `createdAt`, as the shop wrote it; `None` if it has neither.
        reject_reason: Why the row is no JSON object in UTF-8; empty for a record. Only a record may be stored as one.
        parent: The id of its parent, if it is a record of a nested list that was read for many parents.
        never_updated: Whether it has no `updatedAt`, or a zero date. A filter by time of change may hide it.
    """

    text: bytes
    id: int | str | None
    changed: str | None
    reject_reason: str = ""
    parent: int | str | None = None
    never_updated: bool = False


class Times(msgspec.Struct):
    """The times of a record, as the shop wrote them; empty if they are missing or no text."""

    created: str = msgspec.field(default="", name="createdAt")
    updated: str = msgspec.field(default="", name="updatedAt")


def times_of(record: Record) -> Times:
    """Return the times of a record."""
    try:
        return msgspec.json.decode(record.text, type=Times)
    except UNREADABLE:
        return Times()


class _Head(msgspec.Struct):
    id: int | str | None = None
    createdAt: str | bool | None = None  # noqa: N815 - the shop's spelling; `false` is its way to say none
    updatedAt: str | bool | None = None  # noqa: N815 - the shop's spelling


_HEAD = msgspec.json.Decoder(_Head, strict=False)
_TIME = r'"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d)"'
_USUAL_HEADS = re.compile(rf'\n{{"id":([1-9]\d{{0,17}}),"createdAt":{_TIME},"updatedAt":{_TIME}[,}}]', re.ASCII)
"""How the shop begins orders, products, variants, customers and most others: the rest need not be decoded."""

_HEAD_BYTES = 128

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ZERO_DATE = "0000"
"""How the year of a zero date is written."""


class RecordParser:
    """Decodes records and notes why a list made of them is not verified.

    Attributes:
        unverified_reason: The first reason found, or empty: a record that does not match what was asked for, a value
            that cannot be used, or a rejected row.
        filters_ignored: Whether a record does not match what was asked for.
    """

    def __init__(self, window: Window | None = None, filters: Mapping[str, str] | None = None) -> None:
        """Take what was asked for.

        Args:
            window: The window, if any.
            filters: What a record must show under the same names, or behind a relation.
        """
        self._window = window
        self._by_update = window is not None and window.by == "updated_at"
        self._filters = filters or {}
        self.unverified_reason = ""
        self.filters_ignored = False

    def read(self, page: Page) -> list[Record]:
        """Return the rows of one page, in its order; the rejected ones last."""
        records = self._usual(page.records) or [self._record(text) for text in page.records]
        if self._filters and not self.unverified_reason:
            self._check_filters(records)
        for reject in page.rejects:
            self._note(f"a row is no record: {reject.reason:.200}")
            records.append(Record(reject.text, None, None, reject.reason))
        return records

    def _usual(self, texts: list[bytes]) -> list[Record]:
        """Return the records of a page that all begin as usual and lie in the window; none if one does not.

        Times of one form and one offset from UTC sort like their texts, so only the outermost are parsed.
        """
        heads = b"\n".join([b"", *(text[:_HEAD_BYTES] for text in texts)]).decode("latin-1")
        found = _USUAL_HEADS.findall(heads)
        if len(found) != len(texts):
            return []
        if self._window is not None and not self._window.holds_all([head[1 + self._by_update] for head in found]):
            return []
        return [Record(text, int(head[0]), head[2]) for text, head in zip(texts, found, strict=True)]

    def _record(self, text: bytes) -> Record:
        try:
            head = _HEAD.decode(text)
        except UNREADABLE:
            head = self._odd_head(text)
        window, created, updated = self._window, _text(head.createdAt), _text(head.updatedAt)
        if window is not None and not window.holds(updated if self._by_update else created):
            self._note_ignored(window.by, head.id)
        never_updated = not updated or updated.startswith(_ZERO_DATE)
        return Record(text, head.id, updated or created, never_updated=never_updated)

    def _odd_head(self, text: bytes) -> _Head:
        """Return what can be used of a record that does not decode as expected, and note what cannot."""
        row = parse_record(text)
        created, updated = _time_text(row.get("createdAt")), _time_text(row.get("updatedAt"))
        head = _Head(usable_id(row.get("id")), created, updated)
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
    """Return the ids of those records that have one, in order."""
    return [record.id for record in records if record.id is not None]


def lack_ids(records: Iterable[Record]) -> bool:
    """Whether one of the records has no id, rejected rows left out."""
    return any(record.id is None and not record.reject_reason for record in records)


def split_repeated(records: Iterable[Record], known: Set[int | str]) -> tuple[list[Record], list[Record]]:
    """Return the records that come for the first time, and those that came before.

    Args:
        records: In order; one without an id counts as new.
        known: Ids of records that came before them.
    """
    seen = set(known)
    new: list[Record] = []
    repeated: list[Record] = []
    for record in records:
        (new if record.id is None or record.id not in seen else repeated).append(record)
        if record.id is not None:
            seen.add(record.id)
    return new, repeated


def usable_id(value: Any) -> int | str | None:
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
    """Return the id behind a relation, which is read as `{"resource": {"id": …}}`; any other value as it is."""
    resource = value.get("resource") if isinstance(value, dict) else None
    if isinstance(resource, dict):
        return resource.get("id") or None
    return None if isinstance(value, dict | list | bool) else value
