"""The shop's answer to a write is compared with the written values."""

import json
import re
from typing import Any

import pytest

from lightspeed import Client, WriteResponse, get_entity
from lightspeed.writing.diff import difference, ignored_fields
from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_failure_queue import FailureQueue, failures
from tests.integration.shop.operations import COLLECTIONS
from tests.integration.shop.test_operations import first_with_children, ready
from tests.shop import Fault, Shop

__all__ = ["failures"]

STOCK = {"stockLevel": 4}
QUOTE = 1016615295


def variant(publisher: Publisher) -> int:
    return publisher.shop.store.ids("variants")[0]


def answered(monkeypatch: pytest.MonkeyPatch, record: bytes | None, status: int = 200) -> None:
    """Let the shop answer the next writes with this record, whatever it did."""
    write = Client.write

    def lie(client: Client, request: Any) -> WriteResponse:
        write(client, request)
        return WriteResponse(status, record, "r-1")

    monkeypatch.setattr(Client, "write", lie)


def calls(shop: Shop) -> list[dict[str, Any]]:
    """An event for each create and update that the shop is known to take, with the body that it is known to take."""
    found = []
    for path, (_, verbs, body) in COLLECTIONS.items():
        if body is None:
            continue
        entity = re.sub(r"/\{[^}]+\}", "", path)
        record = min(shop.store.ids(entity), default=0)
        parents: dict[str, Any] = {}
        if "{" in path:
            parent = first_with_children(shop, entity)[1] if record else min(shop.store.ids(path.split("/")[0]))
            record = first_with_children(shop, entity)[0] if record else 0
            parents = {get_entity(entity).parents[0]: parent}
        if "update" in verbs:
            found.append(event(entity, "update", ready(body, shop), path={**parents, "id": record}))
        if "create" in verbs:
            other = {"title": "Another"} if entity == "suppliers" else {}  # whose titles are unique
            found.append(event(entity, "create", {**ready(body, shop), **other}, path=parents))
    return found


def test_no_write_that_the_shop_takes_is_reported_as_ignored(publisher: Publisher) -> None:
    results = [(call["entity"], call["action"], publisher(call)) for call in calls(publisher.shop)]
    assert len(results) > 80
    assert [(*named, result) for *named, result in results if result["status"] not in ("created", "updated")] == []
    assert [(*named, result["ignored"]) for *named, result in results if "ignored" in result] == []


@pytest.mark.parametrize("entity", ["products", "variants", "customers", "brands", "categories", "orders", "discounts"])
def test_a_value_written_as_the_shop_shows_it_is_unchanged(publisher: Publisher, entity: str) -> None:
    identity = publisher.shop.store.ids(entity)[0]
    present = publisher(event(entity, "update", {"id": identity}, path={"id": identity}))["record"]
    assert len(present) > 5
    assert difference(present, present) == {}
    assert ignored_fields(present, present) == []


