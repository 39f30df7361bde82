"""Writes the frequent syntax nodes as Python functions, so that an evaluation does not look at the nodes again.

The text of a function is made of fixed parts only. Names, texts and numbers of the expression are constants that it
refers to, and so are the functions of this module. Each node that can fail begins a line, so the line in a traceback
shows which node failed. The engine evaluates all other nodes.

In this module a text is Python text, unless it is said otherwise. `price * 2` becomes

    def code(engine, input, environment):
     return (#1
    engine.evaluate_numeric_expression((#0
    (_walked(engine, v1, k49, True) if type(v1 := input) not in _LEAVES else None)), k50, k51))

with the constants `k49` (`("price",)`), `k50` (2) and `k51` (`"*"`). Node 0, `price`, begins the last line.

A lambda that is called for many items becomes a loop, which makes a list of results. Where only `$merge` gets them, and
each is an object of one member, the loop makes the object itself. `$merge($each($, function($v, $k) { {$k: $v} }))` has

     found = {}
     for (a0, a1, ) in rows:
      if ((type(v1 := …) is str or …) and (v2 := …) is not None):
       found[v1] = v2
     return found

A thunk is the library's lambda around a call that a function may end with. The function returns it instead of the value
of the call, and its caller evaluates it. So a recursion that ends with its call goes no step deeper.

What is known of a node is kept as its attribute, as long as the expression is used:

- `code`, `many`: its functions, of `compile_node` and `compile_lambda`.
- `merged`: a lambda whose results only `$merge` gets. `write_function` sets it, before the lambda is compiled.
- `stays_thunk`: a thunk that is filtered, so it is not written as a call. `text_of` sets it before it writes the thunk.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from jsonata import JException, Jsonata
from jsonata.utils import Utils

from connector.transform.engine.errors import short_repr
from connector.transform.engine.functions import FUNCTIONS, Function
from connector.transform.engine.syntax import plain_path
from connector.transform.engine.values import collapsed, look_up  # noqa: F401 - the text calls it
from lightspeed.numbers import Exact

Code = Callable[..., Any]

_JList, _NONE, _NULL = Utils.JList, Utils.NONE, Utils.NULL_VALUE
_boolize = Jsonata.boolize
_FILE = "<expression>"
_MAX_NESTED = 20
"""So many nodes inside each other become one function; Python reads up to 200 parentheses inside each other."""


def compile_node(expr: Any, bound: Container[Any]) -> Code:
    """Return the function of engine, context value and variables that evaluates a node; the node keeps it as `code`.

    Args:
        expr: The node.
        bound: Names of the variables that the expression binds.
    """
    writer = _Writer(bound, {})
    text = writer.text_of(expr)
    count = f"engine.meter.items({writer.members})\n " if writer.members else ""
    expr.code = writer.function("engine, input, environment", f"{count}return {text}")
    return expr.code  # type: ignore[no-any-return]


def compile_lambda(expr: Any, bound: Container[Any]) -> Code | None:
    """Return the function of engine, context value, variables and rows of arguments that evaluates a lambda for each.

    It returns a list of results. Where the lambda is `merged`, it returns one object with the members of all results.
    Its attribute `members` is how many members of objects it makes for a row, at most. The node keeps it as `many`.
    It is `None` if a part of the body has to find the arguments among the variables.
    """
    writer = _Writer(bound, {argument.value: f"a{number}" for number, argument in enumerate(expr.arguments)})
    names = "".join(f"a{number}, " for number in range(len(expr.arguments)))
    if "merged" in expr.__dict__:
        name, value, is_there = writer.only_member(expr.body)
        empty, step = "{}", f"if {is_there}:\n   found[{name}] = {value}"
    else:
        empty, step = "[]", f"found.append({writer.text_of(expr.body)})"
    loop = f"found = {empty}\n for ({names}) in rows:\n  {step}\n return found"
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
        self._globals: dict[str, Any] = globals().copy()  # what the text refers to: this module and the constants
        self._nodes: list[Any] = []
        self._nested = 0
        self._locals = 0

    def function(self, parameters: str, body: str) -> Code:
        """Return the function of a body."""
        text = f"def code({parameters}):\n {body}\n"
        # the nodes by line, from 1; a mark at the end of a line names the node of the next one
        marked = re.findall(r"(?:#(\d+))?\n", text)
        self._globals["nodes"] = [None, None, *(self._nodes[int(number)] if number else None for number in marked)]
        exec(compile(text, _FILE, "exec"), self._globals)  # noqa: S102 - it holds nothing that is from outside
        code: Any = self._globals["code"]
        code.members = self.members
        return code  # type: ignore[no-any-return]

    def constant(self, value: object) -> str:
        """Return the name under which the text finds a value."""
        name = f"k{len(self._globals)}"
        self._globals[name] = value
        return name

    def new_local(self) -> str:
        """Return the name of a new local variable."""
        self._locals += 1
        return f"v{self._locals}"

    def collapsed_text(self, text: str, keeps: Iterable[bool]) -> str:
        """Return the text of a value that may be a sequence: for each of `keeps`, a single item is taken out of it."""
        found = text if text.isidentifier() else self.new_local()
        value = text if text == found else f"{found} := {text}"
        single = functools.reduce("collapsed({}, {})".format, keeps, found)
        return f"({found} if type({value}) is not _JList else {single})" if single != found else text

    def all_variables(self) -> str:
        """Return the name of the variables, for a part that may look up any of them; note that there is one."""
        self.needs_variables = True
        return "environment"

    def line_of(self, expr: Any, text: str) -> str:
        """Return a text at the beginning of a line; the comment `#n` before it marks the line as that of a node."""
        self._nodes.append(expr)
        return f"(#{len(self._nodes) - 1}\n{text})"

    def text_of(self, expr: Any, *around: bool) -> str:
        """Return the text of a node's value: filtered, grouped, a sequence of one item taken out, on its own line.

        Args:
            expr: The node.
            around: Whether a sequence of one item is kept by each node around whose value it is too, innermost first.
        """
        return self.collapsed_text(*self.sequence_text(expr, *around))

    def sequence_text(self, expr: Any, *around: bool) -> tuple[str, tuple[bool, ...]]:
        """Return the text of a node's value that may be a sequence, and the `keeps` to take a single item out of it."""
        if self._nested == _MAX_NESTED:
            return f"engine.eval({self.constant(expr)}, input, {self.all_variables()})", around
        self._nested += 1
        kind, keeps = expr.type, (expr.keep_array, *around)
        filtered = expr.predicate is not None or (expr.group is not None and kind != "path")  # a path groups by itself
        for call in _thunks(expr) if filtered else ():
            call.stays_thunk = True  # as in the library, what is filtered is not yet the value
        if filtered:
            text = f"_filtered(engine, {self.constant(expr)}, {self.text_alone(expr)}, {self.all_variables()})"
        elif kind == "condition":
            text, keeps = self.write_condition(expr, *keeps), ()
        else:
            text = self.text_alone(expr)
            if kind in _NO_SEQUENCES or _thunks(expr) or self.own_function(expr):  # a thunk's caller does it
                keeps = ()
            elif plain_path(expr)[1]:
                keeps = around
        self._nested -= 1
        return text if kind in _NEVER_FAIL and not filtered else self.line_of(expr, text), keeps

    def text_alone(self, expr: Any) -> str:
        """Return the text of a node without its filters, by `write_<type>` if there is one; it may be a sequence."""
        kind = "exists" if self.is_exists_call(expr) else expr.type
        text: str = getattr(self, f"write_{kind}", self.engine_call)(expr)
        return text

    def variable_text(self, name: str) -> str:
        """Return the text of a variable's value."""
        return self.parameters.get(name) or f"environment[{self.constant(name)}]"

    def list_text(self, parts: list[Any]) -> str:
        """Return the text of a list of values."""
        return f"[{', '.join(map(self.text_of, parts))}]"

    def own_function(self, expr: Any) -> Any:
        """Return the function of `functions` that a node surely names; `None` for one that the expression may bind."""
        known = expr.type == "variable" and expr.value not in self.bound
        return FUNCTIONS.get(expr.value) if known else None

    def is_call(self, expr: Any, arguments: int, *names: str) -> bool:
        """Whether a node is a call of one of these functions of `functions`, with so many arguments, and no more."""
        alone = (expr.type, expr.predicate, expr.group) == ("function", None, None) and len(expr.arguments) == arguments
        return alone and self.own_function(expr.procedure) in [FUNCTIONS[name] for name in names]

    def is_exists_call(self, expr: Any) -> bool:
        """Whether a node is a call of `$exists`, and nothing else."""
        return self.is_call(expr, 1, "exists")

    def truth_text(self, expr: Any) -> str:
        """Return the text of whether a value counts as true."""
        text = self.text_of(expr)
        if (expr.type == "binary" and expr.value in ("=", "!=", "and", "or")) or self.is_exists_call(expr):
            return text
        found = self.new_local()
        return f"(({found} := {text}) is True or ({found} is not False and _boolize({found})))"

    def write_value(self, expr: Any) -> str:
        return self.constant(_NULL if expr.value is None else expr.value)

    write_string = write_number = write_value

    def write_name(self, expr: Any) -> str:
        return f"look_up(input, {self.constant(expr.value)}, engine.meter)"

    def write_exists(self, expr: Any) -> str:
        return f"({self.text_of(expr.arguments[0])} is not None)"

    def write_parent(self, expr: Any) -> str:
        return self.variable_text(expr.slot.label)

    def write_variable(self, expr: Any) -> str:
        function = self.own_function(expr)
        if function is not None:
            return self.constant(function)
        here = "(input if type(input) is not _JList or not input.outer_wrapper else input[0])"
        return self.variable_text(expr.value) if expr.value else here

    def write_path(self, expr: Any) -> str:
        """Write a path; one of plain names takes the short way."""
        variable, names = plain_path(expr)
        if not names:
            return self.engine_call(expr)
        start = self.variable_text(variable) if variable else "input"
        found = self.new_local()
        walk = f"_walked(engine, {found}, {self.constant(names)}, {not variable})"
        return f"({walk} if type({found} := {start}) not in _LEAVES else None)"

    def write_unary(self, expr: Any) -> str:
        if expr.value == "{":
            return self._object(expr)
        if expr.value == "[":
            return f"_array(engine, {self.constant(expr)}, {self.list_text(expr.expressions)})"
        return self.engine_call(expr)

    def _object(self, expr: Any) -> str:
        """Write an object; the engine makes one of many values, or with several names that are no literals."""
        pairs, group = expr.lhs_object, f"engine.evaluate_group_expression({self.constant(expr)}, input, environment)"
        names = {key.value for key, _ in pairs if (key.type, key.predicate, key.group) == ("string", None, None)}
        if len(names) == len(pairs):
            members = [f"{self.constant(key.value)}: {self.text_of(value)}" for key, value in pairs]
            text = f"_present({{{', '.join(members)}}})"
            self.members += len(pairs)
        elif len(pairs) == 1:
            name, value, is_there = self.only_member(expr)
            text = f"({{{name}: {value}}} if {is_there} else {{}})"
        else:
            self.all_variables()
            return group
        return text if self.parameters else f"({group} if isinstance(input, list) else {text})"

    def only_member(self, expr: Any) -> tuple[str, str, str]:
        """Return texts of an object's only member: its name, its value, and first to evaluate, whether it is there."""
        self.members += 1
        name, value = self.new_local(), self.new_local()
        key, member = expr.lhs_object[0]
        text, keeps = self.sequence_text(key)
        single = f"type({name} := {self.collapsed_text(name, keeps)}) is str or " if keeps else ""
        refusal = self.line_of(expr, f"_refuse_name({name})")
        has_name = f"(type({name} := {text}) is str or {single}{refusal})"
        return name, value, f"({has_name} and ({value} := {self.text_of(member)}) is not None)"

    def write_binary(self, expr: Any) -> str:
        operator = str(expr.value)
        if operator in ("and", "or"):
            return f"({self.truth_text(expr.lhs)} {operator} {self.truth_text(expr.rhs)})"
        arguments = [self.text_of(expr.lhs), self.text_of(expr.rhs)]
        if operator not in _OWN_METHOD:
            arguments.append(self.constant(operator))
        return f"engine.{_OPERATORS[operator]}({', '.join(arguments)})"

    def write_condition(self, expr: Any, *keeps: bool) -> str:
        """Write a condition, with a single item taken out of its branches; a path that is sought is walked once."""
        otherwise = self.text_of(expr._else, *keeps) if expr._else is not None else "None"
        sought = expr.condition.arguments[0] if self.is_exists_call(expr.condition) else None
        if sought is not None and plain_path(sought)[1] and plain_path(sought) == plain_path(expr.then):
            found = self.new_local()
            then = self.collapsed_text(found, keeps)
            return f"({then} if ({found} := {self.text_of(sought)}) is not None else {otherwise})"
        return f"({self.text_of(expr.then, *keeps)} if {self.truth_text(expr.condition)} else {otherwise})"

    def write_function(self, expr: Any, given: str = "") -> str:
        """Write a call; one of `$merge` is left out where a lambda that is `merged` has made the object."""
        made_by = None if given else self.merged_lambda(expr)
        if made_by is not None:
            made_by.merged = True
            made = self.new_local()
            call = self._call(expr, f"[{made}]")
            return f"({made} if type({made} := {self.text_of(expr.arguments[0])}) is dict else {call})"
        arguments = self.list_text(expr.arguments or [])
        return self._call(expr, f"[{given}, {arguments[1:]}" if given else arguments)

    def merged_lambda(self, expr: Any) -> Any:
        """Return the lambda that makes an object of one member for each item, where only `$merge` gets these objects.

        It is `None` for a call that is no `$merge($each(…, function(…) {{…}}))`, or the same with `$map`.
        """
        if not self.is_call(expr, 1, "merge") or not self.is_call(expr.arguments[0], 2, "each", "map"):
            return None
        made_by = expr.arguments[0].arguments[1]
        if made_by.type != "lambda" or not made_by.arguments:
            return None
        body = made_by.body
        kind = (body.type, body.value, body.predicate, body.group)
        return made_by if kind == ("unary", "{", None, None) and len(body.lhs_object) == 1 else None

    def _call(self, expr: Any, arguments: str) -> str:
        variables = self.all_variables() if expr.procedure.type == "path" else "environment"
        procedure = self.text_of(expr.procedure)
        return f"_called(engine, {self.constant(expr)}, {procedure}, {arguments}, input, {variables})"

    def write_lambda(self, expr: Any) -> str:
        """Write a lambda. A thunk of a function of `functions` that needs no context is written as the call itself."""
        if expr.thunk and expr.body.type == "function" and "stays_thunk" not in expr.__dict__:
            function = self.own_function(expr.body.procedure)
            if function is not None and not function.signature.may_take_context(len(expr.body.arguments)):
                return self.line_of(expr.body, self.text_alone(expr.body))
        return self.engine_call(expr)

    def write_apply(self, expr: Any) -> str:
        if expr.rhs.type == "function":
            return self.write_function(expr.rhs, self.text_of(expr.lhs))
        if (expr.rhs.type, expr.rhs.predicate, expr.rhs.group) == ("transform", None, None):
            found = self.new_local()
            update = f"engine.update({self.constant(expr.rhs)}, {found}, {self.all_variables()})"
            other = self.line_of(expr, self.engine_call(expr))
            return f"({update} if type({found} := {self.text_of(expr.lhs)}) is dict else {other})"
        return self.engine_call(expr)

    def write_block(self, expr: Any) -> str:
        """Write a block; one expression that binds nothing needs no variables of its own."""
        if len(expr.expressions) == 1 and ":=" not in self.bound:
            return self.text_of(expr.expressions[0])
        return self.engine_call(expr)

    def write_regex(self, expr: Any) -> str:
        """Write a call of the engine, which needs no variables for it."""
        return f"engine.{_METHODS[expr.type]}({self.constant(expr)}, input)"

    write_wildcard = write_descendant = write_regex

    def engine_call(self, expr: Any) -> str:
        """Write a call of the engine, which evaluates the node."""
        method = _METHODS.get(expr.type)
        return f"engine.{method}({self.constant(expr)}, input, {self.all_variables()})" if method else "None"


