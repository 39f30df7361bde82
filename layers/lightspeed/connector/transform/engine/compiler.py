"""Writes the frequent syntax nodes as Python functions, so that an evaluation does not look at the nodes again.

The text of a function is made of fixed parts only. Names, texts and numbers of the expression are constants that it
refers to. Each node begins a line of it, so the line in a traceback tells which node failed. The engine evaluates all
other nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from jsonata import JException, Jsonata
from jsonata.utils import Utils

from connector.transform.engine.errors import shown
from connector.transform.engine.functions import FUNCTIONS, Function
from connector.transform.engine.syntax import plain_path
from connector.transform.engine.values import collapsed, look_up
from lightspeed.numbers import Exact

Code = Callable[..., Any]

_JList, _NONE, _NULL = Utils.JList, Utils.NONE, Utils.NULL_VALUE
_FILE = "<expression>"
_MOST_NESTED = 20
"""So many nodes inside each other become one function; Python reads up to 200 parentheses inside each other."""


def compile_node(expr: Any, bound: Container[Any]) -> Code:
    """Return the function of engine, context value and variables that evaluates a node; the node keeps it as `code`.

    Args:
        expr: The node.
        bound: Names of the variables that the expression binds.
    """
    writer = _Writer(bound, {})
    text = writer.value(expr)
    count = f"engine.meter.items({writer.members})\n " if writer.members else ""
    expr.code = writer.function("engine, input, environment", f"{count}return {text}")
    return expr.code  # type: ignore[no-any-return]


def compile_lambda(expr: Any, bound: Container[Any]) -> Code | None:
    """Return the function of engine, context value, variables and rows of arguments that evaluates a lambda for each.

    Its attribute `members` is how many members of objects it makes for a row, at most. The node keeps it as `many`.
    It is `None` if a part of the body has to find the arguments among the variables.
    """
    writer = _Writer(bound, {argument.value: f"a{number}" for number, argument in enumerate(expr.arguments)})
    body = writer.value(expr.body)
    names = "".join(f"a{number}, " for number in range(len(expr.arguments)))
    loop = f"found = []\n for ({names}) in rows:\n  found.append({body})\n return found"
    expr.many = None if writer.needs_variables else writer.function("engine, input, environment, rows", loop)
    return expr.many  # type: ignore[no-any-return]


def failed_node(error: BaseException) -> Any:
    """Return the innermost syntax node that an error came through; `None` if there was none."""
    node, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _FILE:
            node = step.tb_frame.f_globals["nodes"][step.tb_lineno]
        step = step.tb_next
    return node


class _Writer:
    """Writes one function.

    Attributes:
        bound: Names of the variables that the expression binds.
        parameters: Local names of a lambda's arguments, by the names of the variables that they are.
        needs_variables: Whether a part has to find the arguments among the variables.
        members: How many members of objects a call makes, at most.
    """

    def __init__(self, bound: Container[Any], parameters: Mapping[str, str]) -> None:
        self.bound = bound
        self.parameters = parameters
        self.needs_variables = False
        self.members = 0
        self._known: dict[str, Any] = {**_HELPERS}
        self._nodes: list[Any] = []
        self._nested = 0
        self._locals = 0

    def function(self, parameters: str, body: str) -> Code:
        """Return the function of a body."""
        text = f"def code({parameters}):\n {body}\n"
        marked = re.findall(r"(?:#(\d+))?\n", text)
        self._known["nodes"] = [None, None, *(self._nodes[int(number)] if number else None for number in marked)]
        exec(compile(text, _FILE, "exec"), self._known)  # noqa: S102 - it holds nothing that is from outside
        code: Any = self._known["code"]
        code.members = self.members
        return code  # type: ignore[no-any-return]

    def known(self, value: object) -> str:
        """Return the name of a constant."""
        name = f"k{len(self._known)}"
        self._known[name] = value
        return name

    def local(self) -> str:
        """Return the name of a new local variable."""
        self._locals += 1
        return f"v{self._locals}"

    def collapsed(self, expr: Any, text: str) -> str:
        """Return the text of a value that may be a sequence."""
        found = self.local()
        return f"({found} if type({found} := {text}) is not JList else collapsed({found}, {expr.keep_array}))"

    def variables(self) -> str:
        """Return the name of the variables, for a part that may look up any of them."""
        self.needs_variables = True
        return "environment"

    def at(self, expr: Any, text: str) -> str:
        """Return text that begins the line of a node."""
        self._nodes.append(expr)
        return f"(#{len(self._nodes) - 1}\n{text})"

    def value(self, expr: Any) -> str:
        """Return the text of a node's value."""
        if self._nested == _MOST_NESTED:
            return f"engine.eval({self.known(expr)}, input, {self.variables()})"
        self._nested += 1
        kind = "exists" if self.asks_existence(expr) else expr.type
        text = _WRITTEN.get(kind, _evaluated)(self, expr)
        filtered = expr.predicate is not None or (expr.group is not None and kind != "path")
        if filtered:
            text = f"filtered(engine, {self.known(expr)}, {text}, {self.variables()})"
        if filtered or expr.keep_array or kind not in _NO_SEQUENCES:
            text = self.collapsed(expr, text)
        self._nested -= 1
        return text if kind in _NEVER_FAIL and not filtered else self.at(expr, text)

    def variable(self, name: str) -> str:
        """Return the text of a variable's value."""
        return self.parameters.get(name) or f"environment[{self.known(name)}]"

    def values(self, parts: list[Any]) -> str:
        """Return the text of a list of values."""
        return f"[{', '.join(map(self.value, parts))}]"

    def function_of(self, expr: Any) -> Any:
        """Return the function of ours that a node is the name of, and cannot be anything else."""
        known = expr.type == "variable" and expr.value not in self.bound
        return FUNCTIONS.get(expr.value) if known else None

    def asks_existence(self, expr: Any) -> bool:
        """Whether a node is a call of `$exists`, and nothing else."""
        alone = (expr.type, expr.predicate, expr.group) == ("function", None, None) and len(expr.arguments) == 1
        return alone and self.function_of(expr.procedure) is FUNCTIONS["exists"]

    def truth(self, expr: Any) -> str:
        """Return the text of whether a value counts as true."""
        text = self.value(expr)
        if (expr.type == "binary" and expr.value in ("=", "!=", "and", "or")) or self.asks_existence(expr):
            return text
        found = self.local()
        return f"(({found} := {text}) is True or ({found} is not False and boolize({found})))"


