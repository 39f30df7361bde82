import json
from collections.abc import Callable
from typing import Any

import pytest

from connector.errors import UnknownConnection
from lightspeed import AnswerLost, InvalidParameters, ServerError
from lightspeed.http_session import Session
from tests.integration.publish.conftest import Publisher, event
from tests.shop import Fault

LOST = [
    pytest.param(Fault.loses_answer(), id="connection dropped"),
    pytest.param(Fault.cuts_body(), id="body cut"),
    pytest.param(Fault.error_in_success(), id="error in a 201"),
    pytest.param(Fault.answers(500), id="500"),
    pytest.param(Fault.answers(504), id="504"),
    pytest.param(Fault.html(200), id="a page instead of the record"),
]


def count(publisher: Publisher, title: str) -> int:
    return [row["title"]["nl"] for row in publisher.shop.store.rows("products")].count(title)


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_is_lost_is_unknown_without_match_and_never_sent_again(
    publisher: Publisher, fault: Fault
) -> None:
    publisher.shop.faults.next(fault, method="POST")
    call = event("products", "create", {"title": "Lost"}, idempotency_key="k")

    answer = publisher(call)

    assert answer["status"] == "unknown"
    assert "may or may not have acted" in answer["detail"]
    assert answer["check"] == {
        "entity": "products",
        "connection": "default",
        "parameters": {"query": {"created_at_min": "2026-11-23T06:00:00+00:00"}},
    }
    assert publisher(call) == answer
    assert publisher.sent() == [("POST", "/nl/products.json")]


@pytest.mark.parametrize("fault", [LOST[0], LOST[1], LOST[2]])
def test_a_create_whose_answer_is_lost_is_settled_by_match_where_the_shop_acted(
    publisher: Publisher, fault: Fault
) -> None:
    publisher.shop.faults.next(fault, method="POST")

    answer = publisher(event("products", "create", {"title": "Lost"}, match="title"))

    assert answer["status"] == "created"
    assert answer["record"]["title"] == "Lost"
    assert count(publisher, "Lost") == 1


