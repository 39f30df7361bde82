import json
from typing import Any

import pytest

from connector.errors import RequestError
from lightspeed import CatalogueError
from publish.event import IncomingEvent, batch_items, parse_request
from publish.result import refusal, to_json

TAG = {"entity": "tags", "action": "create"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"skip_unchaned": True}, "did you mean skip_unchanged"),
        ({"skip_unchanged": 1}, "skip_unchanged"),
        ({"skip_unchanged": True}, "skip_unchanged is for action update, and for create with match"),
        ({"match": []}, "match must name at least one field"),
        ({"match": "sku"}, "tags can be looked up by"),
        ({"match": "title", "action": "update"}, "match is for action create"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"parameters": {"body": {}}}, "body"),
        ({"action": "burn"}, "tags has no burn"),
        ({"entity": "tag"}, "Did you mean tags"),
    ],
)
def test_a_wrong_event_is_refused_with_what_would_be_right(more: dict[str, Any], message: str) -> None:
    with pytest.raises((RequestError, CatalogueError), match=message):
        parse_request({**TAG, **more})


@pytest.mark.parametrize("event", [None, [], "x", 7])
def test_an_event_is_an_object(event: object) -> None:
    with pytest.raises(RequestError, match="must be a JSON object"):
        parse_request(event)


def test_two_events_that_ask_for_the_same_have_the_same_content() -> None:
    first = parse_request({**TAG, "idempotency_key": "a", "dry_run": False, "connection": "default"})
    second = parse_request({**TAG, "idempotency_key": "b"})
    assert first.content() == second.content()


@pytest.mark.parametrize(
    "text",
    ['{"connection": "default"}', '{"parameters": {}}', '{"parameters": {"path": {}}}', '{"match": null}'],
)
def test_a_default_that_is_written_is_the_same_content_as_one_that_is_left_out(text: str) -> None:
    assert parse_request({**TAG, **json.loads(text)}).content() == TAG


@pytest.mark.parametrize("body", [{"items": {}}, {"items": [], "more": 1}, {"items": None}])
def test_a_batch_is_a_list_of_items_and_nothing_else(body: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="a batch is"):
        batch_items(body)


def test_an_unexpected_error_is_a_failed_item_that_says_what_it_was() -> None:
    outcome = refusal(ZeroDivisionError("division by zero"))

    assert to_json(outcome)["error"]["detail"] == "unexpected ZeroDivisionError: division by zero"


def test_an_entry_carries_nothing_but_its_event_unless_it_is_told() -> None:
    assert (IncomingEvent(TAG).message_id, IncomingEvent(TAG).queued_at) == ("", None)