def _variable(writer: _Writer, expr: Any) -> str:
    function = writer.function_of(expr)
    if function is not None:
        return writer.known(function)
    here = "(input if type(input) is not JList or not input.outer_wrapper else input[0])"
    return writer.collapsed(expr, writer.variable(expr.value) if expr.value else here)


def _path(writer: _Writer, expr: Any) -> str:
    """Write a path; one of plain names takes the short way."""
    variable, names = plain_path(expr)
    if not names:
        return writer.collapsed(expr, _evaluated(writer, expr))
    start = writer.variable(variable) if variable else "input"
    found = writer.local()
    walk = f"walked(engine, {found}, {writer.known(names)}, {not variable})"
    return f"({walk} if type({found} := {start}) not in LEAVES else None)"


def _unary(writer: _Writer, expr: Any) -> str:
    if expr.value == "-":
        return _evaluated(writer, expr)
    return (
        _object(writer, expr)
        if expr.value == "{"
        else (f"array(engine, {writer.known(expr)}, {writer.values(expr.expressions)})")
    )


def _object(writer: _Writer, expr: Any) -> str:
    """Write an object; the engine makes one of many values, or with several names that are no literals."""
    pairs, group = expr.lhs_object, f"engine.evaluate_group_expression({writer.known(expr)}, input, environment)"
    names = {key.value for key, _ in pairs if (key.type, key.predicate, key.group) == ("string", None, None)}
    if len(names) == len(pairs):
        members = [f"{writer.known(key.value)}: {writer.value(value)}" for key, value in pairs]
        text = f"present({{{', '.join(members)}}})"
    elif len(pairs) == 1:
        name, member = writer.local(), writer.local()
        key, value = (writer.value(part) for part in pairs[0])
        made = f"{{{name}: {member}}} if ({member} := {value}) is not None else {{}}"
        text = f"(({made}) if type({name} := {key}) is str else {writer.at(expr, f'no_name({name})')})"
    else:
        writer.variables()
        return group
    writer.members += len(pairs)
    return text if writer.parameters else f"({group} if isinstance(input, list) else {text})"


