"""JSON in which numbers remember how they were written."""

from __future__ import annotations

import json
from typing import Any


class Exact(float):
    """A number as it stood in JSON text: it computes as a float, and is written as it was read.

    So `1.10` stays `1.10` and `1e400`, which no float can hold, stays itself where an expression only moves it.
    """

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Exact:
        """Keep the text beside the nearest float."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __deepcopy__(self, _memo: object) -> Exact:
        return self


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def loads(text: bytes | str) -> Any:
    """Read JSON text; whole numbers are exact at any size, others remember their text.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deep.
    """
    return json.loads(text, parse_float=Exact, parse_constant=_no_constant)
