import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault


def stock(variant: int, level: int) -> dict[str, Any]:
    return event("variants", "update", {"stockLevel": level}, path={"id": variant})


def level(publisher: Publisher, variant: int) -> int:
    found: int = (publisher.shop.store.row("variants", variant) or {})["stockLevel"]
    return found


def test_a_bad_message_goes_back_and_stops_no_other(publisher: Publisher) -> None:
    tag = event("tags", "create", {"title": "new"})
    failed = publisher.failed(message(1, "not JSON"), message(2, tag), message(3, {"entity": "orders"}))
    assert failed == ["message-1", "message-3"]
    assert publisher.sent() == [("POST", "/nl/tags.json")]


def test_a_message_without_an_id_or_a_body_stops_no_other(publisher: Publisher) -> None:
    tag = event("tags", "create", {"title": "new"})
    nameless, empty = message(1, event("tags", "create", {"title": "nameless"})), message(2, "")
    del nameless["messageId"], empty["body"]
    assert publisher.failed(nameless, empty, message(3, tag)) == ["message-2"]
    assert publisher.sent() == [("POST", "/nl/tags.json")] * 2
    del empty["messageId"]
    assert publisher.failed(empty, message(4, "not JSON")) == ["message-4"], "an empty id would fail the whole batch"


@pytest.mark.parametrize("value", [7, "x", [1]])
def test_a_message_of_another_shape_stops_no_other(publisher: Publisher, value: Any) -> None:
    tag = event("tags", "create", {"title": "new"})
    attributes = {**message(1, ""), "attributes": value, "messageAttributes": value}
    first = {**message(2, ""), "messageAttributes": {"FirstMessageId": value}}
    assert publisher.failed(value, attributes, first, message(3, tag)) == ["message-1", "message-2"]
    assert publisher.sent() == [("POST", "/nl/tags.json")]


def test_a_body_may_begin_with_a_byte_order_mark(publisher: Publisher) -> None:
    tag = event("tags", "create", {"title": "new"})
    assert publisher.failed(message(1, "\ufeff" + json.dumps(tag))) == []
    assert publisher.sent() == [("POST", "/nl/tags.json")]


