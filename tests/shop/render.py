"""Renders stored rows as the JSON text of answers.

A page of 250 orders has a megabyte, so this has to be fast. A renderer keeps the encoded text of every default and
replaces only the fields of the row. At the end, one replacement writes the row's id into all its links.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial
from json.encoder import encode_basestring_ascii as encode_string
from typing import Any

from .places import COUNTRIES, country_record, language_record
from .shapes import Field, Layered, Row, Shape

_OWN_ID = "\x00"  # cannot occur in JSON text, which escapes it
_KEPT_SHARED = 8192
Encode = Callable[[Any], str]
Lookup = Callable[[str, int], str | None]


def encode(value: Any) -> str:
    """Encode a plain value; a whole number is written without a decimal point, as PHP does."""
    kind = type(value)
    if kind is str:
        return encode_string(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if value is None:
        return "null"
    if kind is float:
        return str(int(value)) if value.is_integer() else repr(round(value, 6))
    return _encode_many(value)


def _encode_many(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode_string(name)}:{encode(each)}" for name, each in value.items()]) + "}"
    return "[" + ",".join([encode(each) for each in value]) + "]"


_country = lru_cache(64)(lambda code: encode(country_record(code)) if code in COUNTRIES else encode(code))
_language = lru_cache(64)(lambda code: encode(language_record(code)) if code else "false")
_iso_cache: dict[int, str] = {}


def iso(epoch: int | None) -> str | None:
    """Format epoch seconds as ISO-8601 with the offset of the shop's zone, Amsterdam."""
    if epoch is None:
        return None
    hour, rest = divmod(epoch, 3600)
    prefix = _iso_cache.get(hour)
    if prefix is None:
        if len(_iso_cache) > 50_000:
            _iso_cache.clear()
        prefix = _iso_cache[hour] = _hour(hour * 3600)
    return f"{prefix[:14]}{rest // 60:02d}:{rest % 60:02d}{prefix[19:]}"


def _hour(epoch: int) -> str:
    """Format a full hour in Amsterdam's time, by the European rule for summer time rather than a time zone database."""
    utc = datetime.fromtimestamp(epoch, UTC)
    begin, end = (_last_sunday(utc.year, month) for month in (3, 10))
    return utc.astimezone(timezone(timedelta(hours=2 if begin <= utc < end else 1))).isoformat()


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=last.isoweekday() % 7)


class Renderer:
    """Renders the rows of one shape in one language.

    Args:
        shape: the fields.
        language: the language segment; picks translations and goes into links.
        origin: `http://host:port`, for links.
        lookup: returns the JSON text of another record in the same language, or None.
    """

    def __init__(self, shape: Shape, language: str, origin: str, lookup: Lookup) -> None:
        self._language = language
        self._base = f"{origin}/{language}/"
        self._lookup = lookup
        self._defaults: list[str] = []
        self._slots: dict[str, tuple[int, str, Encode]] = {}
        self._below: dict[str, Field] = {}
        self._shared: dict[int, tuple[Row, list[str]]] = {}
        for position, field in enumerate(shape):
            prefix = encode_string(field.name) + ":"
            encoder = self._encoder(field)
            self._slots[field.name] = (position, prefix, encoder)
            self._defaults.append(
                prefix + (_OWN_ID if field.name == "id" and field.default == 0 else encoder(field.default))
            )
            if field.address:
                self._below[field.name] = field

    def text(self, row: Row, fields: Iterable[str] | None = None) -> str:
        """Return the record as JSON text, with only the given fields if there are any."""
        slots = self._slots
        if isinstance(row, Layered):
            parts = self._shared_parts(row.shared).copy()
            self._fill(parts, row.own)
        else:
            parts = self._defaults.copy()
            self._fill(parts, row)
        for name, field in self._below.items():
            if row.get(name):
                address = field.address.format_map(row)
                parts[slots[name][0]] = slots[name][1] + self._link(str(row[name]), address, address)
        if fields is not None:
            wanted = set(fields)
            parts = [parts[position] for name, (position, _, _) in slots.items() if name in wanted]
        return ("{" + ",".join(parts) + "}").replace(_OWN_ID, str(row.get("id", "")))

    def record(self, row: Row) -> dict[str, Any]:
        """Return the record decoded."""
        decoded: dict[str, Any] = json.loads(self.text(row))
        return decoded

    def _fill(self, parts: list[str], fields: Row) -> None:
        slots = self._slots
        for name, value in fields.items():
            slot = slots.get(name)
            if slot is not None:
                parts[slot[0]] = slot[1] + slot[2](value)

    def _shared_parts(self, shared: Row) -> list[str]:
        known = self._shared.get(id(shared))
        if known is None:
            if len(self._shared) > _KEPT_SHARED:
                self._shared.clear()
            parts = self._defaults.copy()
            self._fill(parts, shared)
            known = self._shared[id(shared)] = (shared, parts)  # holding it keeps its identity its own
        return known[1]

    def _encoder(self, field: Field) -> Encode:
        simple: dict[str, Encode] = {
            "plain": encode,
            "time": _time,
            "country": _country,
            "language": _language,
            "image": _image,
            "text": self._text,
        }
        if field.kind in simple:
            return simple[field.kind]
        if field.kind == "many":
            link = self._link("false", field.target, field.link or field.target)
            return lambda value: "false" if value is False else link
        if field.kind == "one":
            return partial(self._one, field.target)
        if field.kind == "ones":
            return lambda value: "[" + ",".join(self._one(field.target, number) for number in value) + "]"
        if field.kind == "embed":
            return lambda value: (self._lookup(field.target, value) if value else None) or "false"
        return partial(self._embeds, field.target)

    def _one(self, target: str, number: Any) -> str:
        return self._link(str(number), f"{target}/{number}", f"{target}/{number}") if number else "false"

    def _link(self, number: str, url: str, link: str) -> str:
        path, mark, query = link.partition("?")
        text = f'{{"resource":{{"id":{number},"url":"{url}","link":"{self._base}{path}.json{mark}{query}"}}}}'
        return text.replace("{id}", _OWN_ID)

    def _embeds(self, target: str, numbers: Iterable[int]) -> str:
        found = (self._lookup(target, number) for number in numbers)
        return "[" + ",".join(text for text in found if text) + "]"

    def _text(self, value: Any) -> str:
        if isinstance(value, dict):
            value = value[self._language] if self._language in value else next(iter(value.values()), "")
        return encode(value)


def _time(epoch: int | None) -> str:
    return "null" if epoch is None else f'"{iso(epoch)}"'


def _image(image: Any) -> str:
    if not image:
        return "false"
    stamps = {"createdAt": iso(image["createdAt"]), "updatedAt": iso(image["updatedAt"])}
    return encode(stamps | {name: image[name] for name in ("extension", "size", "title", "thumb", "src")})
