"""Take records out of the shop's answers without rebuilding them.

`msgspec.Raw` slices keep the text of each record exactly as the shop sent it, and cost a fraction of parsing it. The
envelope keys are irregular, and not all are proven. So a list or record is accepted under the catalogue's key, under a
documented variant of it, or under the only key that holds one.

A page that does not decode as a whole is cut into rows at brackets and strings. So one odd row does not hide the
others. A row that is no JSON object in UTF-8 becomes a `Reject`, and so does an empty place between two commas.
`joined_rows` parts rows that a surplus quote has joined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from lightspeed.catalogue.entities import PROVEN_LIST_KEYS
from lightspeed.catalogue.model import Endpoint
from lightspeed.joined_rows import is_object, rows_of_whole_list, split_joined_rows
from lightspeed.json_text import (
    UNREADABLE,
    UnreadableBody,
    elements,
    object_members,
    one_line,
    parse,
    parse_record,
    reject_reason,
)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTS = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_COUNT = msgspec.json.Decoder(int | float | str)
_COUNT_TEXT = re.compile(r"(\d{1,15})(\.0*)?", re.ASCII)
_NOTHING = (b"false", b"null", b'""', b"[]")
_MESSAGE_CHARACTERS = 1000

MAX_VALUES = 500_000
"""The most values of an answer: twenty times those of a page of orders. Each takes up to 200 bytes of memory."""

_FEW_BYTES = 2 * 1024 * 1024
"""The values of a body up to this size are not counted: about a million at most. An error of the shop is smaller."""


class EnvelopeError(ValueError):
    """The body is JSON, but holds no record, list or count."""


class TooManyValues(ValueError):
    """The body has more values than fit into memory. Fewer rows per page may help."""


class ErrorInside(ValueError):
    """The body of a 2xx answer carries an `error`.

    Attributes:
        code: The error's own code, or 0.
        message: The error's own message.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is no JSON object in UTF-8.

    Attributes:
        text: The row's bytes as the shop sent them.
        reason: Why the row is no JSON object in UTF-8.
    """

    text: bytes
    reason: str


class Page(NamedTuple):
    """The rows of one list answer, in the shop's order.

    Attributes:
        records: Each record's JSON text as the shop sent it: one JSON object on one line.
        rejects: The rows that are no JSON object in UTF-8.
        is_usual: Whether the body has a list under the list's own key. Then an empty page proves an empty list.
    """

    records: list[bytes]
    rejects: list[Reject]
    is_usual: bool = True

    @property
    def rows(self) -> int:
        """The number of rows, rejects included."""
        return len(self.records) + len(self.rejects)


def check_values(body: bytes) -> None:
    """Check that the values of a body fit into memory: 64 KB of gzip can hold twenty million rows.

    Raises:
        TooManyValues: A body of more than `_FEW_BYTES` has more than `MAX_VALUES` commas, those in texts included.
    """
    if len(body) > _FEW_BYTES and body.count(b",") > MAX_VALUES:
        raise TooManyValues(f"the answer has more than {MAX_VALUES:,} values")


def unwrap_page(body: bytes, endpoint: Endpoint) -> Page:
    """Return the rows of a list answer.

    Raises:
        EnvelopeError: The body holds no list.
        ErrorInside: The body carries an `error`.
        UnreadableBody: The body is no JSON, and cannot be cut into rows.
    """
    try:
        if not body.isascii():
            body.decode()
        usual = _under_known_key(body, endpoint)
        texts = _rows(body, endpoint, _members, _array) if usual is None else [bytes(text) for text in usual]
    except (*UNREADABLE, UnreadableBody) as error:
        return _page_of(_cut_rows(body.strip(), endpoint, error))
    if b"\n" in body or b"\r" in body:
        texts = [one_line(text) for text in texts]
    return Page(texts, [], usual is not None) if all(map(is_object, texts)) else _page_of(texts)


def _under_known_key(body: bytes, endpoint: Endpoint) -> list[msgspec.Raw] | None:
    """Return the list under the list's own key, in one pass; `None` if the body has another form."""
    try:
        members = _LISTS.decode(body)
    except msgspec.ValidationError:
        return None
    return members.get(endpoint.items or "") if "error" not in members else None


