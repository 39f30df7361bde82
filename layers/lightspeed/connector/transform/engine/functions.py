"""The functions that an expression can call: those of JSONata inside bounds, and `extensions`.

An expression can call only the functions of `FUNCTIONS`. `$eval` is not one of them, because it would run text of a
record. No function reaches the network, files or the environment. `$lookup_table` asks the context.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsonata import JException, Jsonata
from jsonata.functions import Functions
from jsonata.utils import Utils

from connector.transform.engine.errors import short_repr
from connector.transform.engine.extensions import (
    as_text,
    current_engine,
    current_meter,
    hash_,
    lookup_table,
    money,
    random_source,
    uuid_,
)
from connector.transform.engine.signature import QuickSignature
from connector.transform.engine.values import clone, json_size, look_up
from lightspeed.numbers import Exact

# fmt: off
_OF_JSONATA = [
    "sum", "count", "max", "min", "average", "substring", "substringBefore", "substringAfter", "lowercase",
    "uppercase", "length", "trim", "contains", "formatNumber", "formatBase", "formatInteger", "parseInteger",
    "floor", "ceil", "round", "abs", "sqrt", "power", "boolean", "not", "single", "reduce",
    "keys", "exists", "merge", "reverse", "error", "assert", "type", "sort", "base64encode", "base64decode",
    "encodeUrlComponent", "encodeUrl", "decodeUrlComponent", "decodeUrl", "fromMillis",
]
# fmt: on

_NOTHING_FOR_NOTHING = frozenset(
    ("number", "pad", "join", "replace", "split", "match", "each", "map", "filter", "sift", "shuffle", "hash")
)
"""Functions that return nothing if their first argument is nothing."""

_COUNT_FROM_CHARACTERS = 1_000_000
"""`$replace` counts matches first only if its result may have more characters."""


class Function(Jsonata.JFunction):  # type: ignore[misc]
    """A function that an expression can call.

    Args:
        name: The name without `$`.
        signature: The types of the arguments.
        function: Gets `None` for each argument that a call omits.
        arguments: How many arguments it takes.
    """

    def __init__(self, name: str, signature: QuickSignature, function: Callable[..., Any], arguments: int) -> None:
        super().__init__(None, None)
        self.signature = signature
        self.function_name = name
        self._function = function
        self._arguments = arguments
        self._nothing_for_nothing = name in _NOTHING_FOR_NOTHING

    def call(self, input: Any, args: Any) -> Any:  # noqa: ARG002 - the library's name
        """Call the function with arguments that its signature has checked."""
        current_meter().check_time()
        if self._nothing_for_nothing and args[0] is None:
            return None
        return self._function(*args, *[None] * (self._arguments - len(args)))

    def get_number_of_args(self) -> int:
        """Return the number of arguments; the library asks for it."""
        return self._arguments


def _bounded(name: str) -> Function:
    """Return a function of the library whose results are counted, and whose numbers are JSON numbers."""
    native = Jsonata.static_frame.bindings[name]

    def call(*args: Any) -> Any:
        result = native.method(*args)
        if isinstance(result, str):
            current_meter().characters(len(result))
        elif isinstance(result, list | dict):
            current_meter().items(len(result))
        elif type(result) in (int, float, Exact):
            return Utils.convert_number(result)
        return result

    return Function(name, QuickSignature.of(native.signature), call, int(native.get_number_of_args()))


def _number(value: Any) -> Any:
    """`$number`: a number as it is, or the number that a text or a boolean stands for."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    try:
        found = Functions.number(value)
    except ValueError:
        raise ValueError(f"cannot make a number of {short_repr(value)}") from None
    return Utils.convert_number(found)


def _pad(text: Any, width: Any, filling: Any) -> Any:
    if width is None:
        return text
    current_meter().characters(len(text) + abs(int(width)))
    return Functions.pad(text, width, filling)


def _join(texts: Any, separator: Any) -> Any:
    separator = separator or ""
    current_meter().characters(sum(len(text) + len(separator) for text in texts))
    return separator.join(texts)


def _count_matches(text: str, pattern: Any) -> int:
    """Return the number of matches in the whole text."""
    if isinstance(pattern, str):
        return text.count(pattern)
    return sum(1 for _ in pattern.finditer(text))


