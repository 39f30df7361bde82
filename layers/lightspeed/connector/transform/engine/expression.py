"""The engine's interface: compiles an expression once and evaluates it on many values.

Only this package uses the JSONata library. Other packages use this module, `limits`, `values` and `errors`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connector.errors import TransformError
from connector.transform.context import Context
from connector.transform.engine.compiler import failed_node
from connector.transform.engine.engine import parse
from connector.transform.engine.errors import failure
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.engine.limits import Meter
from connector.transform.engine.syntax import nodes


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression, for any thread.

    Attributes:
        text: JSONata.
        saved_as: The reference of a saved transformer, or empty.
    """

    text: str
    saved_as: str = ""

    def evaluate(self, value: Any, meter: Meter, context: Context) -> Any:
        """Evaluate the expression.

        Args:
            value: The input, of JSON types. It is not changed.
            meter: Counts what the evaluation uses. Several expressions may share it.
            context: The variables, the tables, the time and the random numbers.

        Returns:
            A value of the library's types. The functions of `values` turn it into JSON.

        Raises:
            LimitExceeded: The evaluation reached a bound.
            Escaped: The context failed.
            Exception: The expression failed. `failed` finds the position.
        """
        meter.expression = self
        return parse(self.text, self.saved_as).run(value, meter, context)

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Yield each table that the expression names by a literal, and the syntax node of the name."""
        for node in nodes(parse(self.text, self.saved_as).ast):
            if node.type != "function" or getattr(node.procedure, "value", None) != "lookup_table":
                continue
            first = next(iter(node.arguments or ()), None)
            if first is not None and first.type == "string" and node.procedure.type == "variable":
                yield first.value, first

    def failed(self, error: BaseException, place: Any = None) -> TransformError:
        """Return the error that names this expression, the position and what would be right.

        Args:
            error: The error of an evaluation.
            place: The syntax node of an error that no evaluation raised.
        """
        return failure(error, self.text, place or failed_node(error), FUNCTIONS, self.saved_as)


def compile(expression: str, saved_as: str = "") -> Expression:
    """Return an expression, parsed once per thread.

    Args:
        expression: JSONata text.
        saved_as: The reference of a saved transformer, for errors.

    Raises:
        TransformError: It cannot be parsed.
    """
    parse(expression, saved_as)
    return Expression(expression, saved_as)