def _thunks(expr: Any) -> list[Any]:
    """Return the thunks that a node may give in place of a value."""
    if expr.type == "condition":
        return _thunks(expr.then) + (_thunks(expr._else) if expr._else is not None else [])
    return _thunks(expr.expressions[-1]) if expr.type == "block" and expr.expressions else [expr] * expr.thunk


# The functions from here on are called by the written text.


def _filtered(engine: Any, expr: Any, result: Any, environment: Any) -> Any:
    """Return what a node's filters and its group make of its value."""
    for item in expr.predicate or ():
        result = engine.evaluate_filter(item.expr, result, environment)
    return result if expr.group is None else engine.evaluate_group_expression(expr.group, result, environment)


def _walked(engine: Any, value: Any, names: tuple[str, ...], at_context: bool) -> Any:
    """Return what a path of names leads to, from a context value or from a variable's value.

    An array that the expression constructed is one item, unless it is the context value.
    """
    if type(value) is _JList and not at_context:
        value = collapsed(value)
    start, left = value, iter(names)
    for name in left:
        if type(value) is dict:
            value = value.get(name, _NONE)
        elif isinstance(value, list):
            constructed = getattr(value, "cons", False) and not (at_context and value is start)
            return engine.walk([value] if constructed else value, (name, *left))
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


def _refuse_name(key: Any) -> None:
    """Refuse a name that is no text; nothing at all is no name, and no error."""
    if key is not None:
        raise ValueError(f"a key in an object must be text, not {short_repr(key)}")


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
"""Types in which no path finds anything."""

_NO_SEQUENCES = frozenset(("string", "number", "value", "unary", "binary", "lambda"))
"""Nodes that never give a sequence."""

_NEVER_FAIL = frozenset(("string", "number", "value", "variable"))
"""Nodes that need no line of their own."""

_OPERATORS: Mapping[str, str] = {
    **dict.fromkeys("+-*/%", "evaluate_numeric_expression"),
    **dict.fromkeys(("=", "!="), "evaluate_equality_expression"),
    **dict.fromkeys(("<", "<=", ">", ">="), "evaluate_comparison_expression"),
    "&": "evaluate_string_concat",
    "..": "evaluate_range_expression",
    "in": "evaluate_includes_expression",
}
"""The engine's method for each operator."""

_OWN_METHOD = ("&", "..", "in")
"""Operators whose method serves no other operator, and does not take one."""

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
