"""Turns the syntax nodes that are frequent into functions, so that an evaluation does not look at them again.

A function takes the engine, the context value and the variables, and returns the value of its node. All other nodes are
evaluated by the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from jsonata import JException, Jsonata
from jsonata.utils import Utils

from connector.transform.engine.errors import shown
from connector.transform.engine.functions import FUNCTIONS
from connector.transform.engine.limits import LimitExceeded
from connector.transform.engine.syntax import plain_path
from connector.transform.engine.values import look_up

Code = Callable[[Any, Any, Any], Any]

_JList, _NONE, _NULL = Utils.JList, Utils.NONE, Utils.NULL_VALUE


def compile_node(expr: Any, bound: Container[Any]) -> Code:
    """Return the function that evaluates a syntax node; it is kept at the node as `code`.

    Args:
        expr: The node.
        bound: Names of the variables that the expression binds.
    """
    kind, compiled = expr.type, _COMPILED.get(expr.type)
    code = compiled(expr, bound) if compiled is not None else _evaluated(expr)
    if expr.predicate is not None or (expr.group is not None and kind != "path"):
        code = _step(expr, _filtered(expr, code))
    elif kind not in ("path", "string", "number", "value", "variable"):
        code = _step(expr, code)
    expr.code = code
    return code


def _step(expr: Any, evaluate: Code) -> Code:
    """Return a function that goes one step deeper, notes where an error came from, and unwraps sequences."""

    def step(engine: Any, input: Any, environment: Any) -> Any:
        room = engine.room
        try:
            if not room:
                limit = engine.meter.limits.depth
                raise LimitExceeded(f"goes deeper than {limit} steps: look for endless recursion")
            engine.room = room - 1
            result = evaluate(engine, input, environment)
        except BaseException:
            engine.meter.failed_at = engine.meter.failed_at or expr
            raise
        engine.room = room
        return _collapsed(result, expr) if type(result) is _JList else result

    return step


def _collapsed(result: Any, expr: Any) -> Any:
    """Return a sequence of one as its element, and an empty one as nothing."""
    if not result.sequence or result.tuple_stream:
        return result
    if expr.keep_array:
        result.keep_singleton = True
    if not result:
        return None
    return result[0] if len(result) == 1 and not result.keep_singleton else result


def _filtered(expr: Any, evaluate: Code) -> Code:
    def filtered(engine: Any, input: Any, environment: Any) -> Any:
        result = evaluate(engine, input, environment)
        for item in expr.predicate or ():
            result = engine.evaluate_filter(item.expr, result, environment)
        return result if expr.group is None else engine.evaluate_group_expression(expr.group, result, environment)

    return filtered


def _evaluated(expr: Any) -> Code:
    evaluate = _EVALUATED.get(expr.type)
    if evaluate is None:
        return lambda _engine, _input, _environment: None
    return lambda engine, input, environment: evaluate(engine, expr, input, environment)


def _literal(expr: Any, _bound: Container[Any]) -> Code:
    value = _NULL if expr.value is None else expr.value
    return lambda _engine, _input, _environment: value


def _variable(expr: Any, bound: Container[Any]) -> Code:
    name = expr.value
    if name in FUNCTIONS and name not in bound:
        function = FUNCTIONS[name]
        return lambda _engine, _input, _environment: function

    def variable(_engine: Any, input: Any, environment: Any) -> Any:
        value = environment[name] if name else input
        if not name and type(value) is _JList and value.outer_wrapper:
            value = value[0]
        return _collapsed(value, expr) if type(value) is _JList else value

    return variable


def _path(expr: Any, _bound: Container[Any]) -> Code:
    """Compile a path; one of plain names, from object to object, takes the short way."""
    walk = _step(expr, lambda engine, input, environment: engine.evaluate_path(expr, input, environment))
    variable, names = plain_path(expr)

    def path(engine: Any, input: Any, environment: Any) -> Any:
        value = environment[variable] if variable else input
        for name in names:
            if type(value) is dict:
                value = value.get(name, _NONE)
            elif isinstance(value, list):
                return walk(engine, input, environment)
            else:
                return None
        if type(value) is _JList or not engine.room:
            return walk(engine, input, environment)
        return None if value is _NONE else _NULL if value is None else value

    return path if names else walk


def _unary(expr: Any, bound: Container[Any]) -> Code:
    if expr.value == "-":
        return _evaluated(expr)
    return _array(expr, bound) if expr.value == "[" else _object(expr, bound)


def _array(expr: Any, bound: Container[Any]) -> Code:
    parts = [(compile_node(part, bound), part.value == "[") for part in expr.expressions]

    def construct(engine: Any, input: Any, environment: Any) -> Any:
        result = _JList()
        for value_of, nested in parts:
            value = value_of(engine, input, environment)
            if value is None:
                continue
            if isinstance(value, list) and not nested:
                engine.meter.items(len(value))
                result.extend(value)
            else:
                engine.meter.items(1)
                result.append(value)
        result.cons = bool(expr.consarray)
        return result

    return construct


def _object(expr: Any, bound: Container[Any]) -> Code:
    pairs = [(compile_node(key, bound), compile_node(value, bound)) for key, value in expr.lhs_object]

    def construct(engine: Any, input: Any, environment: Any) -> Any:
        if isinstance(input, list):
            return engine.evaluate_group_expression(expr, input, environment)
        made: dict[str, Any] = {}
        for key_of, value_of in pairs:
            key = key_of(engine, input, environment)
            if key is None:
                continue
            if not isinstance(key, str):
                raise ValueError(f"a key in an object must be text, not {shown(key)}")
            if key in made:
                raise JException("D1009", expr.position, key)
            made[key] = value_of
        engine.meter.items(len(made))
        left_out = []
        for key, value_of in made.items():
            value = made[key] = value_of(engine, input, environment)
            if value is None:
                left_out.append(key)
        for key in left_out:
            del made[key]
        return made

    return construct


def _binary(expr: Any, bound: Container[Any]) -> Code:
    operator, operate = str(expr.value), _OPERATORS.get(str(expr.value))
    if operate is None:
        return _evaluated(expr)
    left, right = compile_node(expr.lhs, bound), compile_node(expr.rhs, bound)

    def binary(engine: Any, input: Any, environment: Any) -> Any:
        one, other = left(engine, input, environment), right(engine, input, environment)
        return operate(engine, one, other, operator)

    return binary


def _condition(expr: Any, bound: Container[Any]) -> Code:
    condition, then = compile_node(expr.condition, bound), compile_node(expr.then, bound)
    otherwise = compile_node(expr._else, bound) if expr._else is not None else None

    def choose(engine: Any, input: Any, environment: Any) -> Any:
        found = condition(engine, input, environment)
        if found is True or (found is not False and Jsonata.boolize(found)):
            return then(engine, input, environment)
        return otherwise(engine, input, environment) if otherwise is not None else None

    return choose


def _function(expr: Any, bound: Container[Any]) -> Code:
    """Compile a call; `$exists` only asks whether there is a value."""
    procedure = compile_node(expr.procedure, bound)
    arguments = [compile_node(argument, bound) for argument in expr.arguments]
    named = expr.procedure.value if expr.procedure.type == "variable" else None
    if named == "exists" and named not in bound and len(arguments) == 1:
        return lambda engine, input, environment: arguments[0](engine, input, environment) is not None

    def call(engine: Any, input: Any, environment: Any) -> Any:
        function = procedure(engine, input, environment)
        if function is None:
            return engine.evaluate_function(expr, input, environment, _NONE)
        given = [argument(engine, input, environment) for argument in arguments]
        try:
            return engine.apply(function, given, input, environment)
        except JException as error:
            if error.location < 0:
                error.location = expr.position
            if error.current is None:
                error.current = expr.token
            raise

    return call


_OPERATORS: Mapping[str, Callable[[Any, Any, Any, str], Any]] = {
    **dict.fromkeys("+-*/%", lambda e, one, other, operator: e.evaluate_numeric_expression(one, other, operator)),
    **dict.fromkeys(("=", "!="), lambda e, one, other, operator: e.evaluate_equality_expression(one, other, operator)),
    "&": lambda e, one, other, _: e.evaluate_string_concat(one, other),
}

_COMPILED: Mapping[str | None, Callable[[Any, Container[Any]], Code]] = {
    "string": _literal,
    "number": _literal,
    "value": _literal,
    "variable": _variable,
    "path": _path,
    "unary": _unary,
    "binary": _binary,
    "condition": _condition,
    "function": _function,
}

_EVALUATED: Mapping[str | None, Callable[[Any, Any, Any, Any], Any]] = {
    "binary": lambda e, x, i, f: e.evaluate_binary(x, i, f),
    "unary": lambda e, x, i, f: e.evaluate_unary(x, i, f),
    "name": lambda e, x, i, _: look_up(i, x.value, e.meter),
    "wildcard": lambda e, x, i, _: e.evaluate_wildcard(x, i),
    "descendant": lambda e, x, i, _: e.evaluate_descendants(x, i),
    "parent": lambda _e, x, _i, f: f.lookup(x.slot.label),
    "block": lambda e, x, i, f: e.evaluate_block(x, i, f),
    "bind": lambda e, x, i, f: e.evaluate_bind_expression(x, i, f),
    "regex": lambda e, x, _i, _f: e.evaluate_regex(x),
    "lambda": lambda e, x, i, f: e.evaluate_lambda(x, i, f),
    "partial": lambda e, x, i, f: e.evaluate_partial_application(x, i, f),
    "apply": lambda e, x, i, f: e.evaluate_apply_expression(x, i, f),
    "transform": lambda e, x, i, f: e.evaluate_transform_expression(x, i, f),
}
