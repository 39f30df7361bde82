from typing import Any

import pytest

from connector.errors import RequestError
from lightspeed import InvalidParameters, NotFound
from tests.integration.publish.conftest import Publisher, event


def variant_of(publisher: Publisher) -> int:
    return publisher.shop.store.ids("variants")[0]


def test_an_update_is_shown_field_by_field_and_only_read(publisher: Publisher) -> None:
    variant = variant_of(publisher)
    publisher.shop.store.update("variants", variant, stockLevel=10, sku="A-1")
    call = event("variants", "update", {"stockLevel": 5, "sku": "A-1"}, path={"id": variant}, dry_run=True)

    shown = publisher(call)

    assert shown["status"] == "dry_run"
    assert shown["difference"] == {"stockLevel": {"from": 10, "to": 5}}
    assert publisher.sent() == [("GET", f"/nl/variants/{variant}.json")]


def test_a_delete_shows_every_field_that_goes(publisher: Publisher) -> None:
    tag = publisher.shop.store.ids("tags")[0]
    shown = publisher(event("tags", "delete", path={"id": tag}, dry_run=True))
    assert shown["request"] == {"method": "DELETE", "path": f"/nl/tags/{tag}.json", "query": {}, "body": None}
    assert shown["difference"]["id"] == {"from": tag, "to": None}
    assert publisher.shop.store.row("tags", tag) is not None


def test_a_delete_of_what_is_gone_changes_nothing(publisher: Publisher) -> None:
    shown = publisher(event("tags", "delete", path={"id": 7}, dry_run=True))
    assert (shown["status"], shown["difference"]) == ("unchanged", {})


def test_an_update_of_what_is_gone_is_not_found(publisher: Publisher) -> None:
    with pytest.raises(NotFound):
        publisher(event("tags", "update", {"title": "x"}, path={"id": 7}, dry_run=True))


def test_a_create_shows_the_exact_request_and_asks_nothing(publisher: Publisher) -> None:
    shown = publisher(event("products", "create", {"title": "Lamp"}, dry_run=True))
    body = {"product": {"title": "Lamp"}}
    assert shown == {
        "status": "dry_run",
        "request": {"method": "POST", "path": "/nl/products.json", "query": {}, "body": body},
    }
    assert publisher.sent() == []


@pytest.mark.parametrize("action", ["create", "update", "delete", "convert"])
def test_applying_afterwards_sends_exactly_what_was_shown(publisher: Publisher, action: str) -> None:
    quote = 1016615295
    calls: dict[str, dict[str, Any]] = {
        "create": event(
            "brands", "create", {"name": "Delta"}, request_transformer='{"payload": {"title": payload.name}}'
        ),
        "update": event("quotes", "update", {"memo": "call back"}, path={"id": quote}),
        "delete": event("tags", "delete", path={"id": publisher.shop.store.ids("tags")[0]}),
        "convert": event("quotes", "convert", path={"id": quote}),
    }
    shown = publisher({**calls[action], "dry_run": True})["request"]
    before = len(publisher.shop.requests)

    publisher(calls[action])

    (seen,) = publisher.shop.requests[before:]
    body = seen.json if seen.body else None
    assert shown == {"method": seen.method, "path": seen.path, "query": seen.query, "body": body}


def test_an_upsert_shows_the_update_that_it_would_be(publisher: Publisher) -> None:
    brand = publisher.shop.store.ids("brands")[0]
    title = publisher.shop.store.records("brands", "nl")[0]["title"]
    shown = publisher(event("brands", "create", {"title": title, "content": "new"}, match="title", dry_run=True))
    assert shown["id"] == brand
    assert shown["request"]["method"] == "PUT"
    assert set(shown["difference"]) == {"content"}


def test_what_would_change_nothing_is_unchanged(publisher: Publisher) -> None:
    variant = publisher.shop.store.records("variants", "nl")[0]
    fields = {"stockLevel": str(variant["stockLevel"]), "priceExcl": variant["priceExcl"], "sku": variant["sku"]}
    same = {**fields, "product": variant["product"]["resource"]["id"], "tax": variant["tax"]["resource"]["id"]}
    shown = publisher(event("variants", "update", same, path={"id": variant["id"]}, dry_run=True))
    assert (shown["status"], shown["difference"]) == ("unchanged", {})


def test_an_update_that_changes_nothing_is_skipped_if_that_is_asked_for(publisher: Publisher) -> None:
    variant = variant_of(publisher)
    call = event("variants", "update", {"stockLevel": 5}, path={"id": variant}, skip_unchanged=True)
    assert [publisher(call)["status"] for _ in range(2)] == ["updated", "unchanged"]
    assert [method for method, _ in publisher.sent()] == ["GET", "PUT", "GET"]


def test_an_upsert_that_changes_nothing_is_skipped_if_that_is_asked_for(publisher: Publisher) -> None:
    call = event("tags", "create", {"title": "sale"}, match="title", skip_unchanged=True)
    answers = [publisher(call) for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["created", "unchanged"]
    assert answers[0]["id"] == answers[1]["id"]
    assert [method for method, _ in publisher.sent()] == ["GET", "POST", "GET"]


def test_without_being_asked_an_update_costs_one_request(publisher: Publisher) -> None:
    call = event("variants", "update", {"stockLevel": 5}, path={"id": variant_of(publisher)})
    assert [publisher(call)["status"] for _ in range(2)] == ["updated", "updated"]
    assert len(publisher.sent()) == 2


def test_skip_unchanged_is_refused_where_it_means_nothing(publisher: Publisher) -> None:
    with pytest.raises(RequestError, match="skip_unchanged is for action update, and for create with match"):
        publisher(event("tags", "create", {"title": "sale"}, skip_unchanged=True))


def test_an_upsert_finds_joins_by_both_their_ends(publisher: Publisher) -> None:
    join = publisher.shop.store.rows("categories/products")[0]
    fields = {"category": join["category"], "product": join["product"]}
    shown = publisher(
        event("tags/products", "create", {"tag": 1, "product": 2}, match=["tag", "product"], dry_run=True)
    )
    assert shown["request"]["method"] == "POST"
    again = event("categories/products", "create", fields, match=["category", "product"])
    assert publisher(again)["status"] == "unchanged", "it can only be created and deleted"
    assert publisher({**again, "dry_run": True})["status"] == "unchanged"


def test_several_records_of_one_natural_key_are_refused_with_their_ids(publisher: Publisher) -> None:
    ids = [publisher.shop.store.add("tags", {"title": {"nl": "twin"}}) for _ in range(2)]
    with pytest.raises(InvalidParameters) as refused:
        publisher(event("tags", "create", {"title": "twin"}, match="title"))
    assert all(str(identity) in str(refused.value) for identity in ids)


def test_an_email_matches_whatever_its_case(publisher: Publisher) -> None:
    customer = publisher.shop.store.rows("customers")[0]
    publisher.shop.ignore_filter("email")
    call = event("customers", "create", {"email": customer["email"].upper(), "firstname": "Jo"}, match="email")
    answer = publisher(call)
    assert (answer["status"], answer["id"]) == ("updated", customer["id"])
