"""What a write changes: the shop's present values beside those that would be written, field by field.

The shop reads otherwise than it is written: a relation is written as a plain id and read as a link object, a country
as its code and read as an object, numbers come back as text, and `false` stands for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_NONE = (None, False, "")
_TRUE = (True, 1, "1", "true")
_FALSE = (False, 0, "0", "false", None, "")


def difference(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what changes, `{field: {"from": …, "to": …}}`; empty if the shop already has these values.

    Args:
        before: The record as the shop shows it.
        after: The fields that are written; `None` for a delete, which takes every field away.
    """
    if after is None:
        return {name: {"from": value, "to": None} for name, value in before.items()}
    return {
        name: {"from": before.get(name), "to": value}
        for name, value in after.items()
        if not same(before.get(name), value)
    }


def same(present: Any, wanted: Any) -> bool:
    """Whether a value as the shop shows it is the one that was written or would be."""
    if isinstance(present, Mapping) and not isinstance(wanted, Mapping):
        return any(same(found, wanted) for found in identities(present))
    if isinstance(present, Mapping | list) or isinstance(wanted, Mapping | list):
        return bool(present == wanted)
    if isinstance(wanted, bool):
        return present in (_TRUE if wanted else _FALSE)
    if wanted in (None, ""):
        return any(present is none for none in (None, False)) or present == ""
    if isinstance(present, bool):
        return wanted in (_TRUE if present else _FALSE)
    return str(present) == str(wanted) or _equal_numbers(present, wanted)


def identities(link: Mapping[str, Any]) -> list[Any]:
    """Return what a related record may have been written as: its id, or its code."""
    resource = link.get("resource", link)
    if not isinstance(resource, Mapping):
        return []
    return [resource[name] for name in ("id", "code") if resource.get(name) not in _NONE]


def _equal_numbers(present: float | str, wanted: float | str) -> bool:
    """Compare `10.00` with 10; two texts are compared as they are, for `007` is not `7`."""
    if isinstance(present, str) and isinstance(wanted, str):
        return False
    try:
        return Decimal(str(present)) == Decimal(str(wanted))
    except InvalidOperation:
        return False
