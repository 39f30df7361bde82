"""A webhook's event, key and record id."""

import base64
import json

import pytest

from connector.webhooks.event import Webhook

MORNING = 1_795_413_600_123
"""2026-11-23 06:00:00.123 UTC."""


def webhook(body: bytes = b"", received: int = MORNING, connection: str = "default", **headers: str) -> Webhook:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Webhook(connection, sent, body, received)


def test_it_lies_by_connection_entity_and_day() -> None:
    found = webhook(x_event="orders/created", x_order_id="7")

    assert found.key == f"events/connection=default/entity=orders/date=2026-11-23/{found.id}.json"


@pytest.mark.parametrize("event", ["", "orders", "Orders/created", "../../x/y", "orders/created/x", "ör/x"])
def test_an_event_that_names_no_entity_lies_apart(event: str) -> None:
    assert (webhook(x_event=event).entity, webhook(x_event=event).action) == ("unknown", "")


def test_the_same_event_has_the_same_id_whatever_its_other_headers() -> None:
    first = webhook(b"{}", x_event="orders/updated", x_order_id="7", x_request_id="a", x_foo_id="1")
    again = webhook(
        b"{}", x_event="orders/updated", x_order_id="7", x_request_id="b", x_foo_id="2", received=MORNING + 5
    )

    assert first.id == again.id
    assert first.key == again.key


@pytest.mark.parametrize(
    "other",
    [
        webhook(b"{ }", x_event="orders/updated", x_order_id="7"),
        webhook(b"{}", x_event="orders/created", x_order_id="7"),
        webhook(b"{}", x_event="orders/updated", x_order_id="8"),
        webhook(b"{}", x_event="orders/updated", x_order_id="7", connection="outlet"),
    ],
)
def test_another_body_event_record_or_connection_is_another_event(other: Webhook) -> None:
    assert webhook(b"{}", x_event="orders/updated", x_order_id="7").id != other.id


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {"x-product-id": "12"}, "12"),
        (b'{"product":{"id":13}}', {"x-product-id": "12"}, "12"),
        (b'{"product":{"id":13}}', {}, "13"),
        (b'{"product":{"id":"13"}}', {}, "13"),
        (b'{"id":14,"title":"x"}', {}, "14"),
        (b"", {}, ""),
        (b"{}", {}, ""),
        (b'{"product":{"id":true}}', {}, ""),
        (b'{"product":{"id":null}}', {}, ""),
        (b'{"product":[]}', {}, ""),
        (b'{"product":{"id":"../x"}}', {}, ""),
        (b"[" * 100_000, {}, ""),
        (b"\xff\xfe", {}, ""),
        (b'<?xml version="1.0"?>\n<product><id>15</id><brand><id>3</id></brand></product>', {}, "15"),
        (b"<product><id> 15 </id></product>", {"x-product-id": "x/y"}, "15"),
        (b"<product/>", {}, ""),
    ],
)
def test_the_id_comes_from_the_header_then_from_the_body(body: bytes, headers: dict[str, str], expected: str) -> None:
    assert Webhook("default", {"x-event": "products/deleted", **headers}, body, MORNING).record_id == expected


def test_it_is_stored_with_its_headers_and_its_body() -> None:
    body = '{"order":{"id":7,"memo":"é","url":"a\\/b"}}'
    stored = json.loads(webhook(body.encode(), x_event="orders/updated", authorization="Bearer x").stored())

    assert (stored["body"], stored["isBase64Encoded"]) == (body, False)
    assert stored["headers"] == {"x-event": "orders/updated"}
    assert (stored["received_at"], stored["record_id"]) == ("2026-11-23T06:00:00.123Z", "7")


def test_a_body_that_is_no_text_is_stored_as_base64() -> None:
    stored = json.loads(webhook("é".encode("latin-1"), x_event="orders/updated").stored())

    assert stored["isBase64Encoded"] is True
    assert base64.b64decode(stored["body"]) == b"\xe9"