def test_an_unknown_write_is_a_metric(publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    publisher(event("products", "create", {"title": "Known"}, match="title"))
    assert "UnknownWrites" not in capsys.readouterr().out

    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    publisher(event("products", "create", {"title": "Lost"}))
    (line,) = [json.loads(row) for row in capsys.readouterr().out.splitlines() if '"_aws"' in row]
    assert (line["UnknownWrites"], line["connection"], line["entity"]) == (1, "default", "products")


def test_a_create_that_the_shop_did_not_act_on_stays_unknown_for_it_may_still_be_at_work(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.answers(504), method="POST")
    answer = publisher(event("products", "create", {"title": "Lost"}, match="title"))
    assert answer["status"] == "unknown"
    assert answer["check"]["parameters"] == {"query": {"title": "Lost"}}


def test_an_unknown_create_is_settled_by_a_later_call_with_its_key(publisher: Publisher) -> None:
    call = event("products", "create", {"title": "Lost"}, match="title", idempotency_key="k")
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    publisher.shop.faults.next(Fault.answers(500), times=4, method="GET", after=1)
    assert publisher(call)["status"] == "unknown"

    settled = publisher(call)

    assert settled["status"] == "created"
    assert publisher(call) == settled
    assert count(publisher, "Lost") == 1


def test_an_unknown_create_whose_record_another_write_has_made_is_an_update_of_it(publisher: Publisher) -> None:
    call = event("variants", "create", {"sku": "Q", "stockLevel": 20}, match="sku", idempotency_key="k")
    publisher.shop.faults.next(Fault.answers(504), method="POST")
    assert publisher(call)["status"] == "unknown"
    variant = publisher.shop.store.add("variants", sku="Q", stockLevel=10)

    settled = publisher(call)

    assert (settled["status"], settled["id"], settled["record"]["stockLevel"]) == ("updated", variant, 20)
    assert publisher(call) == settled


def test_an_unknown_create_that_surely_did_not_arrive_is_sent_by_a_later_call(publisher: Publisher) -> None:
    call = event("products", "create", {"title": "Lost"}, match="title", idempotency_key="k")
    publisher.shop.faults.next(Fault.answers(504), method="POST")
    assert publisher(call)["status"] == "unknown"
    assert publisher(call)["status"] == "unknown", "the shop may still be at work"
    assert count(publisher, "Lost") == 0

    publisher.minutes_pass()

    assert publisher(call)["status"] == "created"
    assert count(publisher, "Lost") == 1


def test_a_create_that_surely_did_not_arrive_is_sent_again(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.answers(429), method="POST")
    assert publisher(event("products", "create", {"title": "Again"}))["status"] == "created"
    assert count(publisher, "Again") == 1


@pytest.mark.parametrize("fault", [LOST[0], LOST[1], LOST[3]])
def test_updates_and_deletes_are_repeated_until_they_are_answered(publisher: Publisher, fault: Fault) -> None:
    product = publisher.shop.store.ids("products")[0]
    for action, payload in (("update", {"title": "New"}), ("delete", None)):
        publisher.shop.faults.next(fault)
        assert publisher(event("products", action, payload, path={"id": product}))["status"] == f"{action}d"
    assert publisher.shop.store.row("products", product) is None


def test_a_delete_of_what_is_gone_is_done(publisher: Publisher) -> None:
    answer = publisher(event("products", "delete", path={"id": 7}))
    assert (answer["status"], answer["http_status"], answer["id"]) == ("deleted", 404, 7)


def test_an_update_that_is_never_answered_is_an_error_and_may_be_sent_again(publisher: Publisher) -> None:
    product = publisher.shop.store.ids("products")[0]
    call = event("products", "update", {"title": "New"}, path={"id": product}, idempotency_key="k")
    publisher.shop.faults.next(Fault.answers(500), times=4)
    with pytest.raises(ServerError):
        publisher(call)
    publisher.shop.faults.next(Fault.drops(), times=4)
    with pytest.raises(AnswerLost):
        publisher(call)
    assert publisher(call)["status"] == "updated"


def test_a_lost_conversion_says_where_to_look(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    answer = publisher(event("quotes", "convert", path={"id": 1016615295}))
    assert answer["status"] == "unknown"
    assert "whether quote 1016615295 has become an order" in answer["detail"]
    assert answer["check"]["parameters"] == {"path": {"id": 1016615295}}


def test_a_filter_that_the_shop_ignores_is_noticed_and_nothing_is_sent(publisher: Publisher) -> None:
    for number in range(260):
        publisher.shop.store.add("tags", {"title": {"nl": f"tag {number}"}})
    publisher.shop.ignore_filter("title")
    with pytest.raises(InvalidParameters, match="ignores a filter of match"):
        publisher(event("tags", "create", {"title": "new"}, match="title"))
    assert [method for method, _ in publisher.sent()] == ["GET"]


def test_an_ignored_filter_does_not_harm_where_every_record_was_seen(publisher: Publisher) -> None:
    publisher.shop.ignore_filter("title")
    tag = publisher(event("tags", "create", {"title": "sale"}, match="title"))
    assert tag["status"] == "created"
    assert publisher(event("tags", "create", {"title": "sale"}, match="title"))["id"] == tag["id"]


def test_a_lost_create_stays_unknown_where_its_filter_is_ignored(publisher: Publisher) -> None:
    for number in range(200):
        publisher.shop.store.add("tags", {"title": {"nl": f"tag {number}"}})
    publisher.shop.ignore_filter("title")
    publisher.shop.on_request(lambda seen: _grow(publisher) if seen.method == "POST" else None)
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    assert publisher(event("tags", "create", {"title": "new"}, match="title"))["status"] == "unknown"


def _grow(publisher: Publisher) -> None:
    for number in range(100):
        publisher.shop.store.add("tags", {"title": {"nl": f"more {number}"}})


def test_unknown_says_nothing_of_a_place_to_look_where_there_is_none(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.loses_answer(), method="POST")
    categories, product = publisher.shop.store.ids("categories")[:2], publisher.shop.store.ids("products")[0]
    answer = publisher(event("categories/products", "bulk", {"categories": categories, "product": product}))
    assert answer["status"] == "unknown"
    assert "check" not in answer


@pytest.fixture
def break_after_post(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes the HTTP library fail in an unexpected way, once, after a write to a path was answered."""

    def arm(path: str) -> None:
        request = Session.request
        broken: list[str] = []

        def send_and_break(session: Session, method: str, url: str, **more: Any) -> Any:
            answer = request(session, method, url, **more)
            if path in url and method != "GET" and not broken:
                broken.append(url)
                raise ZeroDivisionError("division by zero")
            return answer

        monkeypatch.setattr(Session, "request", send_and_break)

    return arm


def test_a_single_create_with_an_unexpected_error_after_it_was_sent_is_unknown(
    publisher: Publisher, break_after_post: Callable[[str], None]
) -> None:
    break_after_post("/tags.json")
    (found,) = publisher.batch(event("tags", "create", {"title": "sale"}))
    assert (found["status"], found["detail"].count("ZeroDivisionError")) == ("unknown", 1)


def test_updates_in_bulk_with_an_unexpected_error_after_they_were_sent_are_sent_alone(
    publisher: Publisher, break_after_post: Callable[[str], None]
) -> None:
    ids = publisher.shop.store.ids("variants")[:3]
    break_after_post("/variants/bulk.json")
    found = publisher.batch(*(event("variants", "update", {"stockLevel": 7}, path={"id": one}) for one in ids))
    assert [(one["status"], one["record"]["stockLevel"]) for one in found] == [("updated", 7)] * 3
    assert [path for _, path in publisher.sent()] == [
        "/nl/variants/bulk.json",
        *(f"/nl/variants/{one}.json" for one in ids),
    ]


def test_placements_with_an_unexpected_error_after_they_were_sent_are_looked_for(
    publisher: Publisher, break_after_post: Callable[[str], None]
) -> None:
    product = publisher.shop.store.add("products")
    categories = sorted(publisher.shop.store.ids("categories"))[:3]
    break_after_post("/categories/products/bulk.json")
    items = [
        event("categories/products", "create", {"category": one, "product": product}, match=["category", "product"])
        for one in categories
    ]
    assert [one["status"] for one in publisher.batch(*items)] == ["created"] * 3
    assert [method for method, _ in publisher.sent()] == ["GET", "POST", "GET"], "nothing is sent twice"


def test_a_create_whose_key_is_refused_and_whose_secret_is_gone_is_known_not_to_have_acted(
    publisher: Publisher,
) -> None:
    assert publisher(event("tags", "create", {"title": "first"}))["status"] == "created"
    secret = publisher.deps.settings.secret_prefix + "default"
    publisher.deps.aws.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    publisher.shop.faults.next(Fault.answers(401), path_contains="tags")

    with pytest.raises(UnknownConnection, match="unknown connection 'default'"):
        publisher(event("tags", "create", {"title": "second"}))
