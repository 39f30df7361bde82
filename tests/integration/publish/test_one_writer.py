"""One writer per shop: a batch is postponed while another one writes, and no newer value is undone."""

from collections.abc import Callable
from typing import Any

import pytest

from publish.batch.writer_lease import POSTPONE_SECONDS, ShopBusy, WriterLease
from publish.idempotency import MARGIN_SECONDS
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


def leased(publisher: Publisher, seconds: float, connection: str = "default") -> None:
    """Let a batch that was killed hold the lease of a connection for so many seconds more."""
    deadline = publisher.deps.clock.time() + seconds
    publisher.keep(
        {
            "id": {"S": f"writer#{connection}"},
            "holder": {"S": "killed"},
            "deadline": {"N": str(int(deadline * 1000))},
        }
    )


def test_a_batch_waits_some_seconds_for_the_writer_and_is_then_postponed(publisher: Publisher, ids: list[int]) -> None:
    newer = [stock(10 + n, variant, 10 + n) for n, variant in enumerate(ids)]
    postponed: list[str] = []
    before = publisher.shop.clock.now()
    during_the_first_request(publisher, lambda: postponed.extend(publisher.failed(*newer)))
    assert publisher.failed(*(stock(n, variant, n) for n, variant in enumerate(ids))) == []
    assert postponed == ["message-10", "message-11", "message-12", "message-13"]
    assert publisher.shop.clock.now() - before <= 6
    assert publisher.sent() == [BULK]
    assert publisher.failed(*newer) == []
    assert levels(publisher, ids) == [10, 11, 12, 13]


def test_a_lease_that_is_not_free_says_whose_and_when_to_try_again(publisher: Publisher) -> None:
    leased(publisher, 12)
    with WriterLease(*publisher.deps.table_client_clock).hold(["default"], 100) as refused:
        assert str(refused["default"]) == "not sent: another batch writes to the shop of connection 'default'"
        assert 6 <= vars(refused["default"])["retry_after_seconds"] <= 7
    for seconds, wait in ((600, POSTPONE_SECONDS), (5.3, 1.0)):
        leased(publisher, seconds)
        with WriterLease(*publisher.deps.table_client_clock).hold(["default"], 100) as refused:
            assert vars(refused["default"])["retry_after_seconds"] == wait


class _WithoutItems:
    """A client of a table that does not show what is there instead of an item that it refuses."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put_item(self, **given: Any) -> Any:
        del given["ReturnValuesOnConditionCheckFailure"]
        return self._client.put_item(**given)


def test_a_lease_that_the_table_does_not_show_is_busy_too(publisher: Publisher) -> None:
    leased(publisher, 100)
    table, client, clock = publisher.deps.table_client_clock

    with WriterLease(table, _WithoutItems(client), clock).hold(["default"], 10) as refused:
        assert isinstance(refused["default"], ShopBusy)


def test_the_table_keeps_a_lease_for_a_day_after_its_deadline(publisher: Publisher) -> None:
    with WriterLease(*publisher.deps.table_client_clock).hold(["default"], 100):
        (item,) = publisher.items
    left = int(item["expiration"]["N"]) - publisher.deps.clock.time()
    assert 86_400 < left <= 86_400 + 100


def test_a_writer_that_is_done_in_time_postpones_nobody(publisher: Publisher, ids: list[int]) -> None:
    leased(publisher, 2 - MARGIN_SECONDS)
    assert publisher.failed(stock(1, ids[0], 1)) == []
    assert levels(publisher, ids[:1]) == [1]


def test_waiting_for_the_writer_wears_no_message_out(publisher: Publisher, ids: list[int]) -> None:
    leased(publisher, 600)
    sqs, queue = publisher.deps.aws.client("sqs"), publisher.deps.settings.publish_queue_url
    often = {**stock(7, ids[0], 5)}
    often["attributes"] = {**often["attributes"], "ApproximateReceiveCount": "9"}
    assert publisher.failed(often) == [], "a copy replaces it"
    asked = {"QueueUrl": queue, "AttributeNames": ["ApproximateNumberOfMessagesDelayed"]}
    assert sqs.get_queue_attributes(**asked)["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}


def test_a_killed_writer_is_waited_for_until_its_deadline_and_a_margin(publisher: Publisher, ids: list[int]) -> None:
    leased(publisher, 100)
    publisher.shop.clock.advance(100 + MARGIN_SECONDS - 10)
    assert publisher.failed(stock(1, ids[0], 1)) == ["message-1"]
    publisher.shop.clock.advance(10)
    assert publisher.failed(stock(1, ids[0], 1)) == []
    assert levels(publisher, ids[:1]) == [1]


def test_the_lease_of_one_shop_postpones_no_other(publisher: Publisher, ids: list[int]) -> None:
    leased(publisher, 600, "second")
    publisher.connect("second")
    other = message(2, event("tags", "create", {"title": "new"}, connection="second"))
    assert publisher.failed(stock(1, ids[0], 1), other) == ["message-2"]
    assert levels(publisher, ids[:1]) == [1]


def test_a_direct_call_waits_for_no_writer(publisher: Publisher) -> None:
    leased(publisher, 600)
    assert publisher(event("tags", "create", {"title": "now"}))["status"] == "created"
    assert publisher.batch(event("tags", "create", {"title": "both"}))[0]["status"] == "created"


def test_no_request_starts_after_the_deadline_of_its_own_lease(publisher: Publisher) -> None:
    """The function's clock of remaining time does not move here, so that only the lease can stop the batch."""
    publisher.shop.on_request(lambda _: publisher.shop.clock.advance(28))
    tags = [message(n, event("tags", "create", {"title": f"tag {n}"})) for n in range(6)]
    assert publisher.failed(*tags) == ["message-4", "message-5"]
    assert len(publisher.sent()) == 4


