"""Turns errors of the JSONata engine into sentences with a position in the expression."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Collection
from typing import Any

from jsonata import JException
from jsonata.utils import Utils

from connector.errors import TransformError
from connector.transform.engine.limits import LimitExceeded

_TYPES = {"n": "numbers", "s": "strings", "o": "objects", "b": "booleans", "a": "arrays", "f": "functions"}
_SENTENCES = {
    "S0102": "number out of range",
    "D1001": "number out of range",
    "T1005": "calls {first} without $; did you mean ${first}?",
    "T0410": "argument {first} of ${second} is of another type than the function takes, or one too many follows",
    "T0411": "argument {second} is missing, and the context value {first_value} cannot stand for it",
    "T0412": "argument {first} of ${second} must be an array of {types}",
    "T2001": "the left side of {first} must be a number, not {second_value}",
    "T2002": "the right side of {first} must be a number, not {second_value}",
    "T2003": "the left side of .. must be a whole number, not {first_value}",
    "T2004": "the right side of .. must be a whole number, not {first_value}",
    "T2009": "{first_value} and {second_value} cannot be compared: they are of different types",
}
_NAMED = re.compile(r"\$?\w*\s*\($|[$\w]+$|`[^`]*`$")
_OPERATOR = re.compile(r"(?:\.\.|:=|!=|>=|<=|\*\*|~>|\?:|\?\?)$")
_END = "(end)"
_UNCLOSED = ("S0101", "S0105", "S0106", "S0207", "S0302")


def failure(
    error: BaseException, expression: str, node: Any, known: Collection[str] = (), saved_as: str = ""
) -> TransformError:
    """Return the error that names the expression, the position and what would be right.

    Args:
        error: An error of parsing or of evaluation.
        expression: The JSONata text.
        node: The syntax node that failed; `None` if it is unknown.
        known: Names of functions. The nearest one is proposed for an unknown name.
        saved_as: The reference of a saved transformer.
    """
    position = token_start(expression, node.position) if node is not None else -1
    if isinstance(error, JException):
        message, position = _jsonata_message(error, known), _jsonata_position(error, expression, position)
    elif isinstance(error, IndexError) and node is None:
        message, position = "ends too early: a string, a comment or a regular expression is not closed", len(expression)
    else:
        message = _python_message(error)
    message = message.rstrip(".") + (f" (in {saved_as})" if saved_as else "")
    return TransformError(message, expression=expression, position=position)


def _jsonata_position(error: JException, expression: str, position: int) -> int:
    """Return the position of the library's error, or the node's position if the library does not know one."""
    if not error.error.startswith("S"):  # no syntax error
        return token_start(expression, error.location) if error.location > 0 and error.error != "D3138" else position
    if error.expected == _END or error.error in _UNCLOSED:
        return len(expression)
    return token_start(expression, error.location)


def _python_message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "goes too deep"
    if isinstance(error, ZeroDivisionError):
        return "divides by zero"
    if isinstance(error, MemoryError | OverflowError):
        return f"makes a value that is too large ({error})"
    return str(error) if isinstance(error, LimitExceeded | ValueError) else f"cannot be evaluated: {error}"


def token_start(expression: str, end: int) -> int:
    """Return the start of the token that ends at a position. The library gives the ends of tokens."""
    if not 0 < end <= len(expression):
        return max(0, min(end, len(expression)))
    text = expression[:end]
    if text[-1] in "\"'":
        start = text.rfind(text[-1], 0, end - 1)
        return start if start >= 0 else end - 1
    found = _NAMED.search(text) or _OPERATOR.search(text)
    return found.start() if found is not None else end - 1


def line_and_column(expression: str, position: int) -> tuple[int, int]:
    """Return line and column of a position, both from 1."""
    before = expression[: max(position, 0)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def caret(expression: str, position: int) -> str:
    """Return the line of a position with a caret under it; for a negative position the whole expression."""
    if position < 0:
        return expression
    line, column = line_and_column(expression, position)
    return f"{expression.splitlines()[line - 1] if expression else ''}\n{' ' * (column - 1)}^"


def _jsonata_message(error: JException, known: Collection[str]) -> str:
    first, second, third = error.current, error.expected, error.extra
    if error.error == "T1006":
        return _no_function(first, known)
    template = _SENTENCES.get(error.error)
    if template is not None and (second is not None or "{second}" not in template):
        types = _TYPES.get(str(third), str(third))
        return template.format(
            first=first, second=second, first_value=short_repr(first), second_value=short_repr(second), types=types
        )
    text = str(error).replace(" Object ", " function ").replace("JSonataException ", "")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _no_function(name: object, known: Collection[str]) -> str:
    if not isinstance(name, str) or not name:
        return "calls something that is no function"
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"there is no function ${name}" + (f"; did you mean ${nearest[0]}?" if nearest else "")


_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxdict, _BRIEF.maxlist, _BRIEF.maxstring, _BRIEF.maxother, _BRIEF.maxlong = 2, 3, 3, 50, 50, 40


def short_repr(value: object) -> str:
    """Return a value for a message, in at most 80 characters. The value may have any size and depth."""
    if value is None:
        return "nothing"
    if value is Utils.NULL_VALUE:
        return "null"
    if not isinstance(value, str | int | float | list | dict):
        return "a function"
    text = _BRIEF.repr(dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
