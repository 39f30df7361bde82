"""JSON text of an event becomes a value, or is refused for one reason."""

import pytest

from connector.validation import parse_json


@pytest.mark.parametrize(
    "text", ['{"entity": "orders"}', '\ufeff{"entity": "orders"}', '\ufeff\n {"entity": "orders"}\n']
)
def test_a_byte_order_mark_in_front_is_ignored(text: str) -> None:
    assert parse_json(text) == {"entity": "orders"}


@pytest.mark.parametrize("text", ["", "\ufeff", "\ufeff\ufeff{}", "{} \ufeff", "<html>", "[" * 5000, "9" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)
