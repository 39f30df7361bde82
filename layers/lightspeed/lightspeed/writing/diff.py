"""Compare written fields with a record as the shop shows it.

The shop shows a record in another form than it accepts. It accepts a relation as a plain id and shows a link object. It
accepts a country as its code and shows an object. It shows some numbers as text, and `false` or `null` for none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from lightspeed.numbers import comparable, number_text

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
"""A number as the shop may show it as text. `007`, `+7` and `1_000` are no numbers."""

_CANONICAL = re.compile(r"(?!-0$)-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
"""The canonical text of a number: no exponent, and no zero that can be left out."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.*)?")
_FARTHEST_ZONE_SECONDS = 14 * 3600
"""The largest offset from UTC. A time without a zone may be in any zone."""

_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_NESTED = (Mapping, list, tuple)
_WRITE_ONLY = re.compile(r"password|attachment|filename|src|s3_key|doNotify\w*")
"""Fields that the shop takes and never shows."""


def difference(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the changes, `{field: {"from": …, "to": …}}`; empty if the shop already has these values.

    Args:
        before: The record as the shop shows it.
        after: The fields to write; `None` for a delete, which changes every field to `None`.
    """
    if after is None:
        return {name: {"from": value, "to": None} for name, value in before.items()}
    return {
        name: {"from": before.get(name), "to": value}
        for name, value in after.items()
        if not is_same_value(before.get(name), value)
    }


def ignored_fields(answer: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
    """Return the written fields that the answer shows with another value, or not at all.

    A value counts as accepted if the shop may show it in another form: `"1.0"` as `1`, `1` as `true`, a time in another
    zone. A nested object counts as accepted, because its form is not known. So does a field that the shop never shows.

    Args:
        answer: The record in the answer to the write.
        written: The fields that were sent.
    """
    return [
        name
        for name, value in written.items()
        if not _WRITE_ONLY.fullmatch(name) and not _accepted(answer.get(name), value)
    ]


def is_same_value(present: Any, wanted: Any) -> bool:
    """Whether a value that the shop shows equals a value to write.

    A number equals a text only if the text is the number's canonical form, or the form in which the number is written:
    `"10"` is 10, `"10.00"` and `"007"` are not.
    """
    if isinstance(present, _NESTED) or isinstance(wanted, _NESTED):
        return _same_nested(present, wanted)
    if _is_none(present) and _is_none(wanted):
        return True
    if isinstance(present, bool) or isinstance(wanted, bool):
        return _text(present) == _text(wanted)
    return not _is_none(present) and not _is_none(wanted) and _equal(present, wanted)


def _same_nested(present: Any, wanted: Any) -> bool:
    if isinstance(present, _NESTED) and isinstance(wanted, _NESTED) and not (present or wanted):
        return True
    if isinstance(present, Mapping) and isinstance(wanted, Mapping):
        return present.keys() == wanted.keys() and all(is_same_value(present[name], wanted[name]) for name in wanted)
    if isinstance(present, Mapping):
        return any(is_same_value(found, wanted) for found in identities(present))
    lists = isinstance(present, list | tuple) and isinstance(wanted, list | tuple)
    return lists and len(present) == len(wanted) and all(map(is_same_value, present, wanted))


def identities(link: Mapping[str, Any]) -> list[Any]:
    """Return the values by which a related record may be written: its id and its code."""
    resource = link.get("resource", link)
    if not isinstance(resource, Mapping):
        return []
    return [resource[name] for name in ("id", "code") if not _is_none(resource.get(name))]


def _accepted(shown: Any, written: Any) -> bool:
    if is_same_value(shown, written):
        return True
    if isinstance(shown, _NESTED) or isinstance(written, _NESTED):
        return _accepted_nested(shown, written)
    if isinstance(shown, bool) or isinstance(written, bool):
        return _flag(shown) == _flag(written)
    numbers = _number(_text(shown)), _number(_text(written))
    return numbers[0] == numbers[1] if None not in numbers else _same_wall_clock(str(shown), str(written))


def _accepted_nested(shown: Any, written: Any) -> bool:
    if isinstance(shown, list) and isinstance(written, list):
        return _same_elements(shown, written)
    if isinstance(written, _NESTED):
        return isinstance(shown, _NESTED) if written else _is_none(shown)
    return _is_none(written) and not (identities(shown) if isinstance(shown, Mapping) else shown)


def _same_elements(shown: list[Any], written: list[Any]) -> bool:
    """Whether two lists have the same elements, in any order."""
    return len(shown) == len(written) and all(any(_accepted(one, value) for one in shown) for value in written)


def _is_none(value: Any) -> bool:
    return value is None or value is False or value == ""


def _flag(value: Any) -> bool | None:
    return False if _is_none(value) else _FLAGS.get(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, int | float | Decimal) else str(value)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _equal(present: Any, wanted: Any) -> bool:
    if isinstance(present, str) and isinstance(wanted, str):
        return present == wanted or _same_moment(present, wanted)
    if not isinstance(present, str) and not isinstance(wanted, str):
        return comparable(_text(present)) == comparable(_text(wanted))
    text, number = (present, wanted) if isinstance(present, str) else (wanted, present)
    if _CANONICAL.fullmatch(text):
        return Decimal(text) == comparable(_text(number))
    return text == _text(number) != "-0"


def _same_moment(present: str, wanted: str) -> bool:
    times = _times(present, wanted)
    return len(times) == 2 and all(time.tzinfo is not None for time in times) and times[0] == times[1]


def _same_wall_clock(shown: str, written: str) -> bool:
    """Whether two times may be the same, if one of them has no zone."""
    times = _times(shown, written)
    if len(times) < 2 or all(time.tzinfo is not None for time in times):
        return False
    first, second = (time.replace(tzinfo=None) for time in times)
    return abs((first - second).total_seconds()) <= _FARTHEST_ZONE_SECONDS


def _times(*texts: str) -> list[datetime]:
    """Return the texts as times; fewer if one is no time."""
    try:
        return [datetime.fromisoformat(text) for text in texts if _TIME.fullmatch(text)]
    except ValueError:
        return []
