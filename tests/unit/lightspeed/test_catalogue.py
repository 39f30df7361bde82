"""Every rule of the catalogue holds for every row, which a person typed."""

import re
from collections import Counter
from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from lightspeed import CATALOGUE, Endpoint, UnknownEntity, get_entity
from lightspeed.catalogue.model import Confidence, FilterType

ROWS = [pytest.param(row, id=row.name) for row in CATALOGUE.values()]
STANDARD = ("list", "get", "count", "create", "update", "delete")
ENVELOPE_UNKNOWN = {"catalog", "shop/settings", "time"}
"""Rows without a known item key. A new one must be added here on purpose."""

IRREGULAR_ITEMS = {
    "additionalcosts": ("additionalCost", "additionalCosts"),
    "categories/products": ("categoriesProduct", "categoriesProducts"),
    "discountrules": ("discountRule", "discountRules"),
    "orders/customstatuses": ("customStatus", "customStatuses"),
    "orders/events": ("ordersEvent", "ordersEvents"),
    "products/filtervalues": ("productFiltervalue", "productFiltervalue"),
    "shippingmethods/countries": ("shippingmethodCountry", "shippingmethodCountries"),
    "shop/tracking": ("shopTracking", "shopTracking"),
    "types/attributes": ("typesAttribute", "typesAttributes"),
    "variants/movements": ("variantMovement", "variantsMovements"),
}


def test_the_catalogue_holds_every_resource_and_operation_of_the_api() -> None:
    operations = sum(len(row.operations) + len(row.actions) for row in CATALOGUE.values())
    bulk_on_the_collection = {("products/attributes", "bulk")}
    actions_with_a_path = sum(len(row.actions) for row in CATALOGUE.values()) - len(bulk_on_the_collection)

    assert len(CATALOGUE) == 98
    assert actions_with_a_path == 8
    assert operations == 452