def _binary(writer: _Writer, expr: Any) -> str:
    operator = str(expr.value)
    if operator in ("and", "or"):
        return f"({writer.truth(expr.lhs)} {operator} {writer.truth(expr.rhs)})"
    sides = [writer.value(expr.lhs), writer.value(expr.rhs), *([] if operator in _ALONE else [writer.known(operator)])]
    return f"engine.{_OPERATORS[operator]}({', '.join(sides)})"


def _condition(writer: _Writer, expr: Any) -> str:
    """Write a condition; a path that is looked for and then taken is walked once."""
    otherwise = writer.value(expr._else) if expr._else is not None else "None"
    sought = expr.condition.arguments[0] if writer.asks_existence(expr.condition) else None
    if sought is not None and plain_path(sought)[1] and plain_path(sought) == plain_path(expr.then):
        found = writer.local()
        return f"({found} if ({found} := {writer.value(sought)}) is not None else {otherwise})"
    return f"({writer.value(expr.then)} if {writer.truth(expr.condition)} else {otherwise})"


def _function(writer: _Writer, expr: Any, given: str = "") -> str:
    arguments = writer.values(expr.arguments or [])
    if given:
        arguments = f"[{given}, {arguments[1:]}"
    variables = writer.variables() if expr.procedure.type == "path" else "environment"
    procedure = writer.value(expr.procedure)
    return f"called(engine, {writer.known(expr)}, {procedure}, {arguments}, input, {variables})"


def _lambda(writer: _Writer, expr: Any) -> str:
    """Write a lambda; one that only puts off a call of a function of ours, which needs no context, is the call."""
    if expr.thunk and expr.body.type == "function":
        function = writer.function_of(expr.body.procedure)
        if function is not None and not function.signature.may_take_context(len(expr.body.arguments)):
            return (
                writer.value(expr.body)
                if writer.asks_existence(expr.body)
                else writer.at(expr.body, _function(writer, expr.body))
            )
    return _evaluated(writer, expr)


def _apply(writer: _Writer, expr: Any) -> str:
    if expr.rhs.type == "function":
        return _function(writer, expr.rhs, writer.value(expr.lhs))
    if (expr.rhs.type, expr.rhs.predicate, expr.rhs.group) == ("transform", None, None):
        found = writer.local()
        update = f"engine.update({writer.known(expr.rhs)}, {found}, {writer.variables()})"
        other = writer.at(expr, _evaluated(writer, expr))
        return f"({update} if type({found} := {writer.value(expr.lhs)}) is dict else {other})"
    return _evaluated(writer, expr)


def _block(writer: _Writer, expr: Any) -> str:
    """Write a block; one expression that binds nothing needs no variables of its own."""
    if len(expr.expressions) == 1 and ":=" not in writer.bound:
        return writer.value(expr.expressions[0])
    return _evaluated(writer, expr)


def _unbound(writer: _Writer, expr: Any) -> str:
    """Write a call of the engine, which needs no variables for it."""
    return f"engine.{_METHODS[expr.type]}({writer.known(expr)}, input)"


def _evaluated(writer: _Writer, expr: Any) -> str:
    """Write a call of the engine, which evaluates the node."""
    method = _METHODS.get(expr.type)
    return f"engine.{method}({writer.known(expr)}, input, {writer.variables()})" if method else "None"


def _filtered(engine: Any, expr: Any, result: Any, environment: Any) -> Any:
    for item in expr.predicate or ():
        result = engine.evaluate_filter(item.expr, result, environment)
    return result if expr.group is None else engine.evaluate_group_expression(expr.group, result, environment)


def _walked(engine: Any, value: Any, names: tuple[str, ...], at_context: bool) -> Any:
    """Return what a path of names leads to, from a context value or from a variable's value."""
    if type(value) is _JList and not at_context:
        value = collapsed(value)
    for number, name in enumerate(names):
        if type(value) is dict:
            value = value.get(name, _NONE)
        elif isinstance(value, list):
            constructed = getattr(value, "cons", False) and (number or not at_context)
            return engine.walk([value] if constructed else value, names[number:])
        else:
            return None
    if type(value) is _JList and value.sequence:
        return collapsed(engine.flattened([value], last_step=True))
    return None if value is _NONE else _NULL if value is None else value