def test_values_that_the_shop_answered_otherwise_are_named(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = variant(publisher)
    answered(monkeypatch, b'{"id": %d, "stockLevel": 3, "sku": "A"}' % identity)
    answer = publisher(event("variants", "update", {"stockLevel": 4, "sku": "A"}, path={"id": identity}))
    assert (answer["status"], answer["ignored"]) == ("updated", ["stockLevel"])


def test_a_field_that_the_shop_does_not_know_is_named(publisher: Publisher) -> None:
    product = publisher.shop.store.ids("products")[0]
    answer = publisher(event("products", "update", {"colour": "red", "title": "x"}, path={"id": product}))
    assert (answer["status"], answer["ignored"]) == ("updated", ["colour"])


def test_a_key_that_the_shop_stored_in_another_form_is_named(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, b'{"id": 7, "title": "R&amp;D"}', 201)
    answer = publisher(event("tags", "create", {"title": "R&D"}, match="title"))
    assert (answer["status"], answer["id"], answer["ignored"]) == ("created", 7, ["title"])


@pytest.mark.parametrize("record", [b'{"title": "sale"}', b'{"id": false}', b'{"id": ""}', b"false", None])
def test_a_create_whose_answer_has_no_id_is_unknown(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, record: bytes | None
) -> None:
    answered(monkeypatch, record, 201)
    answer = publisher(event("tags", "create", {"title": "sale"}))
    assert (answer["status"], answer["id"], answer["http_status"]) == ("unknown", None, 201)
    assert "the shop's answer has no id" in answer["detail"]


def test_a_create_whose_answer_has_no_id_is_found_by_match(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, b"{}", 201)
    answer = publisher(event("products", "create", {"title": "New"}, match="title"))
    assert (answer["status"], answer["record"]["title"]) == ("created", "New")


@pytest.mark.parametrize(("record", "reason"), [(b'{"id": 8}', "with record 8"), (b"false", "answered false")])
def test_an_update_that_is_answered_with_another_record_or_none_is_unknown(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, record: bytes, reason: str
) -> None:
    identity = variant(publisher)
    answered(monkeypatch, record)
    answer = publisher(event("variants", "update", STOCK, path={"id": identity}))
    assert answer["status"] == "unknown"
    assert reason in answer["detail"]
    assert answer["check"] == {
        "entity": "variants",
        "connection": "default",
        "parameters": {"path": {"id": identity}},
    }


def test_an_update_that_is_answered_with_an_empty_record_is_ignored(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, b"{}")
    answer = publisher(event("variants", "update", STOCK, path={"id": variant(publisher)}))
    assert (answer["status"], answer["ignored"]) == ("updated", ["stockLevel"])


def test_an_update_that_is_answered_with_a_list_says_nothing_of_its_fields(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, b'[{"id": 1}]')
    answer = publisher(event("variants", "update", STOCK, path={"id": variant(publisher)}))
    assert (answer["status"], answer["record"], "ignored" in answer) == ("updated", [{"id": 1}], False)


def test_an_update_that_is_answered_without_a_body_is_done(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, None)
    answer = publisher(event("variants", "update", STOCK, path={"id": variant(publisher)}))
    assert (answer["status"], "ignored" in answer) == ("updated", False)


@pytest.mark.parametrize("record", [b'{"id": 123}', b'{"id": {"id": 1}}', b'{"id": true}', rb'{"id": "\ud83d"}', b"{}"])
def test_a_delete_is_answered_with_the_id_of_the_event(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, record: bytes
) -> None:
    answered(monkeypatch, record)
    tag = publisher.shop.store.ids("tags")[0]
    answer = publisher(event("tags", "delete", path={"id": tag}))
    assert (answer["status"], answer["id"]) == ("deleted", tag)


@pytest.mark.parametrize(("record", "identity"), [(b'{"id": 5}', 5), (b'{"id": [5]}', QUOTE), (b'{"id": 1.5}', QUOTE)])
def test_an_action_is_answered_with_an_id_that_is_one(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, record: bytes, identity: int
) -> None:
    answered(monkeypatch, record)
    assert publisher(event("quotes", "convert", path={"id": QUOTE}))["id"] == identity


ODD_RECORDS = {
    "half a character": (rb'"\ud83d"', "?"),
    "half a name": (rb'{"\ud83d": 1}', {"?": 1}),
    "deep": (b"[" * 900 + b"]" * 900, None),
    "an exact number": (b"12345678901234567890.12", 12345678901234567890.12),
    "a huge number": (b"1" + b"0" * 400, 10**400),
    "a number beyond floats": (b"1e400", float("inf")),
}


@pytest.mark.parametrize("text", [text for text, _ in ODD_RECORDS.values()], ids=ODD_RECORDS)
def test_a_record_that_cannot_be_written_as_it_is_costs_no_result(
    publisher: Publisher, failures: FailureQueue, text: bytes
) -> None:
    body = b'{"tag": {"id": 7, "title": "sale", "odd": %b}}' % text
    publisher.shop.faults.next(
        Fault("answer", 201, body, (("Content-Type", "application/json"),)), times=3, method="POST"
    )
    tag = event("tags", "create", {"title": "sale"})
    first, again = [publisher.http({**tag, "idempotency_key": "k"}) for _ in range(2)]
    assert (first["statusCode"], first["body"]) == (201, again["body"])
    assert publisher(tag)["id"] == 7
    assert publisher.failed(message(1, tag), message(2, event("tags", "create", {"title": "new"}))) == []
    assert failures.receive() == []


@pytest.mark.parametrize(("text", "shown"), ODD_RECORDS.values(), ids=ODD_RECORDS)
def test_a_record_is_shown_as_far_as_it_can_be_written(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, text: bytes, shown: object
) -> None:
    answered(monkeypatch, b'{"id": 7, "odd": %b}' % text)
    odd = publisher(event("tags", "create", {"title": "sale"}))["record"]["odd"]
    while isinstance(odd, list):
        odd = odd[0]
    assert odd == shown


@pytest.mark.parametrize("form", ['"%s"', '"x%s"', f'"{"x" * 80}%s"', '{"a": ["%s"]}'])
def test_credentials_that_the_shop_shows_as_an_id_are_masked(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    secret = publisher.shop.api_secret
    answered(monkeypatch, b'{"id": %b}' % (form % secret).encode())
    for call in (
        event("tags", "create", {"title": "sale"}),
        event("variants", "update", STOCK, path={"id": variant(publisher)}),
        event("quotes", "convert", path={"id": QUOTE}),
    ):
        assert secret[:20] not in json.dumps({**publisher(call), "record": None})


@pytest.mark.parametrize("error", [b"[1]", b"true", b'"no"', b'{"message": "no"}', b'{"code": 201}'])
def test_a_create_that_is_answered_with_an_error_without_a_code_is_unknown(publisher: Publisher, error: bytes) -> None:
    body = b'{"tag": {"id": 7}, "error": %b}' % error
    publisher.shop.faults.next(Fault("answer", 201, body, (("Content-Type", "application/json"),)), method="POST")
    assert publisher(event("tags", "create", {"title": "sale"}))["status"] == "unknown"


@pytest.mark.parametrize("action", ["create", "update", "delete", "convert"])
def test_an_unexpected_error_after_a_write_was_sent_is_unknown(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    write = Client.write

    def fail(client: Client, request: Any) -> WriteResponse:
        write(client, request)
        raise RecursionError

    monkeypatch.setattr(Client, "write", fail)
    entity = "quotes" if action == "convert" else "tags"
    identity = QUOTE if action == "convert" else publisher.shop.store.ids(entity)[0]
    path = {} if action == "create" else {"id": identity}
    payload = {"title": "sale"} if action in ("create", "update") else None
    answer = publisher(event(entity, action, payload, path=path))
    assert (answer["status"], len(publisher.sent())) == ("unknown", 1)
    assert "unexpected RecursionError" in answer["detail"]


@pytest.mark.parametrize(
    "fault",
    [Fault.loses_answer(), Fault.cuts_body(), Fault.html(200), Fault.error_in_success(), Fault.answers(502)],
    ids=["lost", "cut", "html", "error", "502"],
)
@pytest.mark.parametrize(
    ("entity", "action", "payload"),
    [("orders", "credit", {}), ("quotes", "convert", {}), ("customers", "tokens", {"expiresIn": 30})],
)
def test_an_action_without_a_usable_answer_is_unknown(
    publisher: Publisher, fault: Fault, entity: str, action: str, payload: dict[str, Any]
) -> None:
    publisher.shop.faults.next(fault, method="POST")
    identity = QUOTE if action == "convert" else publisher.shop.store.ids(entity)[0]
    answer = publisher(event(entity, action, payload, path={"id": identity}))
    assert (answer["status"], len(publisher.sent())) == ("unknown", 1)
