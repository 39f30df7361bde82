"""Unlikely expressions and JSON, for property tests and fuzzing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from connector.transform.engine.functions import FUNCTIONS

_NAMES = st.sampled_from(["a", "b", "id", "path", "query", "payload", "lines", "`odd name`", "nothing"])
_LITERALS = st.sampled_from(
    [
        "1",
        "0",
        "-1.5",
        "1e308",
        "1000000",
        '""',
        '"a"',
        "'é'",
        "true",
        "null",
        "[]",
        "{}",
        "[1..9]",
        "/a+/",
        "/(a|b)*c/i",
    ]
)
_VARIABLES = st.sampled_from(["$", "$$", "$x", "$f", "$bookmark", "$language", "$__evaluate_entry", "%"])
_OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "%", "&", "=", "!=", "<", ">=", "and", "or", "in", "..", ".", "~>", "?:", "??", ":="]
)
_FUNCTIONS = st.sampled_from(sorted(FUNCTIONS))


def json_values() -> st.SearchStrategy[Any]:
    """Return any JSON value."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=15,
    )


def expressions(most: int = 14) -> st.SearchStrategy[str]:
    """Return expressions that mostly parse.

    Args:
        most: Names, literals and variables in one.
    """
    return st.recursive(_NAMES | _LITERALS | _VARIABLES, _larger, max_leaves=most)


def _larger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(part, max_size=3)
    return st.one_of(
        st.builds("{} {} {}".format, part, _OPERATORS, part),
        st.builds(lambda name, given: f"${name}({', '.join(given)})", _FUNCTIONS, parts),
        st.builds(lambda items: f"[{', '.join(items)}]", parts),
        st.builds('{{"a": {}, "b": {}}}'.format, part, part),
        st.builds("{}[{}]".format, part, part),
        st.builds("{}.({})".format, part, part),
        st.builds("{}^(>{})".format, part, part),
        st.builds("{}{{$string({}): {}}}".format, part, part, part),
        st.builds("{}@$x.({})".format, part, part),
        st.builds("{}#$x.({})".format, part, part),
        st.builds("({} ? {} : {})".format, part, part, part),
        st.builds("($x := {}; {})".format, part, part),
        st.builds("function($x) {{ {} }}".format, part),
        st.builds("($f := function($x) {{ {} }}; $f({}))".format, part, part),
        st.builds("{} ~> |{}|{}|".format, part, part, part),
        st.builds("${}(?, {})".format, _FUNCTIONS, part),
        st.builds("-({})".format, part),
        st.builds("{}.**".format, part),
    )
