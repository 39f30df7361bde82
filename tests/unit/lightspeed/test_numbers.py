"""JSON is read the same way by the quick decoder and by the slow one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.numbers import Exact, loads

NUMBERS = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["-0", "-0.0", "0", "1e400", "-1E-400", "9" * 19, "9" * 4300, "-" + "9" * 4299, "-" + "9" * 4300, "9" * 4301]
    ),
)
SCALARS = st.one_of(
    NUMBERS, st.text().map(json.dumps), st.sampled_from(["null", "true", "false", r'"\ud83d"', r'"\/-0"'])
)
SPACES = st.text(alphabet=" \t\r\n", max_size=2)


def member(name: str, space: str, value: str) -> str:
    return f"{json.dumps(name)}{space}:{space}{value}"


TEXTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda items, space: f"[{space}{f'{space},{space}'.join(items)}{space}]", st.lists(inner), SPACES),
        st.builds(
            lambda items, space: f"{{{space}{','.join(items)}{space}}}",
            st.lists(st.builds(member, st.sampled_from(["a", "b", "é"]), SPACES, inner)),
            SPACES,
        ),
    ),
    max_leaves=20,
)


def shown(value: Any) -> Any:
    """Return a value with its types, its order and the texts of its numbers."""
    if isinstance(value, dict):
        return [(name, shown(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [shown(item) for item in value]
    return (type(value), value.text if isinstance(value, Exact) else value)


@given(st.one_of(st.builds("{{{}}}".format, st.builds(member, st.just("x"), SPACES, TEXTS)), TEXTS.map("[{}]".format)))
def test_bytes_are_read_as_text_is(text: str) -> None:
    assert shown(loads(text.encode())) == shown(loads(text))


@pytest.mark.parametrize("text", ["-0", "[-0]", "[1,-0]", '{"a":-0}', '{"a": -0}', "[\n-0]", "[\t-0\r]", "[\r-0]"])
def test_negative_zero_keeps_its_text(text: str) -> None:
    assert b"-0" in repr(shown(loads(text.encode()))).encode()


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"01", b"NaN", b'"\xff"', b'"\x01"', b"1 2"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)
