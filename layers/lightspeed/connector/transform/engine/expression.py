"""The engine's interface: compile an expression once, evaluate it on many values.

Other packages use this module, `limits`, `values` and `errors`, and never the JSONata library itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.errors import TransformError
from connector.transform.engine.engine import parse
from connector.transform.engine.errors import failure
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.engine.limits import LimitExceeded, Meter
from connector.transform.engine.syntax import nodes


class Surroundings(Protocol):
    """What functions of an expression may ask for while one input is evaluated."""

    @property
    def random(self) -> Any:
        """The source of random numbers, a `random.Random`."""
        ...

    @property
    def now_milliseconds(self) -> float:
        """The time that `$now()` and `$millis()` answer, milliseconds since 1970."""
        ...

    def table(self, name: str) -> Mapping[str, Any]:
        """Return the table that `$lookup_table` asks for."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What an expression can use in addition to its input.

    Attributes:
        surroundings: What functions may ask for.
        variables: Values by name, without `$`.
    """

    surroundings: Surroundings
    variables: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TableUse:
    """A call of `$lookup_table` that names its table as a literal.

    Attributes:
        table: The name.
        place: The syntax node, for the error.
    """

    table: str
    place: Any


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. It may be used in any thread.

    Attributes:
        text: JSONata.
        saved_as: The reference by which it was loaded, or empty.
    """

    text: str
    saved_as: str = ""

    def evaluate(self, value: Any, limits: Meter, context: Context) -> Any:
        """Evaluate the expression.

        Args:
            value: The input, of JSON types. It is not changed.
            limits: What is left to use. Several expressions may share it.
            context: What else the expression can use.

        Returns:
            The library's types, which the functions of `values` turn into JSON.

        Raises:
            LimitExceeded: A bound is reached.
            Escaped: The surroundings failed.
            Exception: The expression failed; `limits` knows where, and `failed` says it.
        """
        limits.expression, limits.failed_at = self.text, None
        found = parse(self.text).run(value, limits, context.surroundings, context.variables)
        limits.failed_at = None
        return found

    def tables(self) -> Iterator[TableUse]:
        """Yield every table that the expression names as a literal."""
        for node in nodes(parse(self.text, self.saved_as).ast):
            if node.type != "function" or getattr(node.procedure, "value", None) != "lookup_table":
                continue
            first = next(iter(node.arguments or ()), None)
            if first is not None and first.type == "string" and node.procedure.type == "variable":
                yield TableUse(first.value, first)

    def missing(self, use: TableUse, reason: str) -> TransformError:
        """Return the error for a table that there is not."""
        return failure(LimitExceeded(reason), self.text, use.place, saved_as=self.saved_as)

    def failed(self, error: BaseException, limits: Meter | None) -> TransformError:
        """Return the error that names this expression, the position and what was expected."""
        node = limits.failed_at if limits is not None else None
        return failure(error, self.text, node, FUNCTIONS, self.saved_as)


def compile(expression: str, saved_as: str = "") -> Expression:
    """Return an expression that is parsed once per thread.

    Args:
        expression: JSONata text.
        saved_as: The reference by which it was loaded, for errors.

    Raises:
        TransformError: It cannot be parsed.
    """
    parse(expression, saved_as)
    return Expression(expression, saved_as)
