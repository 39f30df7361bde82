from typing import Any

import pytest

from lightspeed.writing.diff import difference, same

BRAND = {"resource": {"id": 7, "url": "brands/7", "link": "https://shop/nl/brands/7.json"}}


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("Lamp", "Lamp"),
        (5, 5),
        (5, "5"),
        ("10.00", 10),
        (19.95, "19.950"),
        (True, True),
        (True, 1),
        (True, "true"),
        (False, 0),
        (False, None),
        (None, ""),
        ("", None),
        (False, ""),
        (BRAND, 7),
        (BRAND, "7"),
        ({"id": 150, "code": "nl", "title": "Nederland"}, "nl"),
        ([1, 2], [1, 2]),
        (BRAND, BRAND),
    ],
)
def test_a_value_that_the_shop_shows_is_the_one_that_was_written(present: Any, wanted: Any) -> None:
    assert same(present, wanted)


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("007", "7"),
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
    assert not same(present, wanted)


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