def test_one_message_delivered_to_two_batches_of_which_one_has_a_newer_one_leaves_the_newer_value(
    publisher: Publisher, ids: list[int]
) -> None:
    older, newer = stock(1, ids[0], 10), stock(2, ids[0], 20)
    postponed: list[str] = []
    during_the_first_request(publisher, lambda: postponed.extend(publisher.failed(older, newer)))
    assert publisher.failed(older) == []
    assert postponed == ["message-1", "message-2"]
    assert publisher.failed(older, newer) == []
    assert levels(publisher, ids[:1]) == [20]


def test_a_message_that_is_refused_leaves_no_single_field_in_the_shop(publisher: Publisher, ids: list[int]) -> None:
    first = ids[0]
    publisher.shop.store.update("variants", first, priceExcl=1, stockLevel=1)
    older = message(1, event("variants", "update", {"stockLevel": 5}, path={"id": first}))
    bad = event("variants", "update", {"priceExcl": 7.5, "stockLevel": "many"}, path={"id": first})
    assert publisher.failed(older, message(2, bad)) == ["message-2"]
    assert levels(publisher, [first]) == [5]
    assert (publisher.shop.store.row("variants", first) or {})["priceExcl"] == 1


def test_an_older_message_does_not_undo_a_newer_one_after_an_even_newer_one_was_refused(
    publisher: Publisher, ids: list[int]
) -> None:
    first = ids[0]
    assert publisher.failed(stock(2, first, 20)) == []
    assert publisher.failed(stock(3, first, "many")) == ["message-3"]
    assert publisher.failed(stock(1, first, 10)) == []
    assert levels(publisher, [first]) == [20]


def test_an_interrupted_update_that_arrives_late_is_written_over_when_its_message_comes_again(
    publisher: Publisher, ids: list[int]
) -> None:
    first = ids[0]
    publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    assert publisher.failed(stock(1, first, 10)) == ["message-1"]
    assert publisher.failed(stock(2, first, 20)) == []
    publisher.shop.store.update("variants", first, stockLevel=10)  # the lost request is carried out now
    assert publisher.failed(stock(1, first, 10)) == []
    assert levels(publisher, [first]) == [20]


def test_a_repair_that_the_shop_refuses_does_not_keep_its_message_in_the_queue(
    publisher: Publisher, ids: list[int]
) -> None:
    first = ids[0]
    publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    assert publisher.failed(stock(1, first, 10)) == ["message-1"]
    assert publisher.failed(stock(2, first, 20)) == []
    publisher.shop.faults.next(Fault.answers(422), method="PUT")
    assert publisher.failed(stock(1, first, 10)) == []
    assert publisher.failed(stock(1, first, 10)) == []
    assert len(publisher.sent()) == 6, "it is tried once"


def test_versions_that_an_older_release_stored_still_order_updates(publisher: Publisher, ids: list[int]) -> None:
    first = ids[0]
    assert publisher.failed(stock(5, first, 50)) == []
    (item,) = publisher.items
    old = {
        "id": item["id"],
        "expiration": item["expiration"],
        "m.stockLevel": {"N": "5"},
        "w.stockLevel": {"S": "message-5"},
        "v.stockLevel": {"S": "50"},
        "b.stockLevel": {"N": "5"},
        "a.stockLevel": {"S": "message-5"},
        "c.stockLevel": {"S": "50"},
        "messages_done": {"SS": ["message-5"]},
        "messages_sending": {"SS": ["message-4"]},
    }
    publisher.keep(old)
    assert publisher.failed(stock(3, first, 30)) == [], "older"
    assert publisher.failed(stock(5, first, 50)) == [], "delivered again"
    assert len(publisher.sent()) == 1
    publisher.shop.store.update("variants", first, stockLevel=40)
    assert publisher.failed(stock(4, first, 40)) == [], "interrupted, and carried out late"
    assert levels(publisher, [first]) == [50]
    assert publisher.failed(stock(6, first, 60)) == []
    assert levels(publisher, [first]) == [60]
    (item,) = publisher.items
    assert not [name for name in item if name.startswith(("m.", "messages"))]


def test_an_older_message_is_done_though_the_newer_ones_of_its_batch_fail(publisher: Publisher, ids: list[int]) -> None:
    first, second, *_ = ids
    assert publisher.failed(stock(2, first, 20)) == []
    publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    older, newer = stock(1, first, 10), stock(3, first, 30)
    assert publisher.failed(older, newer, stock(4, second, 40)) == ["message-3", "message-4"]


def test_a_repair_that_fails_keeps_all_messages_of_its_record(publisher: Publisher, ids: list[int]) -> None:
    first = ids[0]
    publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    assert publisher.failed(stock(1, first, 10)) == ["message-1"]
    assert publisher.failed(stock(2, first, 20)) == []
    publisher.shop.faults.next(Fault.answers(503), times=4, method="PUT")
    assert publisher.failed(stock(1, first, 10), stock(2, first, 20)) == ["message-1", "message-2"]
