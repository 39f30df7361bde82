"""Messages and items of the release before: what that release did is not done again.

`release_before.json` holds the items that the release before wrote to the table for the events below.
"""

import json
from pathlib import Path

import pytest

from tests.integration.publish.conftest import Publisher, event, message

ITEMS = json.loads(Path(__file__).with_name("release_before.json").read_text(encoding="utf-8"))
VARIANT = 322926485
ONCE = message(1, event("tags", "create", {"title": "once"}))


@pytest.fixture
def upgraded(publisher: Publisher) -> Publisher:
    """The function on the table of the release before."""
    for item in ITEMS:
        publisher.keep(item)
    assert VARIANT in publisher.shop.store.ids("variants")
    return publisher


def test_a_message_that_was_done_is_not_sent_again(upgraded: Publisher) -> None:
    assert upgraded.failed(ONCE) == []
    assert upgraded.sent() == []


def test_a_copy_of_it_that_waited_keeps_its_key(upgraded: Publisher) -> None:
    attributes = {
        name: {"stringValue": text, "dataType": "String"}
        for name, text in (("FirstMessageId", "message-1"), ("FirstSentTimestamp", "1"))
    }
    assert upgraded.failed({**ONCE, "messageId": "copy", "messageAttributes": attributes}) == []
    assert upgraded.sent() == []


def test_a_key_answers_with_its_first_result_and_an_unknown_one_stays_unknown(upgraded: Publisher) -> None:
    done = upgraded(event("tags", "create", {"title": "keyed"}, idempotency_key="order-1"))
    lost = upgraded(event("brands", "create", {"title": "lost"}, idempotency_key="order-2"))

    assert (done["status"], done["id"], lost["status"]) == ("created", 18890224, "unknown")
    assert [one for one in upgraded.sent() if one[0] != "GET"] == []


def test_an_older_stock_level_does_not_undo_a_newer_one(upgraded: Publisher) -> None:
    before = upgraded.shop.store.row("variants", VARIANT)
    older = message(3, event("variants", "update", {"stockLevel": 3}, path={"id": VARIANT}), sent=500)
    assert upgraded.failed(older) == []
    assert upgraded.shop.store.row("variants", VARIANT) == before

    newer = message(4, event("variants", "update", {"stockLevel": 9}, path={"id": VARIANT}), sent=1500)
    assert upgraded.failed(newer) == []
    assert (upgraded.shop.store.row("variants", VARIANT) or {})["stockLevel"] == 9
