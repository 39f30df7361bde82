from decimal import Decimal
from typing import Any

import pytest

from connector.errors import OutOfTime
from lightspeed import SystemClock
from lightspeed.numbers import loads
from publish.batch.field_versions import FieldVersions, RecordVersions
from tests.property.publish.table import Table

NONE = RecordVersions()
FIRST = NONE.with_accepted({"stock": 1}, Decimal(5), "a")


@pytest.fixture
def versions() -> FieldVersions:
    return FieldVersions("table", Table(), SystemClock())


def test_a_newer_moment_wins_and_an_older_one_does_not() -> None:
    assert NONE.accepts("stock", Decimal(1), "b")
    assert FIRST.accepts("stock", Decimal(6), "b")
    assert FIRST.accepts("price", Decimal(1), "b")
    assert not FIRST.accepts("stock", Decimal(4), "b")


def test_lines_of_a_file_are_ordered_inside_its_millisecond() -> None:
    line = FIRST.with_accepted({"stock": 2}, Decimal("6.000000010"), "file 10")
    assert not line.accepts("stock", Decimal("6.000000009"), "file 9")
    assert line.accepts("stock", Decimal("6.000000011"), "file 11")
    assert not line.accepts("stock", Decimal(6), "b")


def test_of_one_moment_the_last_arrival_wins_but_not_by_a_second_delivery() -> None:
    assert FIRST.accepts("stock", Decimal(5), "b")
    assert not FIRST.accepts("stock", Decimal(5), "a")
    second = FIRST.with_accepted({"stock": 2}, Decimal(5), "b")
    assert not second.accepts("stock", Decimal(5), "a")
    assert not second.accepts("stock", Decimal(5), "b")
    assert second.with_accepted({"stock": 3}, Decimal(6), "c").fields["stock"].messages == ("c",)


def test_only_an_interrupted_message_has_values_sent_again() -> None:
    assert FIRST.values_to_repair(["b"], ["stock"]) == {}
    assert FIRST.with_in_flight(["b"]).values_to_repair(["b", "c"], ["stock", "price"]) == {"stock": 1}
    assert FIRST.with_in_flight(["b"]).without_in_flight(["b"]).values_to_repair(["b"], ["stock"]) == {}


def test_what_is_stored_is_read_again_to_the_last_digit(versions: FieldVersions) -> None:
    value = loads("12345678901234567890.10")
    found = FIRST.with_accepted({"price": value}, Decimal("1795413600000.000000007"), "m").with_in_flight(["m"])
    stored = versions.write({"a record": found})
    read = versions.read(["a record", "another"])
    assert read == {**stored, "another": NONE}
    assert read["a record"].fields["price"].value.text == "12345678901234567890.10"


def test_versions_are_read_as_the_last_writer_left_them(monkeypatch: pytest.MonkeyPatch) -> None:
    table, asked = Table(), list[dict[str, Any]]()
    read = table.batch_get_item

    def noted(**given: Any) -> Any:
        asked.append(given["RequestItems"]["table"])
        return read(**given)

    monkeypatch.setattr(table, "batch_get_item", noted)
    FieldVersions("table", table, SystemClock()).read(["x"])
    assert [one["ConsistentRead"] for one in asked] == [True]


def test_versions_are_kept_longer_than_a_message_can_lie_in_its_queue() -> None:
    table, clock = Table(), SystemClock()
    FieldVersions("table", table, clock).write({"x": FIRST})
    (item,) = table.items.values()
    assert int(item["expiration"]["N"]) > clock.time() + 14 * 86_400


def test_a_batch_that_lost_its_lease_stores_nothing(versions: FieldVersions) -> None:
    mine = versions.read(["x"])["x"]
    theirs = versions.write({"x": mine.with_accepted({"stock": 9}, Decimal(9), "b")})["x"]
    with pytest.raises(OutOfTime, match="the lease of this one is over"):
        versions.write({"y": FIRST, "x": mine.with_accepted({"stock": 5}, Decimal(5), "a")})
    assert versions.read(["x", "y"]) == {"x": theirs, "y": NONE}
    assert versions.write({"x": theirs})["x"].revision == 2


def test_an_item_that_would_be_too_large_keeps_its_order_without_its_values(versions: FieldVersions) -> None:
    versions.write({"x": FIRST.with_accepted({"content": "x" * 400_000}, Decimal(6), "m").with_in_flight(["m"])})
    found = versions.read(["x"])["x"]
    assert not found.accepts("content", Decimal(5), "b")
    assert found.values_to_repair(["m"], ["content", "stock"]) == {}


def test_more_records_than_one_call_takes_are_stored_and_read(versions: FieldVersions) -> None:
    names = [f"record {n}" for n in range(250)]
    versions.write(dict.fromkeys(names, FIRST))
    assert {found.revision for found in versions.read(names).values()} == {1}