def _replace(text: Any, pattern: Any, replacement: Any, limit: Any) -> Any:
    """`$replace`: replaces matches by a text, in which `$1` is a group, or by the result of a function."""
    if pattern == "":
        raise JException("D3010", -1)
    if limit is not None and limit < 0:
        raise JException("D3011", -1)
    if limit == 0:
        return text
    meter, most = current_meter(), 0 if limit is None else math.floor(limit)
    if isinstance(replacement, str):
        if (len(text) + 1) * len(replacement) > _COUNT_FROM_CHARACTERS:
            meter.characters(_count_matches(text, pattern) * len(replacement))
        if isinstance(pattern, str):
            result = text.replace(pattern, replacement.replace("$$", "$"), most or -1)
        else:
            result = pattern.sub(lambda match: _fill_groups(replacement, match), text, most)
    else:
        searched = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
        result = searched.sub(lambda match: _call_replacement(replacement, match), text, most)
    meter.characters(len(result))
    return result


def _fill_groups(replacement: str, match: re.Match[str]) -> str:
    """Return a replacement with its `$1` filled in. Of the digits, the longest number of a group counts."""

    def group(found: re.Match[str]) -> str:
        digits = found.group(1)
        if digits == "$":
            return "$"
        for length in range(len(digits), 0, -1):
            if int(digits[:length]) <= len(match.groups()):
                return (match.group(int(digits[:length])) or "") + digits[length:]
        return digits[1:]

    return re.sub(r"\$(\$|\d{1,3})", group, replacement)


def _call_replacement(function: Any, match: re.Match[str]) -> str:
    groups = [match.group(number) or "" for number in range(1, len(match.groups()) + 1)]
    found = Functions.func_apply(
        function, [{"match": match.group(), "start": match.start(), "end": match.end(), "groups": groups}]
    )
    if not isinstance(found, str):
        raise JException("D3012", -1)
    current_meter().characters(len(found))
    return found


def _split(text: Any, separator: Any, limit: Any) -> Any:
    if limit is not None and limit < 0:
        raise JException("D3020", -1)
    meter = current_meter()
    if separator in ("", None):
        meter.items(len(text))
        parts = list(text)
    elif isinstance(separator, str):
        meter.items(text.count(separator) + 1)
        parts = text.split(separator)
    else:
        meter.items(_count_matches(text, separator) + 1)
        parts, start = [], 0
        for match in separator.finditer(text):
            if match.end() > match.start():
                parts.append(text[start : match.start()])
                start = match.end()
        parts.append(text[start:])
    return parts if limit is None else parts[: math.floor(limit)]


def _match(text: Any, pattern: Any, limit: Any) -> Any:
    if limit is not None and limit < 0:
        raise JException("D3040", -1)
    meter, found = current_meter(), Utils.create_sequence()
    for match in pattern.finditer(text):
        if limit is not None and len(found) >= limit:
            break
        meter.items(8 + len(match.groups()))
        found.append({"match": match.group(), "index": match.start(), "groups": list(match.groups())})
    return found


def _append(left: Any, right: Any) -> Any:
    both = Functions.append(left, right)
    if isinstance(both, list):
        current_meter().items(len(both))
    return both


def _call_for_each(function: Any, members: Iterable[Any], names: Iterable[Any], whole: Any) -> Any:
    """Call a function for each member and return the results.

    The function gets the member, its name or number, and the whole: as many of these as it takes. A lambda that is
    `merged` (see `compiler`) returns one object for all members.
    """
    engine, is_lambda = current_engine(), Functions.is_lambda(function)
    # get_function_arity imports modules at each call
    most = len(function.arguments) if is_lambda else Functions.get_function_arity(function)
    columns = (members, names, itertools.repeat(whole))[: max(most, 1)]
    rows = zip(*columns, strict=False)
    if not is_lambda:
        return [function.call(None, row) for row in rows]
    if function.__dict__.get("many") is not None and len(function.arguments) == len(columns):
        return engine.apply_each(function, rows, len(whole))
    return [engine.apply(function, row, None, None) for row in rows]


def _sequence(results: Any) -> Any:
    """Return results as a sequence, without those that are nothing; one object of all results as it is."""
    if type(results) is dict:
        return results
    current_meter().items(len(results))
    return Utils.create_sequence_from_iter([result for result in results if result is not None])


def _each(value: Any, function: Any) -> Any:
    return _sequence(_call_for_each(function, value.values(), value.keys(), value))


def _map(array: Any, function: Any) -> Any:
    return _sequence(_call_for_each(function, array, itertools.count(), array))


