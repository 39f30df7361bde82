"""What `forget` takes for the data of a shop or of a record."""

import json
from typing import Any

import pytest

from connector.operator.storage.subject import Subject, attachments

CUSTOMER = Subject("default", "customers", "7")
SHOP = Subject("default", "", "")


@pytest.mark.parametrize(
    ("subject", "event", "expected"),
    [
        (CUSTOMER, {"entity": "customers", "parameters": {"path": {"id": 7}}}, True),
        (CUSTOMER, {"entity": "customers", "parameters": {"path": {"id": "7"}}}, True),
        (CUSTOMER, {"entity": "customers", "parameters": {"path": {"id": 8}}}, False),
        (CUSTOMER, {"entity": "orders", "parameters": {"path": {"id": 7}}}, False),
        (CUSTOMER, {"entity": "customers", "connection": "outlet", "parameters": {"path": {"id": 7}}}, False),
        (CUSTOMER, {"entity": "customers/metafields", "parameters": {"path": {"customer_id": 7, "id": 9}}}, True),
        (CUSTOMER, {"entity": "customers/metafields", "parameters": {"path": {"customer_id": 8, "id": 7}}}, False),
        (CUSTOMER, {"entity": "customers", "id": "7", "action": "deleted"}, True),
        (CUSTOMER, {"items": [{"entity": "orders"}, {"entity": "customers", "parameters": {"path": {"id": 7}}}]}, True),
        (CUSTOMER, {"items": [{"entity": "orders"}, 7]}, False),
        (CUSTOMER, {"entity": "customers", "parameters": "none"}, False),
        (SHOP, {"entity": "orders"}, True),
        (SHOP, {"entity": "orders", "connection": "outlet"}, False),
    ],
)
def test_an_event_is_of_the_shop_or_names_the_record_or_its_nested_records(
    subject: Subject, event: dict[str, Any], expected: bool
) -> None:
    assert subject.has_event(event) is expected


def test_the_event_of_a_create_is_known_by_its_result() -> None:
    create = {"entity": "customers", "action": "create", "parameters": {"payload": {}}}

    assert not CUSTOMER.has_event(create)
    assert CUSTOMER.has_event(create, created_it=True)
    assert not CUSTOMER.has_event({**create, "entity": "orders"}, created_it=True)


@pytest.mark.parametrize(
    ("row", "kind", "member", "expected"),
    [
        ({"id": 7}, "raw", "id", True),
        ({"id": "7"}, "deleted", "id", True),
        ({"id": 77}, "raw", "id", False),
        ({"customer_id": 7, "id": 9}, "raw", "customer_id", True),
        ({"record": {"id": 7}, "error": "x"}, "rejected", "id", True),
        ({"record": '{"id": 7}', "error": "x"}, "rejected", "id", True),
        ({"record": '{"id": 8, "note": "7"}', "error": "x"}, "rejected", "id", False),
        ({"record": '{"id": 7', "error": "cut"}, "rejected", "id", True),
        ({"record": None, "error": "x"}, "rejected", "id", False),
    ],
)
def test_a_line_is_of_the_record_by_its_member(row: dict[str, Any], kind: str, member: str, expected: bool) -> None:
    assert CUSTOMER.has_line(json.dumps(row).encode(), kind, member) is expected


@pytest.mark.parametrize(
    ("subject", "data", "expected"),
    [
        ('default customers {"id": 7}', "", True),
        ("default customers {}", '{"id": 7}', True),
        ("default customers {}", '{"id": 8}', False),
        ('outlet customers {"id": 7}', "", False),
        ("default", '{"id": 7}', False),
        ("", "", False),
    ],
)
def test_an_item_of_the_table_names_its_record_or_holds_its_result(subject: str, data: str, expected: bool) -> None:
    assert CUSTOMER.has_item({"id": {"S": "key"}, "subject": {"S": subject}, "data": {"S": data}}) is expected


def test_files_are_attached_at_any_depth_of_an_event() -> None:
    payload = {"image": {"s3_key": "publish/files/a.png"}, "more": [{"s3_key": "other/b.png"}, {"s3_key": 7}]}

    assert list(attachments({"parameters": {"payload": payload}})) == ["publish/files/a.png"]
