"""Checks of a function's arguments."""

from __future__ import annotations

import functools
from typing import Any

from jsonata.signature import Signature
from jsonata.utils import Utils

from connector.transform.engine.syntax import Lambda
from lightspeed.numbers import Exact

_SYMBOLS: dict[type, str] = {
    str: "s",
    bool: "b",
    int: "n",
    float: "n",
    Exact: "n",
    list: "a",
    Utils.JList: "a",
    dict: "o",
    Lambda: "f",
    type(None): "m",
}


class QuickSignature(Signature):  # type: ignore[misc]
    """A signature that caches, by the types of the arguments, whether they pass without a change."""

    def __init__(self, signature: str, function: str) -> None:
        super().__init__(signature, function)
        self._left_out = functools.lru_cache(maxsize=256)(self._count_left_out)

    @classmethod
    def of(cls, signature: Signature) -> QuickSignature:
        """Return a signature of the library as a `QuickSignature`."""
        quick = cls("<>", "")
        quick.__dict__.update(signature.__dict__)
        return quick

    def get_symbol(self, value: Any) -> str:
        """Return the letter of a value's type in a signature."""
        return _SYMBOLS.get(type(value)) or str(super().get_symbol(value))

    def validate(self, args: Any, context: Any) -> Any:
        """Return the arguments, with `None` or the context value for those that the call omits.

        An empty stand-in replaces a context that is an array or object: the library writes a context of a wrong type
        into its message, whatever its size.

        Raises:
            JException: An argument has a wrong type.
        """
        elements = frozenset(map(type, args[0])) if args and isinstance(args[0], list) else None
        left_out = self._left_out(tuple(map(type, args)), elements)
        if left_out is not None:
            return [*args, *[None] * left_out] if left_out else args
        if not isinstance(context, list | dict):
            return super().validate(args, context)
        stand_in: Any = [] if isinstance(context, list) else {}
        return [context if arg is stand_in else arg for arg in super().validate(args, stand_in)]

    def may_take_context(self, given: int) -> bool:
        """Return whether the context value may replace an argument of a call with `given` arguments."""
        return given < len(self._params) and any(param.context for param in self._params)

    def _count_left_out(self, kinds: tuple[type, ...], elements: frozenset[type] | None) -> int | None:
        """Return how many arguments a call omits; `None` if the library has to check arguments of these types."""
        symbols = [_SYMBOLS.get(kind, "") for kind in kinds]
        found = self._regex.fullmatch("".join(symbols)) if all(symbols) else None
        if found is None:
            return None
        for param, taken in zip(self._params, found.groups(), strict=True):
            fits = elements is not None and {_SYMBOLS.get(kind) for kind in elements} <= {param.subtype}
            if (param.context and not taken) or (
                param.type == "a" and (taken.strip("a") or (param.subtype and not fits))
            ):
                return None
        return int(found.groups().count(""))


class AnyArguments(QuickSignature):
    """The signature of a call with `?`, which takes arguments of any type, and fewer or more of them, as a lambda does.

    The library's functions ask it how many arguments to give.
    """

    @classmethod
    @functools.cache
    def of_number(cls, number: int) -> AnyArguments:
        """Return the signature of a call with so many `?`."""
        return cls(f"<{'x' * number}:x>", "")

    def validate(self, args: Any, context: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Return the arguments."""
        return args
