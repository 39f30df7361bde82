from typing import Any

import pytest

from lightspeed.numbers import Exact
from lightspeed.writing.diff import difference, ignored_fields, is_same_value

BRAND = {"resource": {"id": 7, "url": "brands/7", "link": "https://shop/nl/brands/7.json"}}


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("Lamp", "Lamp"),
        (5, 5),
        (5, "5"),
        ("10", Exact("10.00")),
        ("10.00", Exact("10.00")),
        (19.95, "19.95"),
        (Exact("1e3"), "1000"),
        (True, True),
        (True, "true"),
        (False, "false"),
        (False, None),
        (None, ""),
        ("", None),
        (False, ""),
        (BRAND, 7),
        (BRAND, "7"),
        ({"id": 150, "code": "nl", "title": "Nederland"}, "nl"),
        ([1, 2], [1, 2]),
        (BRAND, BRAND),
        ([BRAND], [7]),
        ({}, []),
        ("2026-11-23T08:00:00+02:00", "2026-11-23T06:00:00Z"),
        (Exact("12345678901234567890.12"), "12345678901234567890.12"),
        (Exact("1e9999999999999999999"), Exact("1e9999999999999999999")),
    ],
)
def test_a_value_that_the_shop_shows_is_the_one_that_was_written(present: Any, wanted: Any) -> None:
    assert is_same_value(present, wanted)


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("10.00", 10),
        (19.95, "19.950"),
        ("7.0", 7),
        ("7.", 7),
        (".5", Exact("0.5")),
        ("00", 0),
        ("-0", 0),
        ("-0", Exact("-0")),
        ("0x10", 16),
        ("\uff17", 7),
        ("7\n", 7),
        ("007", "7"),
        ("007", 7),
        (7, "007"),
        ("1_000", 1000),
        (" 7", 7),
        ("+7", 7),
        ("1e3", 1000),
        ("\u0667", 7),
        ("NaN", 7),
        (False, 0),
        (0, False),
        (True, 1),
        ("1", True),
        ([False], [0]),
        (Exact("12345678901234567890.12"), Exact("12345678901234567890.13")),
        (5, Exact("1e9999999999999999999")),
        (Exact("1e-9999999999999999999"), "5"),
        ("2026-11-23T08:00:00+02:00", "2026-11-23T07:00:00Z"),
        (5, 6),
        (5, "many"),
        (True, False),
        (False, True),
        (False, 7),
        (0, None),
        ("x", None),
        (BRAND, 8),
        (False, BRAND),
        ({"resource": {"id": False}}, 7),
        ([1, 2], [2, 1]),
        ([1], "1"),
        ({"resource": "odd"}, 7),
    ],
)
def test_another_value_is_another(present: Any, wanted: Any) -> None:
    assert not is_same_value(present, wanted)


def test_only_fields_that_are_written_and_differ_are_shown() -> None:
    before = {"id": 1, "stockLevel": 5, "title": "Lamp", "brand": BRAND}
    assert difference(before, {"stockLevel": 4, "title": "Lamp", "brand": 7, "sku": "A"}) == {
        "stockLevel": {"from": 5, "to": 4},
        "sku": {"from": None, "to": "A"},
    }


def test_a_delete_takes_every_field_away() -> None:
    assert difference({"id": 1, "title": "x"}, None) == {
        "id": {"from": 1, "to": None},
        "title": {"from": "x", "to": None},
    }


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("1.0", "1"),
        ("10.00", 10),
        (19.95, "19.950"),
        (True, 1),
        (False, "0"),
        ([], None),
        ({"resource": {"id": False, "url": "products/1/images"}}, None),
        ({"resource": {"id": False, "url": "products/1/categories"}}, [1, 2]),
        ([2, 1], [1, 2]),
        ("2026-11-23T08:00:00+02:00", "2026-11-23 06:00:00"),
        ("2026-11-23T00:00:00+01:00", "2026-11-23"),
    ],
)
def test_another_form_of_a_written_value_is_not_ignored(shown: Any, written: Any) -> None:
    assert ignored_fields({"field": shown}, {"field": written}) == []


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("Lamp", "Lamp "),
        ("7", "007"),
        (4, 5),
        (BRAND, 8),
        (BRAND, None),
        (False, 7),
        (False, "yes"),
        (None, "red"),
        ([1], [1, 2]),
        ("2026-11-23T08:00:00+02:00", "2026-11-25T08:00:00+02:00"),
    ],
)
def test_another_value_than_the_written_one_is_ignored(shown: Any, written: Any) -> None:
    assert ignored_fields({"field": shown}, {"field": written}) == ["field"]


def test_a_field_that_the_shop_does_not_know_is_ignored_and_one_that_it_never_shows_is_not() -> None:
    written = {"title": "Lamp", "colour": "red", "password": "x", "doNotifyConfirmed": True, "attachment": "eA=="}
    assert ignored_fields({"title": "Lamp"}, written) == ["colour"]