def test_a_message_that_is_delivered_twice_is_published_once(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    records = [message(1, event("tags", "create", {"title": "new"})), message(2, stock(variant, 3))]
    assert publisher.failed(*records) == []
    assert publisher.failed(*records) == []
    assert len(publisher.sent()) == 2


def test_an_older_message_that_comes_late_does_not_undo_a_newer_one(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.failed(message(2, stock(variant, 20)))
    assert publisher.failed(message(1, stock(variant, 10))) == []
    assert level(publisher, variant) == 20


def skipping(variant: int, level: int) -> dict[str, Any]:
    return {**stock(variant, level), "skip_unchanged": True}


def by_sku(_: int, level: int) -> dict[str, Any]:
    return event("variants", "create", {"sku": "Q", "stockLevel": level}, match="sku")


def skipping_by_sku(_: int, level: int) -> dict[str, Any]:
    return {**by_sku(_, level), "skip_unchanged": True}


def by_other_text(variant: int, level: int) -> dict[str, Any]:
    return event("variants", "update", {"stockLevel": level}, path={"id": f" 0{variant}"})


OTHERS = [skipping, by_sku, skipping_by_sku, by_other_text]


@pytest.mark.parametrize(("newer", "older"), [pair for other in OTHERS for pair in ((stock, other), (other, stock))])
def test_an_older_message_does_not_undo_a_newer_one_whatever_form_they_have(
    publisher: Publisher, newer: Callable[[int, int], object], older: Callable[[int, int], object]
) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.shop.store.update("variants", variant, sku="Q", stockLevel=20)
    assert publisher.failed(message(2, newer(variant, 20))) == []
    assert publisher.failed(message(1, older(variant, 10))) == []
    assert level(publisher, variant) == 20
    assert publisher.failed(message(4, newer(variant, 40)), message(3, older(variant, 30))) == []
    assert level(publisher, variant) == 40


@pytest.mark.parametrize("older", [by_sku, skipping_by_sku])
def test_an_older_message_does_not_undo_what_a_newer_one_created(
    publisher: Publisher, older: Callable[[int, int], object]
) -> None:
    product = publisher.shop.store.ids("products")[0]
    create = event("variants", "create", {"sku": "Q", "stockLevel": 20, "product": product}, match="sku")
    assert publisher.failed(message(2, create)) == []
    assert publisher.failed(message(1, older(0, 10))) == []
    assert [row["stockLevel"] for row in publisher.shop.store.rows("variants") if row.get("sku") == "Q"] == [20]


def test_a_create_that_is_delivered_again_does_not_make_way_for_an_older_message(publisher: Publisher) -> None:
    product = publisher.shop.store.ids("products")[0]
    create = event("variants", "create", {"sku": "Q", "stockLevel": 10, "product": product}, match="sku")
    for found in (message(10, create), message(30, by_sku(0, 30)), message(10, create), message(20, by_sku(0, 20))):
        assert publisher.failed(found) == []
    assert [row["stockLevel"] for row in publisher.shop.store.rows("variants") if row.get("sku") == "Q"] == [30]


def test_an_update_that_reads_first_sends_nothing_if_nothing_would_change(publisher: Publisher) -> None:
    variant, other = publisher.shop.store.ids("variants")[:2]
    publisher.shop.store.update("variants", variant, sku="Q", stockLevel=20)
    publisher.shop.store.update("variants", other, stockLevel=20)
    calls = [skipping(other, 20), skipping(variant, 20), skipping_by_sku(0, 20)]
    assert publisher.failed(*(message(n, call) for n, call in enumerate(calls))) == []
    assert [verb for verb, _ in publisher.sent()] == ["GET"] * 3
    assert publisher.failed(message(4, skipping_by_sku(0, 20))) == []
    assert len(publisher.sent()) == 4, "what a look-up showed is not read again"


def test_an_update_whose_outcome_is_unknown_is_sent_again(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    no_record = Fault("answer", 200, b'{"variant": false}', (("Content-Type", "application/json"),))
    publisher.shop.faults.next(no_record, method="PUT")
    assert publisher.failed(message(1, stock(variant, 10))) == ["message-1"]
    assert level(publisher, variant) != 10
    assert publisher.failed(message(1, stock(variant, 10), receipts=2)) == []
    assert level(publisher, variant) == 10


def test_of_two_messages_of_one_millisecond_the_later_arrival_wins_but_not_by_a_second_delivery(
    publisher: Publisher,
) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    first, second = message(1, stock(variant, 10), sent=5), message(2, stock(variant, 20), sent=5)
    assert publisher.failed(first) == []
    assert publisher.failed(second) == []
    assert level(publisher, variant) == 20
    assert publisher.failed(first) == []
    assert level(publisher, variant) == 20
    assert len(publisher.sent()) == 2


def test_messages_of_one_millisecond_in_one_batch_win_by_their_place_in_it(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    records = [message(n, stock(variant, n), sent=5) for n in range(4)]
    assert publisher.failed(*records) == []
    assert level(publisher, variant) == 3
    assert publisher.failed(records[1]) == []
    assert level(publisher, variant) == 3
    assert len(publisher.sent()) == 1


def test_an_older_upsert_that_comes_late_does_not_undo_a_newer_one(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.shop.store.update("variants", variant, sku="A-1")

    def upsert(number: int) -> dict[str, Any]:
        fields = {"sku": "A-1", "stockLevel": number * 10}
        return message(number, event("variants", "create", fields, match="sku"))

    assert publisher.failed(upsert(2)) == []
    assert publisher.failed(upsert(1)) == []
    assert level(publisher, variant) == 20


def test_an_older_message_still_sets_the_fields_that_the_newer_one_left_alone(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    publisher.failed(message(2, stock(variant, 20)))
    both = event("variants", "update", {"stockLevel": 10, "priceExcl": 7.5}, path={"id": variant})
    publisher.failed(message(1, both))
    assert publisher.shop.requests[-1].json == {"variant": {"priceExcl": 7.5}}
    assert level(publisher, variant) == 20


def test_a_newer_message_that_the_shop_refuses_does_not_stand_in_the_way(publisher: Publisher) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    bad = event("variants", "update", {"stockLevel": "many"}, path={"id": variant})
    assert publisher.failed(message(2, bad)) == ["message-2"]
    assert publisher.failed(message(1, stock(variant, 10))) == []
    assert level(publisher, variant) == 10


def test_messages_wait_in_the_queue_for_as_long_as_the_quota_asks(publisher: Publisher) -> None:
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    for number in range(3):
        body = json.dumps(event("tags", "create", {"title": f"tag {number}"}))
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    publisher.shop.limits.quota = (1, 100, 1000)
    got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    records = [
        message(n, found["Body"], receipt=found["ReceiptHandle"]) | {"messageId": found["MessageId"]}
        for n, found in enumerate(got)
    ]

    failed = publisher.failed(*records)

    assert failed == [record["messageId"] for record in records[1:]]
    assert len(publisher.sent()) == 1, "what is left of the quota tells that it is used up"
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"]
    assert attributes == {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "3"}
    assert publisher.failed(*records[1:]) == failed
    assert len(publisher.sent()) == 1, "the next batch remembers it"
    publisher.shop.clock.advance(301)
    assert publisher.failed(records[1]) == []


def test_in_the_background_a_part_of_the_quota_is_left_to_others(publisher: Publisher) -> None:
    publisher.shop.limits.quota = (10, 1000, 10000)
    records = [message(n, event("tags", "create", {"title": f"tag {n}"})) for n in range(12)]
    failed = publisher.failed(*records)
    assert len(publisher.sent()) == 9
    assert failed == [record["messageId"] for record in records[9:]]
    assert publisher(event("tags", "create", {"title": "now"}))["status"] == "created"


def test_waiting_for_the_quota_never_uses_a_message_up(publisher: Publisher) -> None:
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    publisher.deps.pauses["default"] = publisher.deps.clock.time() + 500
    variant = publisher.shop.store.ids("variants")[0]
    often = message(7, stock(variant, 5), receipts=5)

    assert publisher.failed(often) == [], "a copy takes its place"

    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert attributes["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"


def test_a_copy_keeps_the_first_id_and_time_of_its_message(publisher: Publisher) -> None:
    tag = event("tags", "create", {"title": "new"})
    kept = {"FirstMessageId": "message-1", "FirstSentTimestamp": "1"}
    attributes = {name: {"stringValue": value, "dataType": "String"} for name, value in kept.items()}
    copy = {**message(9, tag), "messageAttributes": attributes}
    assert publisher.failed(message(1, tag)) == []
    assert publisher.failed(copy) == []
    assert len(publisher.sent()) == 1

    variant = publisher.shop.store.ids("variants")[0]
    publisher.failed(message(5, stock(variant, 50)))
    publisher.failed({**message(9, stock(variant, 10)), "messageAttributes": attributes})
    assert level(publisher, variant) == 50


def test_an_unknown_outcome_goes_back_and_is_not_sent_again(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    record = message(1, event("tags", "create", {"title": "new"}))
    assert publisher.failed(record) == ["message-1"]
    assert publisher.failed(record) == ["message-1"]
    assert len(publisher.sent()) == 1


def test_an_unknown_outcome_is_settled_by_match_when_the_message_comes_again(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    publisher.shop.faults.next(Fault.answers(500), times=4, method="GET", after=1)
    record = message(1, event("tags", "create", {"title": "new"}, match="title"))
    assert publisher.failed(record) == ["message-1"]
    assert publisher.failed(record) == []
    assert [row["title"]["nl"] for row in publisher.shop.store.rows("tags")].count("new") == 1


def test_late_in_an_invocation_messages_are_handed_back(publisher: Publisher) -> None:
    publisher.context.seconds = 8
    tag = event("tags", "create", {"title": "new"})
    assert publisher.failed(message(1, tag)) == ["message-1"]
    assert publisher.failed(message(1, tag, receipts=5)) == [], "a copy takes its place"
    assert publisher.sent() == []


def test_a_hundred_stock_messages_cost_one_request(publisher: Publisher) -> None:
    ids = publisher.shop.store.ids("variants")[:60]
    assert publisher.failed(*(message(n, stock(variant, n)) for n, variant in enumerate(ids))) == []
    assert publisher.sent() == [("PUT", "/nl/variants/bulk.json")]
    assert [level(publisher, variant) for variant in ids] == list(range(60))