def _rows(
    body: bytes,
    endpoint: Endpoint,
    members_of: Callable[[bytes], Mapping[str, bytes]],
    rows_of: Callable[[bytes], list[bytes]],
) -> list[bytes]:
    """Return the rows of an answer that is a list, or that has one under a key."""
    if _first(body) == b"[":
        return rows_of(body)
    members = members_of(body)
    lists = {key for key, text in members.items() if _first(text) == b"["}
    known = (endpoint.items, endpoint.item, *endpoint.alternative_keys)
    key = next((key for key in known if key is not None and key in members), None)
    if key is None and len(lists) == 1 and not (endpoint.items in PROVEN_LIST_KEYS and lists <= PROVEN_LIST_KEYS):
        key = next(iter(lists))
    if key is None:  # the list of another entity is refused: a proxy may mix up answers
        raise EnvelopeError(f"expected a list under {endpoint.items!r}, found {_keys(members)}")
    if key in lists:
        return rows_of(members[key])
    text = members[key].strip()
    if text in _NOTHING:
        return []
    if _first(text) == b"{":
        numbered = object_members(text)
        if all(part.name.isdecimal() for part in numbered):
            missing = len(elements(text)) - len(numbered)
            return [part.value for part in numbered] + [b""] * missing
    raise EnvelopeError(f"expected a list under {key!r}")


def _cut_rows(body: bytes, endpoint: Endpoint, error: Exception) -> list[bytes]:
    """Return the rows of a list answer that does not decode as a whole, without checking them."""
    try:
        return _rows(body, endpoint, _cut_members, elements)
    except (EnvelopeError, UnreadableBody):
        rows = rows_of_whole_list(body, endpoint.items)
        if not rows:
            raise UnreadableBody(_reason(error, body)) from None
        return rows


def _page_of(texts: list[bytes]) -> Page:
    """Return rows as a page: a JSON object is a record, anything else a reject."""
    found, reasons = Page([], []), [reject_reason(text) for text in texts]
    odd = any(reasons)
    forms = {frozenset(parse_record(text)) for text, reason in zip(texts, reasons, strict=True) if odd and not reason}
    for row, why in zip(texts, reasons, strict=True):
        for text in split_joined_rows(row, forms) if why else [row]:
            reason = reject_reason(text) if why else ""
            if reason:
                found.rejects.append(Reject(text, reason))
            else:
                found.records.append(one_line(text))
    return found


def unwrap_record(body: bytes, endpoint: Endpoint, answer: str | None, *, several: bool = False) -> bytes | None:
    """Return the text of the one record of an answer, on one line; `None` for `false`, `null`, `""` or `[]`.

    Args:
        body: The answer's body.
        endpoint: The record's entity.
        answer: The envelope key of the operation's answer, or `None`.
        several: Whether to accept a list of records, as after a bulk write, and to return its whole text.

    Raises:
        EnvelopeError: The body holds no record.
        ErrorInside: The body carries an `error`.
        UnreadableBody: The body is no JSON in UTF-8.
    """
    text = body.strip()
    if endpoint.bare:
        if text in _NOTHING and not several:
            return None
        if _first(text) == b"[":
            _array(text)
        else:
            _members(text)
        return one_line(text)
    members = _members(text)
    for key in (answer, *endpoint.alternative_keys, endpoint.items):
        if key is not None and key in members:
            return one_line(members[key]) if several else _one_record(members[key], key)
    objects = [member for member in members.values() if _first(member) == b"{"]
    if len(members) == 1 and len(objects) == 1:
        return one_line(objects[0])
    if answer is None or answer != endpoint.item:
        return one_line(text)
    raise EnvelopeError(f"expected a record under {answer!r}, found {_keys(members)}")


def unwrap_record_page(body: bytes, endpoint: Endpoint, answer: str | None) -> Page:
    """Return the answer to a `get` as a page: with one record, with one reject, or empty for `false`.

    Raises:
        EnvelopeError: The body holds no record.
        ErrorInside: The body carries an `error`.
        UnreadableBody: The body is no JSON, and no record can be cut out of it.
    """
    try:
        text = unwrap_record(body, endpoint, answer)
    except (EnvelopeError, UnreadableBody):
        with suppress(UnreadableBody):
            for part in object_members(body.strip()):
                if part.name in (answer, *endpoint.alternative_keys) and (reason := reject_reason(part.value)):
                    return Page([], [Reject(part.value, reason)])
        raise
    return Page([] if text is None else [text], [])


