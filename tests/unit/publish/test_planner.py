"""The planner sends nothing, so these tests need neither a shop nor AWS."""

from typing import Any

import pytest

from connector.settings import Settings
from lightspeed import Client, Connection, Transport
from publish.batch import planner
from publish.batch.planner import Kind, PreparedWrite, numeric_id
from publish.dependencies import Dependencies
from publish.event import parse_request
from publish.write import WriteOperation
from tests.integration.publish.conftest import event


def prepared(*events: dict[str, Any]) -> list[PreparedWrite]:
    settings = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
    client = Client(Transport(Connection.from_mapping(settings)))
    deps = Dependencies(Settings())
    return [PreparedWrite(n, WriteOperation.prepare(parse_request(one), client, deps)) for n, one in enumerate(events)]


def cut(*events: dict[str, Any]) -> list[list[int]]:
    """The positions of each segment."""
    return [[item.position for item in segment] for segment in planner.segments(prepared(*events))]


def request_groups(*events: dict[str, Any]) -> list[list[int]]:
    """The positions of what is sent in one request."""
    return [[item.position for item in group] for group in planner.request_groups(prepared(*events))]


def kind(one: dict[str, Any]) -> Kind:
    return prepared(one)[0].kind


def update(identity: object, entity: str = "variants", **fields: Any) -> dict[str, Any]:
    more = {name: fields.pop(name) for name in ("idempotency_key", "connection") if name in fields}
    return event(entity, "update", fields or {"stockLevel": 1}, path={"id": identity}, **more)


def upsert(sku: str, match: Any = "sku", **fields: Any) -> dict[str, Any]:
    return event("variants", "create", {"sku": sku, "stockLevel": 1, **fields}, match=match)


def place(category: int, product: int = 1) -> dict[str, Any]:
    payload = {"category": category, "product": product}
    return event("categories/products", "create", payload, match=["category", "product"])


DELETE = event("variants", "delete", path={"id": 1})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (update(1), Kind.UPDATE),
        (update(1) | {"skip_unchanged": True}, Kind.UPDATE),
        (update(1) | {"dry_run": True}, Kind.OTHER),
        (upsert("A"), Kind.UPSERT),
        (upsert("A") | {"skip_unchanged": True}, Kind.UPSERT),
        (event("tags", "create", {"title": "x"}), Kind.OTHER),
        (event("variants", "bulk", [{"id": 1}]), Kind.OTHER),
        (DELETE, Kind.OTHER),
        (place(1), Kind.PLACEMENT),
        (place(1) | {"dry_run": True}, Kind.OTHER),
        (event("categories/products", "create", {"category": 1, "product": 2}), Kind.OTHER),
        (event("categories/products", "create", {"category": "01", "product": 2}, match=["category", "product"]),
         Kind.OTHER),
    ],
)  # fmt: skip
def test_a_write_is_of_one_kind(one: dict[str, Any], expected: Kind) -> None:
    assert kind(one) is expected


@pytest.mark.parametrize(
    "events",
    [
        [update(1), update(2), update(1)],
        [DELETE, update(1), event("variants", "delete", path={"id": 2})],
        [update(1), event("tags", "delete", path={"id": 1})],
        [update(1), update(1, connection="second"), event("tags", "create", {"title": "x"})],
        [upsert("A"), upsert("A"), upsert("B"), update(1)],
        [update(1), upsert("A")],
        [place(1), place(2), update(1, entity="products", title="x")],
        [place(1), place(1, product=2)],
        [place(1), DELETE],
        [update(1), event("products", "delete", path={"id": 1})],
    ],
)
def test_what_does_not_depend_on_what_waits_is_one_segment(events: list[dict[str, Any]]) -> None:
    assert cut(*events) == [list(range(len(events)))]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([update(1), DELETE], id="a delete after the update of its record"),
        pytest.param([update(1), event("variants", "bulk", [{"id": 9}])], id="a bulk of the sender"),
        pytest.param([update(1, sku="A"), upsert("A")], id="an upsert by a field that an update writes"),
        pytest.param([upsert("A", ean="1"), upsert("B", match="ean", ean="1")], id="an upsert by what another writes"),
        pytest.param([upsert("A"), DELETE], id="a delete that may name the record of an upsert"),
        pytest.param([update(1), upsert("A") | {"dry_run": True}], id="a look at what an update changes"),
        pytest.param([place(1), place(1)], id="a placement twice"),
        pytest.param([place(1), event("products", "delete", path={"id": 1})], id="a delete after a placement"),
        pytest.param([update(1, idempotency_key="k"), update(2, idempotency_key="k")], id="a key twice"),
        pytest.param([update(1, idempotency_key="k"), DELETE | {"idempotency_key": "k"}], id="the key of an update"),
    ],
)
def test_what_depends_on_what_waits_begins_a_segment(events: list[dict[str, Any]]) -> None:
    assert cut(*events) == [[0], [1]]


def test_a_segment_ends_what_waits() -> None:
    assert cut(update(1), DELETE, update(1), update(2), event("variants", "delete", path={"id": 2})) == [
        [0],
        [1, 2, 3],
        [4],
    ]


def test_updates_are_grouped_by_connection_entity_and_parent_and_inside_by_record() -> None:
    value = {"value": "x"}
    events = [
        update(1),
        event("products/attributes", "update", value, path={"product_id": 7, "id": 1}),
        update(2),
        event("products/attributes", "update", value, path={"product_id": 8, "id": 1}),
        update(1, priceExcl=2),
        update("1", stockLevel=3),
        update(1, connection="second"),
        event("products/attributes", "update", value, path={"product_id": 7, "id": 2}),
    ]
    assert request_groups(*events) == [[0, 4, 5, 2], [1, 7], [3], [6]]


def test_placements_are_grouped_by_product() -> None:
    assert request_groups(place(1), place(1, product=2), place(2)) == [[0, 2], [1]]


def test_a_hundred_records_are_one_group_however_many_events_they_have() -> None:
    events = [*map(update, range(1, 102)), *map(update, range(1, 102))]
    assert [len(group) for group in request_groups(*events)] == [200, 2]
    assert [len(group) for group in request_groups(*map(place, range(1, 102)))] == [100, 1]


@pytest.mark.parametrize("written", ["01", " 1", "+1", "1.0", "\u0661", "9" * 20, "", None, True])
def test_an_id_that_is_not_written_as_the_shop_writes_it_is_no_number(written: object) -> None:
    assert numeric_id(written) is None
    assert (numeric_id(12), numeric_id("12"), numeric_id("0")) == (12, 12, 0)
