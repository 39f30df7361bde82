"""The engine's interface: compile an expression once, evaluate it on many values.

Other packages use this module, `limits`, `values` and `errors`, and never the JSONata library itself.
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
    """A compiled expression. It may be used in any thread.

    Attributes:
        text: JSONata.
        saved_as: The reference by which it was loaded, or empty.
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
            The library's types, which the functions of `values` turn into JSON.

        Raises:
            LimitExceeded: The evaluation reached a bound.
            Escaped: The context failed.
            Exception: The expression failed. `failed` finds the position.
        """
        meter.expression = self
        return parse(self.text, self.saved_as).run(value, meter, context)

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Yield every table that the expression names as a literal, and the syntax node of the name."""
        for node in nodes(parse(self.text, self.saved_as).ast):
            if node.type != "function" or getattr(node.procedure, "value", None) != "lookup_table":
                continue
            first = next(iter(node.arguments or ()), None)
            if first is not None and first.type == "string" and node.procedure.type == "variable":
                yield first.value, first

    def failed(self, error: BaseException, place: Any = None) -> TransformError:
        """Return the error that names this expression, the position and what was expected.

        Args:
            error: What was raised.
            place: The syntax node that it is about, if it was not raised by one.
        """
        return failure(error, self.text, place or failed_node(error), FUNCTIONS, self.saved_as)


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
