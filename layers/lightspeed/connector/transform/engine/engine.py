"""The JSONata engine inside bounds.

The library's own time limit begins when an expression is parsed, and an expression can switch it off. It does not see
large values and single long operations. So this package evaluates frequent syntax nodes (`compiler`) and every node
that makes arrays or text grow. The library evaluates the other nodes, and calls `Engine.eval` for the nodes below them.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonata import JException, Jsonata
from jsonata.parser import Parser
from jsonata.utils import Utils

from connector.transform.engine.compiler import compile_lambda, compile_node
from connector.transform.engine.errors import failure, short_repr
from connector.transform.engine.extensions import as_text, current_engine
from connector.transform.engine.functions import FUNCTIONS, Function
from connector.transform.engine.limits import LimitExceeded, Limits, Meter, run_with_timer
from connector.transform.engine.signature import AnyArguments, QuickSignature
from connector.transform.engine.syntax import Frame, Lambda, bound_names, compiled_pattern, nodes
from connector.transform.engine.values import clone, clone_top, collapsed, look_up

EXPRESSION_CHARACTERS = 64 * 1024
"""The longest expression."""

_JList = Utils.JList
_Symbol = Parser.Symbol
_FUNCTIONS = Frame.inside(None, FUNCTIONS)
_PARSING = Limits(seconds=2)
_UPDATE_SIGNATURE = QuickSignature("<(oa):o>", "update")


class _PartialCall(Jsonata.JFunction):  # type: ignore[misc]
    """A call of a function in which some arguments are `?`: a function of these arguments."""

    def __init__(self, function: Any, args: Sequence[Any]) -> None:
        super().__init__(None, None)
        self._function, self._args = function, args
        self._is_open = [isinstance(arg, _Symbol) and arg.value == "?" for arg in args]
        self.signature = AnyArguments.of_number(sum(self._is_open))

    def call(self, input: Any, args: Iterable[Any]) -> Any:
        """Call the function. An open argument that the call omits is `None`, and arguments beyond are ignored."""
        rest = iter(args)
        every = [next(rest, None) if is_open else arg for arg, is_open in zip(self._args, self._is_open, strict=True)]
        return current_engine().apply(self._function, every, input, None)


class Engine(Jsonata):  # type: ignore[misc]
    """One parsed expression, for one thread.

    Attributes:
        bound: Names of the variables that the expression binds.
        meter: Counts what the evaluation uses.
        room: How many steps deeper the evaluation may go.
        context: The variables, the tables, the time and the random numbers.
    """

    def __init__(self, expression: str) -> None:
        super().__init__(expression, regex_engine=compiled_pattern)
        self.bound = bound_names(self.ast)
        for node in nodes(self.ast):
            if node.type == "lambda" and node.signature is not None:
                node.signature = QuickSignature.of(node.signature)

    def create_frame(self, enclosing_environment: Any = None) -> Frame:
        """Return an empty frame inside another."""
        return Frame.inside(enclosing_environment)

    def run(self, value: Any, meter: Meter, context: Any) -> Any:
        """Evaluate.

        Args:
            value: The input, of JSON types. It is not changed.
            meter: Counts what the evaluation uses.
            context: The variables, the tables, the time and the random numbers.

        Returns:
            A value of the library's types: `None` is nothing, `Utils.NULL_VALUE` is null, an array may be a `JList`.
        """
        self.meter, self.context, self.room = meter, context, meter.limits.depth
        frame = Frame.inside(_FUNCTIONS, context.variables)
        frame["$"] = value
        if isinstance(value, list):
            value = Utils.create_sequence(value)
            value.outer_wrapper = True
        before = getattr(Jsonata.CURRENT, "jsonata", None)
        Jsonata.CURRENT.jsonata = self
        try:
            return self.eval(self.ast, value, frame)
        finally:
            Jsonata.CURRENT.jsonata = before

    def eval(self, expr: Any, input: Any, environment: Any) -> Any:
        """Evaluate one syntax node."""
        self._enter()
        found = (expr.__dict__.get("code") or compile_node(expr, self.bound))(self, input, environment)
        self.room += 1
        return found

    def _enter(self, steps: int = 1) -> None:
        """Go some steps deeper; the caller adds them to `room` again.

        Raises:
            LimitExceeded: The time is over, or the evaluation goes too deep.
        """
        self.meter.check_time()
        if self.room < steps:
            limit = self.meter.limits.depth
            raise LimitExceeded(f"goes deeper than {limit} steps: look for endless recursion")
        self.room -= steps

    def evaluate_step(self, expr: Any, input: Any, environment: Any, last_step: bool) -> Any:
        """Evaluate a step of a path for each item, and flatten the results."""
        if expr.type == "sort":
            return super().evaluate_step(expr, input, environment, last_step)
        stages = expr.stages or ()
        found = []
        for item in input:
            result = self.eval(expr, item, environment)
            for stage in stages:
                result = self.evaluate_filter(stage.expr, result, environment)
            if result is not None:
                found.append(result)
        return self.flattened(found, last_step=last_step)

    def walk(self, items: list[Any], names: tuple[str, ...]) -> Any:
        """Return the values at a path of names in each item."""
        last = len(names) - 1
        for number, name in enumerate(names):
            self.meter.check_time()
            values = [look_up(item, name, self.meter) for item in items]
            found = [v for value in values if (v := collapsed(value) if type(value) is _JList else value) is not None]
            if not found:
                return None
            items = self.flattened(found, last_step=number == last)
        return collapsed(items)

    def flattened(self, found: list[Any], *, last_step: bool) -> Any:
        """Return the results of a step as one sequence. A single array, as result of the last step, stays as it is."""
        if last_step and len(found) == 1 and isinstance(found[0], list) and not Utils.is_sequence(found[0]):
            return found[0]
        sequence = Utils.create_sequence()
        for result in found:
            if not isinstance(result, list) or (isinstance(result, _JList) and result.cons):
                sequence.append(result)
            else:
                self.meter.items(len(result))
                sequence.extend(result)
        self.meter.items(len(found))
        return sequence

    def evaluate_tuple_step(self, expr: Any, input: Any, tuple_bindings: Any, environment: Any) -> Any:
        """Evaluate a step of a path that binds variables: it makes a tuple of each item and each of its results."""
        if expr.type == "sort":
            return super().evaluate_tuple_step(expr, input, tuple_bindings, environment)
        result = Utils.create_sequence()
        result.tuple_stream = True
        for binding in [{"@": item} for item in input] if tuple_bindings is None else tuple_bindings:
            found = self.eval(expr, binding["@"], self.create_frame_from_tuple(environment, binding))
            if found is None:
                continue
            items = found if isinstance(found, list) else [found]
            streamed = isinstance(items, _JList) and items.tuple_stream
            self.meter.items(10 * len(items))
            for index, item in enumerate(items):
                made = dict(binding)
                if streamed:
                    made.update(item)
                else:
                    made[expr.focus if expr.focus is not None else "@"] = item
                    if expr.index is not None:
                        made[expr.index] = index
                    if expr.ancestor is not None:
                        made[expr.ancestor.label] = binding["@"]
                result.append(made)
        return result if expr.stages is None else self.evaluate_stages(expr.stages, result, environment)

    def evaluate_wildcard(self, expr: Any, input: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Return all members of an object or elements of an array, flattened."""
        if isinstance(input, _JList) and input.outer_wrapper and input:
            input = input[0]
        values = list(input.values()) if isinstance(input, dict) else input if isinstance(input, list) else []
        return Utils.create_sequence_from_iter(self._leaves(values))

    def _leaves(self, values: list[Any]) -> Iterator[Any]:
        self.meter.items(len(values))
        for value in values:
            if isinstance(value, list):
                yield from self._leaves(value)
            else:
                yield value

    def recurse_descendants(self, input: Any, results: Any) -> None:
        """Collect a value and everything in it."""
        if isinstance(input, list | dict):
            self.meter.items(len(input) + 1)
            self.meter.check_time()
        super().recurse_descendants(input, results)

    def evaluate_numeric_expression(self, lhs: Any, rhs: Any, op: Any) -> Any:
        """Calculate in floats, as JSONata does; a remainder keeps its fraction."""
        if op == "%" and Utils.is_numeric(lhs) and Utils.is_numeric(rhs) and rhs:
            return Utils.convert_number(math.fmod(lhs, rhs))
        if op in "/%" and rhs == 0 and Utils.is_numeric(lhs) and Utils.is_numeric(rhs):
            raise ZeroDivisionError
        return super().evaluate_numeric_expression(lhs, rhs, op)

    def evaluate_string_concat(self, lhs: Any, rhs: Any) -> str:
        """Join two values as text."""
        left, right = ("" if side is None else as_text(side) for side in (lhs, rhs))
        self.meter.characters(len(left) + len(right))
        return str(left + right)

    def evaluate_range_expression(self, lhs: Any, rhs: Any) -> Any:
        """Return the whole numbers from one to another."""
        for code, side in (("T2003", lhs), ("T2004", rhs)):
            if side is not None and (isinstance(side, bool) or not isinstance(side, int)):
                raise JException(code, -1, side)
        if lhs is None or rhs is None or lhs > rhs:
            return None
        self.meter.items(rhs - lhs + 1)
        return _JList(range(lhs, rhs + 1))

    def evaluate_group_expression(self, expr: Any, input: Any, environment: Any) -> Any:
        """Make an object whose keys group the items."""
        streamed = isinstance(input, _JList) and input.tuple_stream
        items = input if isinstance(input, list) else [input]
        groups: dict[str, tuple[Any, list[Any]]] = {}
        for item in items or [None]:
            frame = self.create_frame_from_tuple(environment, item) if streamed else environment
            for pair in expr.lhs_object:
                key = self.eval(pair[0], item["@"] if streamed else item, frame)
                if key is None:
                    continue
                if not isinstance(key, str):
                    raise ValueError(f"a key in an object must be text, not {short_repr(key)}")
                made_by, members = groups.setdefault(key, (pair, []))
                if made_by is not pair:
                    raise JException("D1009", expr.position, key)
                self.meter.items(1)
                members.append(item)
        result = {}
        for key, (pair, members) in groups.items():
            context, frame = self._gathered(members, streamed, environment)
            value = self.eval(pair[1], context, frame)
            if value is not None:
                result[key] = value
        return result

    def _gathered(self, members: list[Any], streamed: bool, environment: Any) -> tuple[Any, Any]:
        """Return the context value of a group of items, and its variables."""
        if not streamed:
            return self._joined(members), environment
        names = dict.fromkeys(name for member in members for name in member)
        bindings = {name: self._joined([member.get(name) for member in members]) for name in names}
        context = bindings.pop("@")
        return context, self.create_frame_from_tuple(environment, bindings)

    def _joined(self, values: list[Any]) -> Any:
        """Append values to each other; a single value stays as it is."""
        if len(values) == 1:
            return values[0]
        return self.flattened([value for value in values if value is not None], last_step=False)

    def apply_inner(self, proc: Any, args: Any, input: Any, environment: Any) -> Any:
        """Call a function. The library would print a value that is no function."""
        if isinstance(proc, _Symbol) and proc._jsonata_lambda:
            if proc.signature is not None:
                args = proc.signature.validate(args, input)
            number = len(proc.arguments)
            if len(args) >= number and proc.__dict__.get("many") is not None:
                return self.apply_each(proc, [args[:number]], 1)[0]
            frame = Frame.inside(proc.environment, {p.value: arg for p, arg in zip(proc.arguments, args, strict=False)})
            return self.eval(proc.body, proc.input, frame)
        if isinstance(proc, Jsonata.JFunction):
            return proc.call(input, proc.validate(args, input))
        if not self.is_function_like(proc):
            raise JException("T1006", -1)
        return super().apply_inner(proc, args, input, environment)

    def apply_each(self, function: Any, rows: Iterable[Sequence[Any]], number: int) -> Any:
        """Return the results of a lambda for rows of arguments; a lambda that is `merged` returns one object.

        Args:
            function: A lambda with `many`, its function of rows.
            rows: Arguments, as many in each row as the lambda takes.
            number: The number of rows.
        """
        self.meter.items(number * function.many.members)
        self._enter(2)
        rows = rows if self.meter.interruptible else self._in_time(rows)
        found = function.many(self, function.input, function.environment, rows) if number else []
        self.room += 2
        return found

    def _in_time(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yield rows, and check the time before each: no timer interrupts the function that takes them."""
        for row in rows:
            self.meter.check_time()
            yield row

    def evaluate_lambda(self, expr: Any, input: Any, environment: Any) -> Any:
        """Return a lambda with its context value and variables. `many` is its function of rows, if it has one."""
        made = Lambda.__new__(Lambda)
        made.input, made.environment = input, environment
        made.arguments, made.signature, made.body, made.thunk = expr.arguments, expr.signature, expr.body, expr.thunk
        if not (expr.thunk or expr.signature or isinstance(input, list)):
            made.many = expr.many if "many" in expr.__dict__ else compile_lambda(expr, self.bound)
        return made

    def partial_apply_native_function(self, native: Any, args: Any) -> Any:
        """Return a function of the arguments that are `?` in a call."""
        return _PartialCall(native, args)

    def evaluate_regex(self, expr: Any, input: Any) -> Any:  # noqa: ARG002 - as the others
        """Return a compiled pattern.

        Raises:
            LimitExceeded: No timer could interrupt a match.
        """
        if not self.meter.interruptible:
            raise LimitExceeded(
                "uses a regular expression outside the main thread (as over HTTP), where nothing stops a costly one"
            )
        return expr.value

    def evaluate_transform_expression(self, expr: Any, input: Any, environment: Any) -> Any:  # noqa: ARG002
        """Return the function `|pattern|update|`."""
        return Function("update", _UPDATE_SIGNATURE, lambda value: self.update(expr, value, environment), 1)

    def update(self, expr: Any, value: Any, environment: Any) -> Any:
        """Return a copy of a value with the changes of `|pattern|update|`. Other numbers keep their text."""
        if value is None:
            return None
        pattern = expr.pattern
        at_top = (pattern.type, pattern.value, pattern.predicate, pattern.group) == ("variable", "", None, None)
        result = (clone_top if at_top and isinstance(value, dict | list) else clone)(value, self.meter)
        matches = result if at_top else self.eval(pattern, result, environment)
        for match in matches if isinstance(matches, list) else [matches]:
            if not isinstance(match, dict):
                continue
            update = self.eval(expr.update, match, environment)
            if update is not None:
                if not isinstance(update, dict):
                    raise ValueError(f"an update must be an object, not {short_repr(update)}")
                match.update(update)
            if expr.delete is not None:
                names = self.eval(expr.delete, match, environment)
                names = names if isinstance(names, list) else [] if names is None else [names]
                if not Utils.is_array_of_strings(names):
                    raise ValueError("what is to be deleted must be names")
                for name in names:
                    match.pop(name, None)
        return result


def parse(expression: str, saved_as: str = "") -> Engine:
    """Return an expression, parsed once per process and thread.

    Args:
        expression: JSONata text.
        saved_as: The reference of a saved transformer, for the error.

    Raises:
        TransformError: It cannot be parsed.
    """
    try:
        return _parsed(expression, threading.get_ident())
    except (LimitExceeded, Exception) as error:
        raise failure(error, expression[:EXPRESSION_CHARACTERS], None, saved_as=saved_as) from None


@functools.lru_cache(maxsize=256)
def _parsed(expression: str, _thread: int) -> Engine:
    if len(expression) > EXPRESSION_CHARACTERS:
        raise ValueError(f"is {len(expression):,} characters long where {EXPRESSION_CHARACTERS:,} are allowed")
    before = getattr(Jsonata.CURRENT, "jsonata", None)
    try:
        return run_with_timer(Meter(_PARSING), lambda: Engine(expression))
    finally:
        Jsonata.CURRENT.jsonata = before
