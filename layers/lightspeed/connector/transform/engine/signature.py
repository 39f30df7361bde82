"""Checks of a function's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonata.signature import Signature
from jsonata.utils import Utils

from lightspeed.numbers import Exact

_SYMBOLS: Mapping[type, str] = {
    str: "s",
    bool: "b",
    int: "n",
    float: "n",
    Exact: "n",
    list: "a",
    Utils.JList: "a",
    dict: "o",
    type(None): "m",
}


class QuickSignature(Signature):  # type: ignore[misc]
    """A signature that knows the JSON types by their class; the library tries several questions for each argument."""

    @classmethod
    def of(cls, signature: Signature) -> QuickSignature:
        """Return a signature of the library as one of these."""
        quick = cls.__new__(cls)
        quick.__dict__.update(signature.__dict__)
        return quick

    def get_symbol(self, value: Any) -> str:
        """Return the letter of a value's type."""
        return _SYMBOLS.get(type(value)) or str(super().get_symbol(value))