def test_entities_stand_in_alphabetical_order_under_their_own_name() -> None:
    assert list(CATALOGUE) == sorted(CATALOGUE)
    assert all(name == row.name for name, row in CATALOGUE.items())


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["orders"] = CATALOGUE["quotes"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        CATALOGUE["orders"].path = "quotes"  # type: ignore[misc]


def test_every_operation_has_a_method_and_path_of_its_own() -> None:
    calls = [
        (operation.verb, operation.path, operation.name)
        for row in CATALOGUE.values()
        for operation in map(row.operation, row.operation_names)
    ]

    assert len({(verb, path) for verb, path, _ in calls}) == len(calls)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_known_operations_each_once_in_the_usual_order(row: Endpoint) -> None:
    assert row.operation_names
    assert len(set(row.operation_names)) == len(row.operation_names)
    assert [name for name in STANDARD if name in row.operations] == list(row.operations)


@pytest.mark.parametrize("row", ROWS)
def test_placeholders_are_the_parents_and_the_id(row: Endpoint) -> None:
    assert all(re.fullmatch(r"[a-z]+_id", parent) for parent in row.parents)
    assert re.fullmatch(r"[a-z_]+(/([a-z_]+|\{[a-z]+_id\}))*", row.path)
    for name in row.operation_names:
        operation = row.operation(name)
        wants_id = (name in ("get", "update", "delete") and row.collection) or (
            name not in STANDARD and "{id}" in operation.path
        )
        assert operation.path_parameters == (*row.parents, *(["id"] if wants_id else []))


@pytest.mark.parametrize("row", ROWS)
def test_a_path_is_the_name_with_the_parents_in_between(row: Endpoint) -> None:
    assert "/".join(part for part in row.path.split("/") if not part.startswith("{")) == row.name


@pytest.mark.parametrize("row", ROWS)
def test_a_row_without_collection_has_no_list_and_no_count(row: Endpoint) -> None:
    if row.collection:
        assert "list" in row.operations
    else:
        assert not {"list", "count"} & set(row.operations)
        assert row.items is None
        assert row.filters == ()
        assert row.incremental is None


@pytest.mark.parametrize("row", ROWS)
def test_envelope_keys_are_stored_unless_bare_or_known_to_be_unknown(row: Endpoint) -> None:
    if row.bare:
        assert (row.item, row.items, row.alternative_keys, dict(row.write_keys)) == (None, None, (), {})
        return
    assert (row.item is None) == (row.name in ENVELOPE_UNKNOWN)
    assert (row.items is not None) == row.collection
    keys = [key for key in (row.item, row.items, *row.alternative_keys, *row.write_keys.values()) if key is not None]
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", key) for key in keys)


@pytest.mark.parametrize("row", ROWS)
def test_what_is_written_has_an_envelope_unless_bare(row: Endpoint) -> None:
    for name in row.operation_names:
        operation = row.operation(name)
        if operation.payload == "required" and not row.bare:
            assert operation.write is not None
        if operation.payload == "none":
            assert operation.write is None
    assert set(row.write_keys) <= {"create", "update"} & set(row.operations)


@pytest.mark.parametrize("name", IRREGULAR_ITEMS)
def test_irregular_envelope_keys_are_kept_as_the_shop_spells_them(name: str) -> None:
    assert (CATALOGUE[name].item, CATALOGUE[name].items) == IRREGULAR_ITEMS[name]


@pytest.mark.parametrize("row", ROWS)
def test_filters_are_named_once_and_have_a_known_type(row: Endpoint) -> None:
    assert len(set(row.filter_names)) == len(row.filters)
    for known in row.filters:
        assert re.fullmatch(r"[a-z]+([_A-Z][a-z]+)*", known.name)
        assert known.type in get_args(FilterType)
        assert known.confidence in get_args(Confidence)
        assert (known.type == "time") == known.name.endswith(("_at_min", "_at_max"))
        assert not known.name.endswith("Id"), "filters on a relation carry its name without Id"


@pytest.mark.parametrize(
    ("entity", "graded"),
    [
        ("variants", {"product": "high", "sku": "high", "ean": "medium", "hs": "low"}),
        ("variants", {"articleCode": "conflicting", "article_code": "conflicting"}),
        ("customers", {"email": "high"}),
        ("reviews", {"customer": "high", "product": "high"}),
        ("categories", {"parent": "high", "title": "low"}),
        ("orders", {"customer": "high"}),
        ("products", {"brand": "high"}),
    ],
)
def test_filters_have_the_grade_of_their_sources(entity: str, graded: dict[str, str]) -> None:
    found = {known.name: known.confidence for known in CATALOGUE[entity].filters}

    assert {name: found[name] for name in graded} == graded


@pytest.mark.parametrize("row", ROWS)
def test_time_filters_come_in_pairs(row: Endpoint) -> None:
    lower = {name.removesuffix("_min") for name in row.filter_names if name.endswith("_min")}
    upper = {name.removesuffix("_max") for name in row.filter_names if name.endswith("_max")}

    assert lower == upper


@pytest.mark.parametrize("row", ROWS)
def test_a_list_with_a_filter_by_time_has_pages_and_one_by_time_of_creation(row: Endpoint) -> None:
    if any("_at_" in name for name in row.filter_names):
        assert {"page", "created_at_min"} <= set(row.filter_names)


@pytest.mark.parametrize("row", ROWS)
def test_the_incremental_filter_is_one_of_the_rows_filters(row: Endpoint) -> None:
    if row.incremental is None:
        assert "updated_at_min" not in row.filter_names
    else:
        assert row.incremental in row.filter_names


@pytest.mark.parametrize("row", ROWS)
def test_a_paged_list_can_be_counted(row: Endpoint) -> None:
    if "page" in row.filter_names:
        assert "limit" in row.filter_names
        assert row.has("count")


@pytest.mark.parametrize("row", ROWS)
def test_advice_is_given_for_operations_that_are_missing(row: Endpoint) -> None:
    for name, advice in row.alternatives.items():
        assert name in STANDARD
        assert not row.has(name)
        assert re.fullmatch(r"\S.*[.]", advice)


@pytest.mark.parametrize("row", ROWS)
def test_advice_names_only_operations_that_exist(row: Endpoint) -> None:
    for advice in row.alternatives.values():
        for action in re.findall(r"action (\w+)", advice):
            assert any(entity.has(action) for entity in CATALOGUE.values())


@pytest.mark.parametrize("row", ROWS)
def test_confidence_and_source_are_given(row: Endpoint) -> None:
    assert row.confidence in get_args(Confidence)
    assert row.source
    assert all(source.strip() and source.startswith("github:") for source in row.source)


@pytest.mark.parametrize("row", ROWS)
def test_actions_are_complete(row: Endpoint) -> None:
    for action in row.actions:
        assert action.name not in STANDARD
        assert action.verb in ("GET", "POST", "PUT")
        assert re.fullmatch(r"(/\{id\})?(/[a-z]+)?", action.path)
        assert action.payload in ("none", "optional", "required")


def test_only_orders_and_what_hangs_on_them_have_a_passing_404() -> None:
    patient = {row.name for row in CATALOGUE.values() if row.transient_404}

    assert patient == {name for name in CATALOGUE if name.split("/")[0] == "orders"}


def test_orders_cannot_be_created_and_the_row_says_where_they_come_from() -> None:
    row = get_entity("orders")

    assert not row.has("create")
    assert not row.has("delete")
    assert "checkout" in row.alternatives["create"]
    assert "quote" in row.alternatives["create"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("order", "orders"),
        ("Orders", "orders"),
        ("product", "products"),
        ("products/image", "products/images"),
        ("product/images", "products/images"),
        ("costumers", "customers"),
        ("customstatuses", "orders/customstatuses"),
        ("variant/movements", "variants/movements"),
    ],
)
def test_an_unknown_entity_suggests_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownEntity) as caught:
        get_entity(wrong)

    assert meant in caught.value.nearest
    assert caught.value.entity == wrong
    assert meant in str(caught.value)
    assert len(caught.value.nearest) <= 3


def test_an_entity_like_no_other_suggests_nothing() -> None:
    with pytest.raises(UnknownEntity) as caught:
        get_entity("zzzzzzzzzzzzzzzz")

    assert caught.value.nearest == ()
    assert str(caught.value) == "unknown entity 'zzzzzzzzzzzzzzzz'. The catalogue lists them all."


@pytest.mark.parametrize("name", [f"{row.name}/{action.name}" for row in CATALOGUE.values() for action in row.actions])
def test_an_action_taken_for_an_entity_is_explained(name: str) -> None:
    owner, _, action = name.rpartition("/")

    with pytest.raises(UnknownEntity) as caught:
        get_entity(name)

    assert caught.value.nearest == (owner,)
    assert f"use entity {owner!r} with action {action!r}" in str(caught.value)


@pytest.mark.parametrize("row", ROWS)
def test_the_confidence_of_a_key_is_unknown_only_without_a_key(row: Endpoint) -> None:
    assert (row.items_confidence == "unknown") == (row.items is None)
    assert (row.item_confidence == "unknown") == (row.item is None)


def test_as_many_list_keys_are_inferred_as_the_facts_say() -> None:
    assert Counter(row.items_confidence for row in CATALOGUE.values() if row.items is not None) == {
        "inferred": 31,
        "high": 28,
        "medium": 18,
        "low": 1,
        "conflicting": 1,
    }