def _array(engine: Any, expr: Any, values: list[Any]) -> Any:
    """Return an array of values; those of an array that is not constructed in its place are its elements."""
    result = _JList()
    for part, value in zip(expr.expressions, values, strict=True):
        if isinstance(value, list) and part.value != "[":
            engine.meter.items(len(value))
            result.extend(value)
        elif value is not None:
            engine.meter.items(1)
            result.append(value)
    result.cons = bool(expr.consarray)
    return result


def _no_name(key: Any) -> dict[str, Any]:
    """Return an object without its only member, which has no name."""
    if key is not None:
        raise ValueError(f"a key in an object must be text, not {shown(key)}")
    return {}


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the members that are nothing."""
    return {key: value for key, value in members.items() if value is not None} if None in members.values() else members


def _called(engine: Any, expr: Any, function: Any, given: list[Any], input: Any, environment: Any) -> Any:
    """Call a function; an error says where the call is."""
    if function is None:
        path = expr.procedure.type == "path"
        name = expr.procedure.steps[0].value if path else expr.procedure.value
        raise JException("T1005" if path and environment[str(name)] is not None else "T1006", expr.position, name)
    try:
        if type(function) is Function:
            return function.call(input, function.signature.validate(given, input))
        return engine.apply(function, given, input, environment)
    except JException as error:
        if error.location < 0:
            error.location = expr.position
        if error.current is None:
            error.current = expr.token
        raise


_HELPERS: Mapping[str, Any] = {
    "JList": _JList,
    "LEAVES": frozenset((str, int, bool, float, Exact, type(None), type(_NULL))),
    "array": _array,
    "boolize": Jsonata.boolize,
    "called": _called,
    "collapsed": collapsed,
    "filtered": _filtered,
    "look_up": look_up,
    "no_name": _no_name,
    "present": _present,
    "walked": _walked,
}

_NO_SEQUENCES = frozenset(
    ("string", "number", "value", "variable", "path", "unary", "binary", "condition", "exists", "block", "lambda")
)
_NEVER_FAIL = frozenset(("string", "number", "value", "variable"))

_WRITTEN: Mapping[str | None, Callable[[_Writer, Any], str]] = {
    **dict.fromkeys(("string", "number", "value"), lambda w, x: w.known(_NULL if x.value is None else x.value)),
    "variable": _variable,
    "name": lambda writer, expr: f"look_up(input, {writer.known(expr.value)}, engine.meter)",
    "path": _path,
    "unary": _unary,
    "binary": _binary,
    "condition": _condition,
    "function": _function,
    "exists": lambda writer, expr: f"({writer.value(expr.arguments[0])} is not None)",
    "lambda": _lambda,
    "apply": _apply,
    "block": _block,
    **dict.fromkeys(("wildcard", "descendant", "regex"), _unbound),
    "parent": lambda writer, expr: writer.variable(expr.slot.label),
}

_OPERATORS: Mapping[str, str] = {
    **dict.fromkeys("+-*/%", "evaluate_numeric_expression"),
    **dict.fromkeys(("=", "!="), "evaluate_equality_expression"),
    **dict.fromkeys(("<", "<=", ">", ">="), "evaluate_comparison_expression"),
    "&": "evaluate_string_concat",
    "..": "evaluate_range_expression",
    "in": "evaluate_includes_expression",
}
"""The engine's method for each operator."""

_ALONE = ("&", "..", "in")
"""Operators whose method is for no other one."""

_METHODS: Mapping[str | None, str] = {
    "path": "evaluate_path",
    "unary": "evaluate_unary",
    "wildcard": "evaluate_wildcard",
    "descendant": "evaluate_descendants",
    "regex": "evaluate_regex",
    "block": "evaluate_block",
    "bind": "evaluate_bind_expression",
    "lambda": "evaluate_lambda",
    "partial": "evaluate_partial_application",
    "apply": "evaluate_apply_expression",
    "transform": "evaluate_transform_expression",
}
"""The engine's method for each node that it evaluates."""
