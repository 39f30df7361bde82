"""Writes the frequent syntax nodes as Python functions, so that an evaluation does not look at the nodes again.

The text of a function is made of fixed parts only. Names, texts and numbers of the expression are constants that it
refers to, and so are the functions of this module. Each node begins a line of it, so the line in a traceback tells
which node failed. The engine evaluates all other nodes.
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
from connector.transform.engine.values import collapsed, look_up  # noqa: F401 - the text calls it
from lightspeed.numbers import Exact

Code = Callable[..., Any]

_JList, _NONE, _NULL = Utils.JList, Utils.NONE, Utils.NULL_VALUE
_boolize = Jsonata.boolize
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
            node = step.tb_frame.f_globals["nodes"][step.tb_lineno] or node
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
        self._known: dict[str, Any] = globals().copy()
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
        return f"({found} if type({found} := {text}) is not _JList else collapsed({found}, {expr.keep_array}))"

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
        kind = expr.type
        filtered = expr.predicate is not None or (expr.group is not None and kind != "path")
        for call in _put_off(expr) if filtered else ():
            call.stays_put_off = True  # as in the library, what is filtered is not yet the value
        text = self.written(expr)
        if filtered:
            text = f"_filtered(engine, {self.known(expr)}, {text}, {self.variables()})"
        if filtered or ((expr.keep_array or kind not in _NO_SEQUENCES) and not _put_off(expr)):
            text = self.collapsed(expr, text)
        self._nested -= 1
        return text if kind in _NEVER_FAIL and not filtered else self.at(expr, text)

    def written(self, expr: Any) -> str:
        """Return the text of a node alone, which may be a sequence."""
        kind = "exists" if self.asks_existence(expr) else expr.type
        text: str = getattr(self, f"write_{kind}", self.evaluated)(expr)
        return text

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
        return f"(({found} := {text}) is True or ({found} is not False and _boolize({found})))"

    def write_value(self, expr: Any) -> str:
        return self.known(_NULL if expr.value is None else expr.value)

    write_string = write_number = write_value

    def write_name(self, expr: Any) -> str:
        return f"look_up(input, {self.known(expr.value)}, engine.meter)"

    def write_exists(self, expr: Any) -> str:
        return f"({self.value(expr.arguments[0])} is not None)"

    def write_parent(self, expr: Any) -> str:
        return self.variable(expr.slot.label)

    def write_variable(self, expr: Any) -> str:
        function = self.function_of(expr)
        if function is not None:
            return self.known(function)
        here = "(input if type(input) is not _JList or not input.outer_wrapper else input[0])"
        return self.collapsed(expr, self.variable(expr.value) if expr.value else here)

    def write_path(self, expr: Any) -> str:
        """Write a path; one of plain names takes the short way."""
        variable, names = plain_path(expr)
        if not names:
            return self.collapsed(expr, self.evaluated(expr))
        start = self.variable(variable) if variable else "input"
        found = self.local()
        walk = f"_walked(engine, {found}, {self.known(names)}, {not variable})"
        return f"({walk} if type({found} := {start}) not in _LEAVES else None)"

    def write_unary(self, expr: Any) -> str:
        if expr.value == "{":
            return self._object(expr)
        array = expr.value == "["
        return f"_array(engine, {self.known(expr)}, {self.values(expr.expressions)})" if array else self.evaluated(expr)

    def _object(self, expr: Any) -> str:
        """Write an object; the engine makes one of many values, or with several names that are no literals."""
        pairs, group = expr.lhs_object, f"engine.evaluate_group_expression({self.known(expr)}, input, environment)"
        names = {key.value for key, _ in pairs if (key.type, key.predicate, key.group) == ("string", None, None)}
        if len(names) == len(pairs):
            members = [f"{self.known(key.value)}: {self.value(value)}" for key, value in pairs]
            text = f"_present({{{', '.join(members)}}})"
        elif len(pairs) == 1:
            name, member = self.local(), self.local()
            key, value = (self.value(part) for part in pairs[0])
            made = f"{{{name}: {member}}} if ({member} := {value}) is not None else {{}}"
            text = f"(({made}) if type({name} := {key}) is str else {self.at(expr, f'_no_name({name})')})"
        else:
            self.variables()
            return group
        self.members += len(pairs)
        return text if self.parameters else f"({group} if isinstance(input, list) else {text})"

    def write_binary(self, expr: Any) -> str:
        operator = str(expr.value)
        if operator in ("and", "or"):
            return f"({self.truth(expr.lhs)} {operator} {self.truth(expr.rhs)})"
        sides = [self.value(expr.lhs), self.value(expr.rhs), *([] if operator in _ALONE else [self.known(operator)])]
        return f"engine.{_OPERATORS[operator]}({', '.join(sides)})"

    def write_condition(self, expr: Any) -> str:
        """Write a condition; a path that is looked for and then taken is walked once."""
        otherwise = self._branch(expr, expr._else) if expr._else is not None else "None"
        sought = expr.condition.arguments[0] if self.asks_existence(expr.condition) else None
        if sought is not None and plain_path(sought)[1] and plain_path(sought) == plain_path(expr.then):
            found = self.local()
            return f"({found} if ({found} := {self.value(sought)}) is not None else {otherwise})"
        return f"({self._branch(expr, expr.then)} if {self.truth(expr.condition)} else {otherwise})"

    def _branch(self, expr: Any, part: Any) -> str:
        """Write a branch; beside one that puts a call off, it is unwrapped here."""
        text = self.value(part)
        return self.collapsed(expr, text) if _put_off(expr) and not _put_off(part) else text

    def write_function(self, expr: Any, given: str = "") -> str:
        arguments = self.values(expr.arguments or [])
        if given:
            arguments = f"[{given}, {arguments[1:]}"
        variables = self.variables() if expr.procedure.type == "path" else "environment"
        procedure = self.value(expr.procedure)
        return f"_called(engine, {self.known(expr)}, {procedure}, {arguments}, input, {variables})"

    def write_lambda(self, expr: Any) -> str:
        """Write a lambda; one that only puts off a call of a function of ours, which needs no context, is the call."""
        if expr.thunk and expr.body.type == "function" and "stays_put_off" not in expr.__dict__:
            function = self.function_of(expr.body.procedure)
            if function is not None and not function.signature.may_take_context(len(expr.body.arguments)):
                return self.at(expr.body, self.written(expr.body))
        return self.evaluated(expr)

    def write_apply(self, expr: Any) -> str:
        if expr.rhs.type == "function":
            return self.write_function(expr.rhs, self.value(expr.lhs))
        if (expr.rhs.type, expr.rhs.predicate, expr.rhs.group) == ("transform", None, None):
            found = self.local()
            update = f"engine.update({self.known(expr.rhs)}, {found}, {self.variables()})"
            other = self.at(expr, self.evaluated(expr))
            return f"({update} if type({found} := {self.value(expr.lhs)}) is dict else {other})"
        return self.evaluated(expr)

    def write_block(self, expr: Any) -> str:
        """Write a block; one expression that binds nothing needs no variables of its own."""
        if len(expr.expressions) == 1 and ":=" not in self.bound:
            return self.value(expr.expressions[0])
        return self.evaluated(expr)

    def write_regex(self, expr: Any) -> str:
        """Write a call of the engine, which needs no variables for it."""
        return f"engine.{_METHODS[expr.type]}({self.known(expr)}, input)"

    write_wildcard = write_descendant = write_regex

    def evaluated(self, expr: Any) -> str:
        """Write a call of the engine, which evaluates the node."""
        method = _METHODS.get(expr.type)
        return f"engine.{method}({self.known(expr)}, input, {self.variables()})" if method else "None"


def _put_off(expr: Any) -> list[Any]:
    """Return the calls that a function may end with, in a node; their values are unwrapped where it is called."""
    if expr.type == "condition":
        return _put_off(expr.then) + (_put_off(expr._else) if expr._else is not None else [])
    return _put_off(expr.expressions[-1]) if expr.type == "block" and expr.expressions else [expr] * expr.thunk


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


_LEAVES = frozenset((str, int, bool, float, Exact, type(None), type(_NULL)))
_NO_SEQUENCES = frozenset(("string", "number", "value", "variable", "path", "unary", "binary", "lambda"))
_NEVER_FAIL = frozenset(("string", "number", "value", "variable"))

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