def _filter(array: Any, function: Any) -> Any:
    results = _call_for_each(function, array, itertools.count(), array)
    current_meter().items(len(array))
    return Utils.create_sequence_from_iter(itertools.compress(array, map(Jsonata.boolize, results)))


def _sift(value: Any, function: Any) -> Any:
    members = value.items()
    results = _call_for_each(function, value.values(), value.keys(), value) if members else []
    found = dict(itertools.compress(members, map(Jsonata.boolize, results)))
    current_meter().items(len(found))
    return found or None


def _zip(*arrays: Any) -> Any:
    if any(array is None for array in arrays):
        return []
    current_meter().items(min(map(len, arrays), default=0) * (1 + len(arrays)))
    return [list(row) for row in zip(*arrays, strict=False)]


def _spread(value: Any) -> Any:
    if not isinstance(value, list | dict):
        return value
    meter, found = current_meter(), Utils.create_sequence()
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            meter.items(2 * len(item))
            found.extend({key: member} for key, member in item.items())
        elif isinstance(item, list):
            found.extend(_spread(item))
        else:
            found.append(item)
    return found


def _distinct(value: Any) -> Any:
    """`$distinct`: the first of equal values, in order."""
    if not isinstance(value, list) or len(value) <= 1:
        return value
    meter, seen, found = current_meter(), set(), Utils.create_sequence()
    meter.items(len(value))
    for item in value:
        key: Any = (isinstance(item, bool), item)
        if isinstance(item, list | dict):
            meter.characters(json_size(item, meter))
            key = json.dumps(clone(item, meter), sort_keys=True, default=str)
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found


def _lookup(value: Any, key: Any) -> Any:
    return look_up(value, key, current_meter())


def _clone(value: Any) -> Any:
    return clone(value, current_meter())


def _shuffle(array: Any) -> Any:
    found = list(array)
    current_meter().items(len(found))
    random_source().shuffle(found)
    return found


def _to_millis(text: Any, picture: Any) -> Any:
    if picture is None:
        return Functions.datetime_to_millis(text, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library calls utcnow()
        return Functions.datetime_to_millis(text, picture)


def _now(picture: Any, zone: Any) -> Any:
    text = Functions.datetime_from_millis(_millis(), picture, zone)
    current_meter().characters(len(text))
    return text


def _millis() -> int:
    return int(current_engine().context.now_milliseconds)


# name, types of the arguments and of the result in JSONata's notation, function, number of arguments
_OWN: list[tuple[str, str, Callable[..., Any], int]] = [
    ("string", "<x-b?:s>", as_text, 2),
    ("number", "<(nsb)-:n>", _number, 1),
    ("pad", "<s-ns?:s>", _pad, 3),
    ("join", "<a<s>s?:s>", _join, 2),
    ("replace", "<s-(sf)(sf)n?:s>", _replace, 4),
    ("split", "<s-(sf)n?:a<s>>", _split, 3),
    ("match", "<s-f<s:o>n?:a<o>>", _match, 3),
    ("append", "<xx:a>", _append, 2),
    ("each", "<o-f:a>", _each, 2),
    ("map", "<af>", _map, 2),
    ("filter", "<af>", _filter, 2),
    ("sift", "<o-f?:o>", _sift, 2),
    ("zip", "<a+>", _zip, 0),
    ("spread", "<x-:a<o>>", _spread, 1),
    ("distinct", "<x:x>", _distinct, 1),
    ("lookup", "<x-s:x>", _lookup, 2),
    ("clone", "<(oa)-:o>", _clone, 1),
    ("shuffle", "<a:a>", _shuffle, 1),
    ("random", "<:n>", lambda: random_source().random(), 0),
    ("toMillis", "<s-s?:n>", _to_millis, 2),
    ("now", "<s?s?:s>", _now, 2),
    ("millis", "<:n>", _millis, 0),
    ("uuid", "<x?:s>", uuid_, 1),
    ("hash", "<x-s?:s>", hash_, 2),
    ("money", "<x-x?x?n?:n>", money, 4),
    ("lookup_table", "<xxx?:x>", lookup_table, 3),
]

FUNCTIONS: Mapping[str, Function] = {
    **{name: _bounded(name) for name in _OF_JSONATA},
    **{
        name: Function(name, QuickSignature(signature, name), function, arguments)
        for name, signature, function, arguments in _OWN
    },
}
"""Every function that an expression can call, by name without `$`."""
