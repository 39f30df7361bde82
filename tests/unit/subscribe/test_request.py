"""The subscribe event: every mistake is refused with one sentence that says what would be right."""

import json
from typing import Any

import pytest

from connector.errors import RequestError, TransformError
from lightspeed import UnknownEntity
from subscribe.checks import subscribe_request
from subscribe.event import SubscribeRequest

MISTAKES: dict[str, tuple[object, str]] = {
    "no-object": ([], "the event must be a JSON object, not []"),
    "text": ("orders", "the event must be a JSON object, not 'orders'"),
    "nothing": (None, "the event must be a JSON object, not None"),
    "no-entity": ({}, "entity is missing (known keys: entity, connection, parameters"),
    "entity-no-text": ({"entity": 7}, "entity must be text, not a whole number"),
    "unknown-key": ({"entity": "orders", "foo": 1}, "unknown key foo (known keys: entity,"),
    "nearly-known-key": ({"entity": "orders", "max_record": 1}, "unknown key max_record; did you mean max_records?"),
    "path-outside": ({"entity": "orders", "path": {"id": 7}}, "unknown key path; path belongs inside parameters"),
    "query-outside": ({"entity": "orders", "query": {}}, "unknown key query; query belongs inside parameters"),
    "unknown-inside": (
        {"entity": "orders", "parameters": {"qeury": {}}},
        "unknown key qeury in parameters; did you mean query? (known keys: path, query, payload)",
    ),
    "parameters-no-object": ({"entity": "orders", "parameters": []}, "parameters must be an object, not a list"),
    "path-no-object": (
        {"entity": "orders", "parameters": {"path": 7}},
        "parameters.path must be an object, not a whole number",
    ),
    "payload": (
        {"entity": "orders", "parameters": {"payload": {"a": 1}}},
        "parameters.payload is for publish; subscribe takes path and query",
    ),
    "mode": (
        {"entity": "orders", "mode": "incremantal"},
        "mode must be full or incremental",
    ),
    "since-of-a-full-run": ({"entity": "orders", "since": "2026-01-01"}, "since is for mode incremental"),
    "since-no-time": (
        {"entity": "orders", "mode": "incremental", "since": "yesterday"},
        "since must be a time such as 2026-11-23T06:00:00Z, not 'yesterday'",
    ),
    "since-before-all-time": (
        {"entity": "orders", "mode": "incremental", "since": "0001-01-01T00:00:00+05:00"},
        "since must be a time such as",
    ),
    "no-time-filter": (
        {"entity": "taxes", "mode": "incremental"},
        "taxes cannot be read incrementally: it has no time filter; use mode full",
    ),
    "max-records-zero": ({"entity": "orders", "max_records": 0}, "max_records must be a whole number of 1 or more"),
    "max-records-text": ({"entity": "orders", "max_records": "5"}, "max_records must be a whole number, not text"),
    "language-and-languages": (
        {"entity": "orders", "language": "nl", "languages": ["en"]},
        "give language or languages, not both",
    ),
    "no-languages": ({"entity": "orders", "languages": []}, "languages must be a list of length 1 or more"),
    "language-twice": ({"entity": "orders", "languages": ["nl", "nl"]}, "languages names one more than once"),
    "language-in-capitals": (
        {"entity": "orders", "language": "NL"},
        "a language is the shop's two-letter code such as nl, en or us, not",
    ),
    "language-of-three": (
        {"entity": "orders", "languages": ["nl", "eng"]},
        "a language is the shop's two-letter code such as nl, en or us, not",
    ),
    "run-id": ({"entity": "orders", "run_id": "a b"}, "run_id has up to 80 letters, digits and . _ = -"),
    "run-id-too-long": ({"entity": "orders", "run_id": "a" * 81}, "run_id has up to 80"),
    "subscription": ({"entity": "orders", "subscription": "a b"}, "subscription may hold up to 200 letters"),
    "subscription with a slash too many": ({"entity": "orders", "subscription": "a//b"}, "in parts joined by /"),
    "subscription that shares a bookmark": (
        {"entity": "orders", "subscription": "orders.products"},
        "a subscription has no dot; 'orders/products' has the bookmark that 'orders.products' had",
    ),
    "old name of estimate": ({"entity": "orders", "plan": True}, "plan is now called estimate"),
    "transformer-no-text": ({"entity": "orders", "entity_transformer": 7}, "entity_transformer must be text or"),
}


@pytest.mark.parametrize(("event", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_refused_and_named(event: object, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        subscribe_request(event)

    assert message in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_several_mistakes_are_named_at_once() -> None:
    with pytest.raises(RequestError) as refused:
        subscribe_request({"entity": "taxes", "mode": "incremental", "run_id": "/", "since": "x"})

    assert len(refused.value.errors) == 3


def test_an_unknown_entity_suggests_the_nearest() -> None:
    with pytest.raises(UnknownEntity, match="Did you mean orders"):
        subscribe_request({"entity": "order"})


@pytest.mark.parametrize("key", ["input_transformer", "entity_transformer"])
@pytest.mark.parametrize("expression", ["{", ["$", "$uppercase("]], ids=["one", "second-of-two"])
def test_a_transformer_that_cannot_be_read_is_refused(key: str, expression: object) -> None:
    with pytest.raises(TransformError):
        subscribe_request({"entity": "orders", key: expression})


def request(**event: Any) -> SubscribeRequest:
    return subscribe_request({"entity": "orders", **event})


def test_defaults() -> None:
    found = request()

    assert (found.connection, found.mode, found.bookmark_name) == ("default", "full", "orders")
    assert found.endpoint.name == "orders"


def test_a_subscription_names_the_bookmark() -> None:
    assert request(subscription="paid/orders").bookmark_name == "paid/orders"


def test_run_and_cursor_are_not_part_of_what_is_asked_for() -> None:
    assert request(run_id="a", cursor="c").fingerprint() == request().fingerprint()
    assert request(run_id="a", cursor="c").as_event() == {"entity": "orders"}
    assert request().as_event(cursor="c") == {"entity": "orders", "cursor": "c"}


@pytest.mark.parametrize(
    "change",
    [
        {"max_records": 1},
        {"language": "en"},
        {"mode": "incremental"},
        {"connection": "other"},
        {"parameters": {"query": {"status": "paid"}}},
        {"entity_transformer": "$"},
        {"subscription": "s"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_other_key_is_part_of_what_is_asked_for(change: dict[str, Any]) -> None:
    assert request(**change).fingerprint() != request().fingerprint()


@pytest.mark.parametrize(
    "text",
    [
        '{"connection": "default"}',
        '{"mode": "full"}',
        '{"parameters": {}}',
        '{"parameters": {"path": {}, "query": {}, "payload": null}}',
        '{"ids": null, "estimate": false, "max_records": null}',
    ],
)
def test_a_default_that_is_written_asks_for_the_same_as_one_that_is_left_out(text: str) -> None:
    written = request(**json.loads(text))

    assert written.as_event() == {"entity": "orders"}
    assert written.fingerprint() == "4db39c444c0c4d46", "stored runs hold this fingerprint"


def test_the_order_of_keys_does_not_matter() -> None:
    one = request(parameters={"query": {"a": 1, "b": 2}})
    other = request(parameters={"query": {"b": 2, "a": 1}})

    assert one.fingerprint() == other.fingerprint()
