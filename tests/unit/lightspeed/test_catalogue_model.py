"""The operations and paths of a catalogue row."""

import pytest

from lightspeed import Endpoint, UnsupportedOperation, get_entity
from lightspeed.catalogue.describe import describe


def test_standard_operations_follow_from_the_path() -> None:
    images = get_entity("products/images")
    shapes = {name: (images.operation(name).verb, images.operation(name).path) for name in images.operations}

    assert shapes == {
        "list": ("GET", "products/{product_id}/images"),
        "get": ("GET", "products/{product_id}/images/{id}"),
        "count": ("GET", "products/{product_id}/images/count"),
        "create": ("POST", "products/{product_id}/images"),
        "update": ("PUT", "products/{product_id}/images/{id}"),
        "delete": ("DELETE", "products/{product_id}/images/{id}"),
    }


def test_a_singleton_has_one_path_for_everything() -> None:
    image = get_entity("brands/image")

    assert {image.operation(name).path for name in image.operations} == {"brands/{brand_id}/image"}
    assert image.operation("get").path_parameters == ("brand_id",)


def test_parents_stand_before_the_id() -> None:
    assert get_entity("taxes/overrides").operation("get").path_parameters == ("tax_id", "id")


def test_only_get_reads() -> None:
    orders = get_entity("orders")

    assert orders.operation("list").reads
    assert get_entity("checkouts").operation("validate").reads
    assert not orders.operation("credit").reads


def test_create_may_have_an_envelope_key_of_its_own() -> None:
    locations = get_entity("locations")

    assert locations.operation("create").write == "locations"
    assert locations.operation("update").write == "location"
    assert locations.operation("create").answer == "location"


def test_an_action_has_its_own_verb_path_and_envelope() -> None:
    convert = get_entity("quotes").operation("convert")

    assert (convert.verb, convert.path, convert.write, convert.answer, convert.payload) == (
        "POST",
        "quotes/{id}/convert",
        "order",
        "order",
        "optional",
    )


def test_a_missing_operation_says_what_there_is_and_what_to_do_instead() -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        get_entity("orders").operation("create")

    assert caught.value.supported == ("list", "get", "count", "update", "credit")
    assert caught.value.instead.startswith("An order comes from a checkout")
    assert str(caught.value).startswith(
        "orders has no create; it has: list, get, count, update, credit. An order comes"
    )


def test_a_missing_operation_without_advice_ends_after_the_list() -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        get_entity("account").operation("delete")

    assert str(caught.value) == "account has no delete; it has: get."


def test_a_row_describes_itself_as_plain_data() -> None:
    described = describe(get_entity("quotes"))

    assert described["entity"] == "quotes"
    assert described["collection"] is True
    assert described["incremental"] == "updated_at_min"
    assert described["alternatives"] == {"delete": "The shop's API deletes no quotes."}
    assert isinstance(described["operations"], dict)
    assert described["operations"]["convert"] == {
        "method": "POST",
        "path": "quotes/{id}/convert",
        "path_parameters": ["id"],
        "payload": "optional",
    }
    assert isinstance(described["filters"], dict)
    assert described["filters"]["updated_at_min"] == "time"
    assert described["confidence"] == "high"
    assert described["source"]


def test_a_row_states_only_what_differs_from_the_defaults() -> None:
    row = Endpoint(name="x", path="x", operations=("list",), item="x", confidence="high", source=("a",))

    assert row.collection
    assert not row.bare
    assert row.operation_names == ("list",)
    assert not row.has("get")
