"""Events become typed requests, or one clear sentence."""

from typing import Literal

import msgspec
import pytest

from connector.errors import RequestError
from connector.validation import MAX_LEVELS, EventParameters, parse_event


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entity: str
    parameters: EventParameters = EventParameters()
    mode: Literal["full", "incremental"] = "full"
    kind: Literal["a", "b"] | None = None
    names: list[str] | None = None
    most: int | None = None
    dry_run: bool = False


def test_an_event_that_fits() -> None:
    found = parse_event(Example, {"entity": "orders", "parameters": {"path": {"id": 7}}, "kind": "b"})

    assert found == Example("orders", EventParameters({"id": 7}), kind="b")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (7, "the event must be a JSON object, not 7"),
        ("x" * 500, "the event must be a JSON object, not 'xxx"),
        ({}, "entity is missing (known keys: entity, parameters, mode, kind, names, most, dry_run)"),
        ({"entity": 1}, "entity must be text, not a whole number"),
        ({"entity": None}, "entity must be text, not null"),
        ({"entity": "e", "most": 1.5}, "most must be a whole number, not a number"),
        ({"entity": "e", "dry_run": "yes"}, "dry_run must be true or false, not text"),
        ({"entity": "e", "names": "a"}, "names must be a list, not text"),
        ({"entity": "e", "names": ["a", 1]}, "names[1] must be text, not a whole number"),
        ({"entity": "e", "mode": "ful"}, "mode must be full or incremental, not 'ful'"),
        ({"entity": "e", "kind": "c"}, "kind must be a or b, not 'c'"),
        ({"entity": "e", "parameters": 1}, "parameters must be an object, not a whole number"),
        ({"entity": "e", "parameters": {"payloads": 1}}, "unknown key payloads in parameters; did you mean payload?"),
        ({"entity": "e", "payload": {}}, "unknown key payload; payload belongs inside parameters"),
        ({"entity": "e", "id": 7}, "unknown key id; id belongs inside parameters.path (known keys: "),
        ({"entity": "e", "parameters": {"id": 7}}, "unknown key id in parameters; id belongs inside parameters.path"),
        ({"enttiy": "e", "entity": "e"}, "unknown key enttiy; did you mean entity?"),
    ],
)
def test_a_mistake_is_one_plain_sentence(event: object, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_event(Example, event)

    (error,) = refused.value.errors
    assert message in error
    assert "`" not in error
    assert len(error) < 300


@pytest.mark.parametrize("inside", ["list", "object"])
def test_an_event_may_be_nested_200_levels_deep(inside: str) -> None:
    value: object = 7
    for _ in range(MAX_LEVELS - 2):
        value = [value] if inside == "list" else {"a": value}
    assert parse_event(Example, {"entity": "e", "parameters": {"payload": value}}).parameters.payload == value
    with pytest.raises(RequestError, match="the event cannot be read: nested too deep, at most 200"):
        parse_event(Example, {"entity": "e", "parameters": {"payload": [value]}})
