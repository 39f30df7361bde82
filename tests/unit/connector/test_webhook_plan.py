"""The planned changes of webhooks: few calls, no duplicates, never above the limit, none of other owners."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

import pytest

from connector.operator.webhook_plan import ITEM_GROUPS, WebhookPlan, is_own, plan_changes

ADDRESS = "https://api.example/webhooks/default?stack=mine"
OTHER = "https://api.example/webhooks/default?stack=other"


def hook(group: str, **changes: object) -> dict[str, Any]:
    return {
        "isActive": True,
        "itemGroup": group,
        "itemAction": "*",
        "language": "nl",
        "format": "json",
        "address": ADDRESS,
        **changes,
    }


def own_ids(existing: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in existing if is_own(row["address"], "default", "mine")]


def calls(existing: list[dict[str, Any]], *groups: str) -> list[tuple[str, int | None, object]]:
    found = plan_changes(existing, [hook(group) for group in groups], own_ids(existing))
    return [(change.action, change.id, change.payload.get("itemGroup")) for change in found.changes]


@pytest.mark.parametrize(
    ("address", "own"),
    [
        (ADDRESS, True),
        ("https://old-api.example/webhooks/default?stack=mine", True),
        (OTHER, False),
        ("https://api.example/webhooks/outlet?stack=mine", False),
        ("https://api.example/webhooks/default?stack=mine2", False),
        ("https://api.example/webhooks/default?stack=mine&x=1", False),
        ("https://api.example/webhooks/default", False),
        ("https://hooks.example.com/lightspeed", False),
        ("https://[", False),
    ],
)
def test_an_address_belongs_to_one_connection_of_one_stack(address: str, own: bool) -> None:
    assert is_own(address, "default", "mine") is own


def test_what_is_missing_is_created_and_what_is_right_stays() -> None:
    assert calls([{"id": 1, **hook("orders")}], "orders", "products") == [("create", None, "products")]


def test_a_language_is_read_as_an_object_and_written_as_its_code() -> None:
    assert calls([{"id": 1, **hook("orders", language={"id": 1, "code": "nl"})}], "orders") == []
    assert calls([{"id": 1, **hook("orders", language={"id": 2, "code": "de"})}], "orders") == [("update", 1, "orders")]


def test_what_the_shop_switched_off_is_switched_on() -> None:
    existing = [{"id": 1, **hook("orders", isActive=False)}]
    (change,) = plan_changes(existing, [hook("orders")], [1]).changes

    assert (change.action, change.id, change.why) == ("update", 1, "the shop switched it off")


@pytest.mark.parametrize(
    "changes", [{"itemAction": "created"}, {"format": "xml"}, {"address": ADDRESS.replace("api", "old")}]
)
def test_what_differs_is_repaired(changes: Mapping[str, object]) -> None:
    assert calls([{"id": 1, **hook("orders", **changes)}], "orders") == [("update", 1, "orders")]


def test_what_is_registered_twice_is_removed_once() -> None:
    existing = [{"id": 1, **hook("orders", itemAction="created")}, {"id": 2, **hook("orders")}]

    assert calls(existing, "orders") == [("delete", 1, None)]


def test_one_that_is_not_wanted_becomes_one_that_is_missing() -> None:
    assert calls([{"id": 1, **hook("orders")}], "products") == [("update", 1, "products")]


def test_those_of_others_are_counted_and_left_alone() -> None:
    existing = [{"id": 1, **hook("orders", address=OTHER)}, {"id": 2, **hook("orders")}]
    found = plan_changes(existing, [], own_ids(existing))

    assert found == WebhookPlan(found.changes, 1)
    assert [(change.action, change.id) for change in found.changes] == [("delete", 2)]


@pytest.mark.parametrize("seed", range(200))
def test_any_shop_comes_to_what_is_wanted_and_a_second_plan_is_empty(seed: int) -> None:
    rng = random.Random(seed)
    numbers = itertools.count(1)
    addresses = [ADDRESS, OTHER, ADDRESS.replace("api", "old"), "https://hooks.example.com/x"]
    existing = [
        {
            "id": next(numbers),
            **hook(
                rng.choice(ITEM_GROUPS[:4]),
                isActive=rng.random() < 0.7,
                itemAction=rng.choice(["*", "created"]),
                address=rng.choice(addresses),
            ),
        }
        for _ in range(rng.randrange(9))
    ]
    others = [row for row in existing if not is_own(row["address"], "default", "mine")]
    wanted = [hook(group) for group in rng.sample(ITEM_GROUPS[:5], rng.randrange(6))]
    found = plan_changes(existing, wanted, own_ids(existing))
    most = max(len(existing), len(others) + len(wanted))

    for change in found.changes:
        if change.action == "create":
            existing.append({"id": next(numbers), **change.payload})
        elif change.action == "delete":
            existing = [row for row in existing if row["id"] != change.id]
        else:
            existing = [row if row["id"] != change.id else {"id": row["id"], **change.payload} for row in existing]
        assert len(existing) <= most

    assert [row for row in existing if row in others] == others
    assert sorted(str(row["itemGroup"]) for row in existing if row not in others) == sorted(
        str(row["itemGroup"]) for row in wanted
    )
    assert found.total == len(existing)
    assert plan_changes(existing, wanted, own_ids(existing)).changes == ()