def unwrap_count(body: bytes) -> int:
    """Return the number of a count answer: `{"count": 42}`, also as text or as `42.0`.

    Raises:
        EnvelopeError: The body holds no count, or one that is no whole number from 0 up.
        ErrorInside: The body carries an `error`.
        UnreadableBody: The body is no JSON.
    """
    members = _members(body)
    if "count" not in members:
        raise EnvelopeError(f"expected a count, found {_keys(members)}")
    text = members["count"]
    try:
        found = _COUNT_TEXT.fullmatch(str(_COUNT.decode(text)).strip())
    except UNREADABLE:
        found = None
    if found is None:
        raise EnvelopeError(f"expected a count of 0 or more, found {_excerpt(text)}")
    return int(found[1])


def unwrap_error(body: bytes) -> tuple[int, str] | None:
    """Return code and message of an error envelope `{"error": {"code", "message"}}`; `None` for another body."""
    try:
        envelope = parse(body) if len(body) <= _FEW_BYTES else None
    except ValueError:
        return None
    inside = envelope.get("error") if isinstance(envelope, dict) else None
    return _code_and_message(inside) if isinstance(inside, dict) else None


def _code_and_message(inside: Mapping[str, Any]) -> tuple[int, str]:
    code, details = inside.get("code"), inside.get("errors")
    message = str(inside.get("message") or "no message") + (f" {details}" if details else "")
    known = code if isinstance(code, int) and 0 < code < 1000 else 0
    return known, _printable(message)[:_MESSAGE_CHARACTERS]


def _members(body: bytes) -> dict[str, bytes]:
    """Return the members of an answer's object, without an `error` that says nothing."""
    try:
        if not body.isascii():
            body.decode()
        members = _OBJECT.decode(body)
    except msgspec.ValidationError:
        raise EnvelopeError(f"expected a JSON object, found {_excerpt(body)}") from None
    except UNREADABLE as error:
        if reject_reason(body):
            raise UnreadableBody(_reason(error, body)) from None
        return _cut_members(body)
    return _without_error({name: bytes(text) for name, text in members.items()})


def _cut_members(body: bytes) -> dict[str, bytes]:
    """Return the members of an object that does not decode as a whole, without checking them."""
    return _without_error({part.name: part.value for part in object_members(body)})


def _without_error(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return members without an `error` that says nothing.

    `null`, `false`, `""` and `[]` say nothing. `{}` and `0` say nothing if there are other members: this shop sometimes
    writes `{}` for `[]`.

    Raises:
        ErrorInside: The `error` says something.
    """
    text = members.pop("error", b"null").strip()
    if text in _NOTHING or (members and text in (b"{}", b"{ }", b"0")):
        return members
    try:
        inside = parse(text)
    except ValueError:
        inside = None
    if isinstance(inside, dict):
        raise ErrorInside(*_code_and_message(inside))
    raise ErrorInside(0, text.decode(errors="replace")[:200])


def _array(text: bytes) -> list[bytes]:
    """Return the text of each element of a JSON array."""
    try:
        return [bytes(element) for element in _ARRAY.decode(text)]
    except UNREADABLE as error:
        if reject_reason(b'{"":%b}' % text):
            raise UnreadableBody(_reason(error, text)) from None
        return elements(text)


def _one_record(text: bytes, key: str) -> bytes | None:
    """Return the one record under a key: an object, or a list with one object in it."""
    if text in _NOTHING:
        return None
    if _first(text) == b"[":
        found = _array(text)
        if len(found) > 1:
            raise EnvelopeError(f"expected one record under {key!r}, found a list of {len(found)}")
        text = found[0] if found else b"[]"
    if text in _NOTHING:
        return None
    if _first(text) != b"{":
        raise EnvelopeError(f"expected a record under {key!r}, found {_excerpt(text)}")
    return one_line(text)


def _first(text: bytes) -> bytes:
    return text[:64].lstrip()[:1]


def _keys(members: Mapping[str, object]) -> str:
    return _printable(", ".join(members))[:200] or "an empty object"


def _excerpt(text: bytes) -> str:
    return " ".join(text[:100].decode(errors="replace").split()) or "nothing"


def _printable(text: str) -> str:
    """Return a text with a question mark for each half of a surrogate pair, which cannot be encoded."""
    return text.encode(errors="replace").decode()


def _reason(error: Exception, body: bytes) -> str:
    """Return why a body is no JSON, and at which byte."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return str(error) if any(map(str.isdigit, str(error))) else f"{error} (byte {len(body)})"
