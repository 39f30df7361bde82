"""Syntax nodes, variables and regular expressions of a parsed expression."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from jsonata.parser import Parser
from jsonata.regex_engine import RegexFlags, default_regex_engine

Lambda: Any = type("Symbol", (Parser.Symbol,), {**vars(Parser.Symbol(None)), "_jsonata_lambda": True})
"""The library's lambda. The class has the attributes that all lambdas share; the library sets fifty for each."""


def nodes(ast: Any) -> Iterator[Any]:
    """Yield every syntax node of a parsed expression."""
    waiting, seen = [ast], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, list | tuple):
            waiting.extend(node)
        elif isinstance(node, Parser.Symbol) and id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(value for name, value in vars(node).items() if name != "_outer_instance")


def bound_names(ast: Any) -> set[Any]:
    """Return the names of all variables that an expression binds, and `:=` if it has a binding of that form."""
    names: set[Any] = set()
    for node in nodes(ast):
        names.update((node.focus, node.index, node.value if node.type == "index" else None))
        if node.type == "bind":
            names.update((":=", node.lhs.value))
        elif node.type == "lambda":
            names.update(argument.value for argument in node.arguments)
    return names


class Frame(dict[str, Any]):
    """Variables by name. A variable that neither the frame nor a parent holds is `None`."""

    __slots__ = ("parent",)

    parent: Frame | None

    @classmethod
    def inside(cls, parent: Frame | None, variables: Mapping[str, object] | None = None) -> Frame:
        """Return a frame of these variables inside a parent."""
        frame = cls(variables or ())
        frame.parent = parent
        return frame

    def __missing__(self, name: str) -> Any:
        frame = self.parent
        while frame is not None and name not in frame:
            frame = frame.parent
        return None if frame is None else frame[name]

    lookup = dict.__getitem__

    def bind(self, name: str, value: Any) -> None:
        """Set a variable. A function with a signature gets the name, for errors."""
        self[name] = value
        if isinstance(value, Parser.Symbol) and value.signature is not None:
            value.signature.set_function_name(name)


def plain_path(path: Any) -> tuple[str, tuple[str, ...]]:
    """Return the variable and the names of a path such as `$v.a.b` or `a.b`; no names for any other path."""
    if (
        path.type != "path"
        or path.predicate is not None
        or path.keep_array
        or path.group is not None
        or path.tuple is not None
        or path.keep_singleton_array
    ):
        return "", ()
    for step in path.steps:
        marks = (step.predicate, step.stages, step.tuple, step.focus, step.index, step.ancestor, step.group)
        if step.keep_array or step.consarray or any(mark is not None for mark in marks):
            return "", ()
    first, names = path.steps[0], path.steps
    variable = ""
    if first.type == "variable" and first.value:
        variable, names = first.value, path.steps[1:]
    if any(step.type != "name" for step in names):
        return "", ()
    return variable, tuple(step.value for step in names)


def compiled_pattern(pattern: str, flags: RegexFlags) -> re.Pattern[str]:
    """Compile a regular expression.

    Raises:
        ValueError: The pattern is wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiled: re.Pattern[str] = default_regex_engine(pattern, flags)
            return compiled
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"the regular expression /{pattern:.60}/ is wrong: {error}") from None
