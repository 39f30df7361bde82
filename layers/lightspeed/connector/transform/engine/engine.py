"""The JSONata engine inside its bounds.

The library's own bounds count from when an expression was parsed, and an expression can switch them off. They do not
see large values and single long operations. So the evaluation of each syntax node, and every place where arrays or text
grow, is its own here.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import JException, Jsonata
from jsonata.parser import Parser
from jsonata.utils import Utils

from connector.transform.engine.errors import failure, shown
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.engine.limits import LimitExceeded, Limits, Meter, metered
from connector.transform.engine.signature import QuickSignature
from connector.transform.engine.syntax import compiled_pattern, plain_path
from connector.transform.engine.values import clone, look_up

EXPRESSION_CHARACTERS = 64 * 1024
"""The longest expression that is read."""

_JList = Utils.JList
_Symbol = Parser.Symbol
_LEAVES_UNTIMED = 64
_PARSING = Limits(seconds=2)


class Engine(Jsonata):  # type: ignore[misc]
    """One parsed expression, for one thread."""

    def __init__(self, expression: str) -> None:
        super().__init__(expression, regex_engine=compiled_pattern)
        self.set_output_convert_nulls(False)
        self.set_validate_input(False)
        self._functions = self.create_frame(None)
        self._functions.bindings.update(FUNCTIONS)
        self.environment = self._functions
        self.input: Any = None
        self.meter: Meter
        self.surroundings: Any = None

    def get_per_thread_instance(self) -> Engine:
        """Return itself: an engine is parsed per thread."""
        return self

    def run(self, value: Any, meter: Meter, surroundings: Any, variables: Mapping[str, object]) -> Any:
        """Evaluate.

        Args:
            value: The input, of JSON types; it is not changed.
            meter: Counts what is used.
            surroundings: What functions may ask for.
            variables: Values by name, without `$`.

        Returns:
            The library's types: undefined is `None`, null is `Utils.NULL_VALUE`, arrays may be its own lists.
        """
        self.meter, self.surroundings = meter, surroundings
        meter.depth = 0
        frame = self.create_frame(self._functions)
        frame.bindings.update(variables)
        frame.bindings["$"] = value
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
        meter = self.meter
        leaf = _LEAVES.get(expr.type)
        if leaf is not None and expr.predicate is None and expr.group is None:
            meter.leaves += 1
            if not meter.leaves % _LEAVES_UNTIMED:
                meter.check_time()
            return self._collapsed(leaf(self, expr, input, environment), expr)
        meter.depth += 1
        if meter.depth > meter.limits.depth:
            meter.failed_at = meter.failed_at or expr
            raise LimitExceeded(f"goes deeper than {meter.limits.depth} steps: look for endless recursion")
        outer_input, outer_environment = self.input, self.environment
        self.input, self.environment = input, environment
        try:
            if meter.now() > meter.deadline:
                raise meter.late()
            return self._node(expr, input, environment)
        except BaseException:
            meter.failed_at = meter.failed_at or expr
            raise
        finally:
            self.input, self.environment = outer_input, outer_environment
            meter.depth -= 1

    def _node(self, expr: Any, input: Any, environment: Any) -> Any:
        kind = expr.type
        evaluate = _NODES.get(kind)
        result = evaluate(self, expr, input, environment) if evaluate is not None else None
        if expr.predicate is not None:
            for item in expr.predicate:
                result = self.evaluate_filter(item.expr, result, environment)
        if expr.group is not None and kind is not None and kind != "path":
            result = self.evaluate_group_expression(expr.group, result, environment)
        return self._collapsed(result, expr)

    def _collapsed(self, result: Any, expr: Any) -> Any:
        """Return a sequence of one as its element, and an empty one as nothing."""
        if isinstance(result, _JList) and result.sequence and not result.tuple_stream:
            if expr.keep_array:
                result.keep_singleton = True
            if not result:
                return None
            if len(result) == 1 and not result.keep_singleton:
                return result[0]
        return result

    def evaluate_path(self, expr: Any, input: Any, environment: Any) -> Any:
        """Evaluate a path; one of plain names, from object to object, takes the short way."""
        known = expr.__dict__.get("plain_path")
        if known is None:
            known = expr.plain_path = plain_path(expr)
        variable, names = known
        value = input if not variable else environment.lookup(variable)
        for name in names:
            if type(value) is dict:
                value = value.get(name, Utils.NONE)
            elif isinstance(value, list):
                break
            else:
                return None
        else:
            if names and not isinstance(value, _JList):
                return None if value is Utils.NONE else Utils.NULL_VALUE if value is None else value
        return super().evaluate_path(expr, input, environment)

    def evaluate_step(self, expr: Any, input: Any, environment: Any, last_step: bool) -> Any:
        """Evaluate a step of a path for each item, and flatten what comes out."""
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
        """Evaluate a step of a path that binds variables: each item becomes as many tuples as the step finds."""
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

    def evaluate_unary(self, expr: Any, input: Any, environment: Any) -> Any:
        """Negate, or construct an array or an object."""
        if expr.value != "[":
            return super().evaluate_unary(expr, input, environment)
        result = _JList()
        for item in expr.expressions:
            value = self.eval(item, input, environment)
            if value is None:
                continue
            if isinstance(value, list) and item.value != "[":
                self.meter.items(len(value))
                result.extend(value)
            else:
                self.meter.items(1)
                result.append(value)
        result.cons = bool(expr.consarray)
        return result

    def evaluate_wildcard(self, expr: Any, input: Any) -> Any:  # noqa: ARG002 - the library's signature
        """Return all members of an object or elements of an array, flattened."""
        if isinstance(input, _JList) and input.outer_wrapper and input:
            input = input[0]
        values = list(input.values()) if isinstance(input, dict) else input if isinstance(input, list) else []
        results = Utils.create_sequence()
        self._flatten_into(results, values)
        return results

    def _flatten_into(self, results: list[Any], values: list[Any]) -> None:
        self.meter.items(len(values))
        for value in values:
            if isinstance(value, list):
                self._flatten_into(results, value)
            else:
                results.append(value)

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
        string = self._functions.bindings["string"]
        left = lhs if isinstance(lhs, str) else "" if lhs is None else string.call(None, [lhs])
        right = rhs if isinstance(rhs, str) else "" if rhs is None else string.call(None, [rhs])
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
        """Construct an object; items that agree in a key are gathered under it."""
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
                    raise ValueError(f"a key in an object must be text, not {shown(key)}")
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
        """Return the context in which the value of a group is evaluated, and its variables."""
        if not streamed:
            return self._joined(members), environment
        names = dict.fromkeys(name for member in members for name in member)
        bindings = {name: self._joined([member.get(name) for member in members]) for name in names}
        context = bindings.pop("@")
        return context, self.create_frame_from_tuple(environment, bindings)

    def _joined(self, values: list[Any]) -> Any:
        """Append values to each other; one alone stays what it is."""
        if len(values) == 1:
            return values[0]
        joined = Utils.create_sequence()
        for value in values:
            if isinstance(value, list):
                self.meter.items(len(value))
                joined.extend(value)
            elif value is not None:
                joined.append(value)
        return joined

    def validate_arguments(self, signature: Any, args: Any, context: Any) -> Any:
        """Check arguments; the library would write a context that does not fit into its message, whatever its size."""
        if not isinstance(context, list | dict):
            return super().validate_arguments(signature, args, context)
        stand_in: Any = [] if isinstance(context, list) else {}
        checked = super().validate_arguments(signature, args, stand_in)
        return [context if arg is stand_in else arg for arg in checked] if checked is not args else args

    def apply_inner(self, proc: Any, args: Any, input: Any, environment: Any) -> Any:
        """Call a function; the library would print what is none."""
        self.meter.check_time()
        if isinstance(proc, _Symbol) and proc._jsonata_lambda and proc.signature is None:
            return self.apply_procedure(proc, args)
        if not self.is_function_like(proc):
            raise JException("T1006", -1)
        return super().apply_inner(proc, args, input, environment)

    def evaluate_regex(self, expr: Any) -> Any:
        """Return a compiled pattern, where matching it could be interrupted."""
        if not self.meter.interruptible:
            raise LimitExceeded(
                "uses a regular expression outside the main thread, where nothing could stop a costly one"
            )
        return expr.value

    def evaluate_transform_expression(self, expr: Any, input: Any, environment: Any) -> Any:  # noqa: ARG002
        """Return the function `|pattern|update|`; it changes a copy that keeps every number as it was."""
        function = Jsonata.JFunction(_Update(self, expr, environment), None)
        function.signature = _UPDATE_SIGNATURE
        return function


_UPDATE_SIGNATURE = QuickSignature("<(oa):o>", "update")


class _Update(Jsonata.Transformer):  # type: ignore[misc]
    def call(self, input: Any, args: Any) -> Any:  # noqa: ARG002
        engine, expr = self._jsonata, self._expr
        if args[0] is None:
            return None
        result = clone(args[0], engine.meter)
        matches = engine.eval(expr.pattern, result, self._environment)
        for match in matches if isinstance(matches, list) else [] if matches is None else [matches]:
            if not isinstance(match, dict):
                continue
            update = engine.eval(expr.update, match, self._environment)
            if update is not None:
                if not isinstance(update, dict):
                    raise ValueError(f"an update must be an object, not {shown(update)}")
                match.update(update)
            if expr.delete is not None:
                names = engine.eval(expr.delete, match, self._environment)
                names = names if isinstance(names, list) else [] if names is None else [names]
                if not Utils.is_array_of_strings(names):
                    raise ValueError("what is to be deleted must be names")
                for name in names:
                    match.pop(name, None)
        return result


_LEAVES: Mapping[str | None, Callable[[Any, Any, Any, Any], Any]] = {
    "string": lambda e, x, _i, _f: e.evaluate_literal(x),
    "number": lambda e, x, _i, _f: e.evaluate_literal(x),
    "value": lambda e, x, _i, _f: e.evaluate_literal(x),
    "variable": lambda e, x, i, f: e.evaluate_variable(x, i, f),
}
"""Nodes that evaluate no other node, so that they need no step of their own."""

_NODES: Mapping[str | None, Callable[[Any, Any, Any, Any], Any]] = {
    **_LEAVES,
    "path": lambda e, x, i, f: e.evaluate_path(x, i, f),
    "binary": lambda e, x, i, f: e.evaluate_binary(x, i, f),
    "unary": lambda e, x, i, f: e.evaluate_unary(x, i, f),
    "name": lambda e, x, i, _: look_up(i, x.value, e.meter),
    "wildcard": lambda e, x, i, _: e.evaluate_wildcard(x, i),
    "descendant": lambda e, x, i, _: e.evaluate_descendants(x, i),
    "parent": lambda _e, x, _i, f: f.lookup(x.slot.label),
    "condition": lambda e, x, i, f: e.evaluate_condition(x, i, f),
    "block": lambda e, x, i, f: e.evaluate_block(x, i, f),
    "bind": lambda e, x, i, f: e.evaluate_bind_expression(x, i, f),
    "regex": lambda e, x, _i, _f: e.evaluate_regex(x),
    "function": lambda e, x, i, f: e.evaluate_function(x, i, f, Utils.NONE),
    "lambda": lambda e, x, i, f: e.evaluate_lambda(x, i, f),
    "partial": lambda e, x, i, f: e.evaluate_partial_application(x, i, f),
    "apply": lambda e, x, i, f: e.evaluate_apply_expression(x, i, f),
    "transform": lambda e, x, i, f: e.evaluate_transform_expression(x, i, f),
}


def parse(expression: str, saved_as: str = "") -> Engine:
    """Return an expression, parsed once per process and thread.

    Args:
        expression: JSONata text.
        saved_as: The reference by which it was loaded, for the error.

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
        return metered(_PARSING, lambda _: Engine(expression))
    finally:
        Jsonata.CURRENT.jsonata = before
