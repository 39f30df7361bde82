"""Newer messages that enter while a request is on its way: what they want is sent once more, in bulk."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.publish.conftest import Publisher, event, message
from tests.shop import Fault

BULK = ("PUT", "/nl/variants/bulk.json")


def stock(number: int, variant: int, level: object) -> dict[str, Any]:
    return message(number, event("variants", "update", {"stockLevel": level}, path={"id": variant}))


def levels(publisher: Publisher, ids: list[int]) -> list[int]:
    return [(publisher.shop.store.row("variants", i) or {})["stockLevel"] for i in ids]


@pytest.fixture
def ids(publisher: Publisher) -> list[int]:
    return publisher.shop.store.ids("variants")[:4]


def during_the_first_request(publisher: Publisher, rival: Callable[[], object]) -> None:
    """Let another consumer work while the next request is on its way."""
    begun: list[object] = []

    def overtake(_: object) -> None:
        if not begun:
            begun.append(True)
            rival()

    publisher.shop.on_request(overtake)


def test_what_newer_messages_want_of_many_records_goes_out_in_one_more_bulk(
    publisher: Publisher, ids: list[int]
) -> None:
    newer = [stock(10 + n, variant, 10 + n) for n, variant in enumerate(ids)]
    during_the_first_request(publisher, lambda: publisher.failed(*newer))
    assert publisher.failed(*(stock(n, variant, n) for n, variant in enumerate(ids))) == []
    assert publisher.sent() == [BULK] * 3
    assert levels(publisher, ids) == [10, 11, 12, 13]


def test_a_newer_value_that_the_shop_refuses_harms_neither_the_older_message_nor_the_others(
    publisher: Publisher, ids: list[int]
) -> None:
    newer = [stock(10 + n, variant, "many" if n == 1 else 10 + n) for n, variant in enumerate(ids)]
    refused: list[str] = []
    during_the_first_request(publisher, lambda: refused.extend(publisher.failed(*newer)))
    assert publisher.failed(*(stock(n, variant, n) for n, variant in enumerate(ids))) == []
    assert refused == ["message-11"]
    assert levels(publisher, ids) == [10, 1, 12, 13]
    assert publisher.failed(stock(0, ids[1], 99)) == []
    assert levels(publisher, ids) == [10, 1, 12, 13], "what the shop had before stands against older messages"


def test_what_a_dead_consumer_wanted_is_not_held_against_the_message_that_carries_it(
    publisher: Publisher, ids: list[int]
) -> None:
    """Its consumer entered the wrong newer value and has sent nothing yet: the older message is sent with it."""
    first = ids[0]
    told: list[list[str]] = []

    def older(_: object) -> None:
        if not told:
            told.append([])
            told[0] = publisher.failed(stock(1, first, 1))

    publisher.shop.on_request(older)
    assert publisher.failed(stock(2, first, "many")) == ["message-2"]
    assert told == [[]]
    assert levels(publisher, [first]) == [1]


def test_fields_of_two_messages_that_are_refused_together_are_tried_apart(publisher: Publisher, ids: list[int]) -> None:
    first = ids[0]
    price = event("variants", "update", {"priceExcl": 7.5, "stockLevel": 5}, path={"id": first})
    told: list[list[str]] = []

    def older(_: object) -> None:
        if not told:
            told.append([])
            told[0] = publisher.failed(message(1, price))

    publisher.shop.on_request(older)
    assert publisher.failed(stock(2, first, "many")) == ["message-2"]
    assert told == [[]]
    assert levels(publisher, [first]) == [5]
    assert (publisher.shop.store.row("variants", first) or {})["priceExcl"] == 7.5


def test_an_older_message_does_not_undo_a_newer_one_after_an_even_newer_one_was_refused(
    publisher: Publisher, ids: list[int]
) -> None:
    first = ids[0]
    assert publisher.failed(stock(2, first, 20)) == []
    assert publisher.failed(stock(3, first, "many")) == ["message-3"]
    assert publisher.failed(stock(1, first, 10)) == []
    assert levels(publisher, [first]) == [20]


def test_with_the_quota_used_up_before_the_further_bulk_the_messages_come_again(
    publisher: Publisher, ids: list[int]
) -> None:
    older = [stock(n, variant, n) for n, variant in enumerate(ids)]
    newer = [stock(10 + n, variant, 10 + n) for n, variant in enumerate(ids[:2])]
    publisher.shop.limits.quota = (2, 100, 1000)
    during_the_first_request(publisher, lambda: publisher.failed(*newer))
    assert publisher.failed(*older) == ["message-0", "message-1"]
    assert publisher.sent() == [BULK] * 2
    publisher.shop.clock.advance(301)
    assert publisher.failed(*older[:2]) == []
    assert levels(publisher, ids) == [10, 11, 2, 3]


def test_with_the_time_used_up_before_the_further_bulk_the_messages_come_again(
    publisher: Publisher, ids: list[int]
) -> None:
    newer = stock(10, ids[0], 10)

    def rival() -> None:
        publisher.failed(newer)
        publisher.context.seconds = 8

    during_the_first_request(publisher, rival)
    assert publisher.failed(*(stock(n, variant, n) for n, variant in enumerate(ids))) == ["message-0"]
    assert len(publisher.sent()) == 2


def test_a_further_bulk_without_an_answer_lets_its_messages_come_again(publisher: Publisher, ids: list[int]) -> None:
    older = [stock(n, variant, n) for n, variant in enumerate(ids)]
    newer = [stock(10 + n, variant, 10 + n) for n, variant in enumerate(ids[:2])]

    def rival() -> None:
        publisher.failed(*newer)
        publisher.shop.faults.next(Fault.answers(503), times=8, method="PUT", after=1)

    during_the_first_request(publisher, rival)
    failed = publisher.failed(*older)
    publisher.shop.faults.clear()
    assert failed == ["message-0", "message-1"]
    assert publisher.failed(*older[:2]) == []
    assert levels(publisher, ids) == [10, 11, 2, 3]
