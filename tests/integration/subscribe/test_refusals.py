"""A wrong event is refused before any request or write, with one message that helps."""

from typing import Any

import pytest

from connector.errors import ConnectorError, RequestError, TransformError, UnknownConnection
from lightspeed import (
    CatalogueError,
    InvalidConnection,
    InvalidParameters,
    LightspeedError,
    UnknownEntity,
    UnsupportedOperation,
)
from tests.integration.subscribe.bundle import Bundle, quote_event


def parameters(**parts: Any) -> dict[str, Any]:
    return {"parameters": parts}


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown entity": ({"entity": "quots"}, UnknownEntity, "unknown entity 'quots'. Did you mean quotes"),
    "unknown key": ({"entity": "orders", "filter": {}}, RequestError, "unknown key filter (known keys: entity,"),
    "misspelt id": (quote_event(**parameters(path={"idd": 7})), InvalidParameters, "unknown path parameter 'idd'"),
    "no parent": ({"entity": "products/images"}, InvalidParameters, 'path lacks product_id; for example {"product_id"'),
    "empty id": (quote_event(**parameters(path={"id": ""})), InvalidParameters, "path parameter id must be an id such"),
    "dots": (quote_event(**parameters(path={"id": ".."})), InvalidParameters, "path parameter id must be an id such"),
    "id null": (quote_event(**parameters(path={"id": None})), InvalidParameters, "path parameter id must be an id"),
    "id true": (quote_event(**parameters(path={"id": True})), InvalidParameters, "path parameter id must be an id"),
    "id a list": (quote_event(**parameters(path={"id": [7]})), InvalidParameters, "path parameter id must be an id"),
    "limit": (
        {"entity": "orders", **parameters(query={"limit": 500})},
        InvalidParameters,
        "query limit must be from 1 to 250, not 500",
    ),
    "no time": (
        {"entity": "orders", **parameters(query={"created_at_min": "soon"})},
        InvalidParameters,
        "query created_at_min must be a time such as 2026-11-23T06:00:00Z, not 'soon'",
    ),
    "no time in one of two lists": (
        {
            "entity": "orders",
            "input_transformer": '[{"query": {"created_at_min": "soon"}}, {"query": {"number": "A"}}]',
        },
        InvalidParameters,
        "query created_at_min must be a time such as 2026-11-23T06:00:00Z, not 'soon'",
    ),
    "no number": (
        {"entity": "orders", **parameters(query={"customer": "Jane"})},
        InvalidParameters,
        "query customer must be a whole number, not 'Jane'",
    ),
    "object in query": (
        {"entity": "orders", **parameters(query={"status": {"a": 1}})},
        InvalidParameters,
        "query status must be text",
    ),
    "page": ({"entity": "orders", **parameters(query={"page": 2})}, RequestError, "every page is read"),
    "no list": ({"entity": "brands/image", **parameters(path={})}, InvalidParameters, "path lacks brand_id"),
    "no get": (
        {"entity": "products/filtervalues", **parameters(path={"product_id": 7, "id": 9})},
        UnsupportedOperation,
        "products/filtervalues has no get; it has: list, count, create, delete.",
    ),
    "transformer cannot be read": (quote_event(input_transformer="{"), TransformError, "in the transformer"),
    "transformer returns no object": (quote_event(input_transformer="42"), TransformError, "42"),
    "transformer names an unknown path": (
        quote_event(input_transformer='{"path": {"nr": 7}}'),
        InvalidParameters,
        "unknown path parameter 'nr'",
    ),
    "transformer fails": (quote_event(input_transformer="$error('no')"), TransformError, "no"),
    "unknown connection": (
        quote_event(connection="shop2"),
        UnknownConnection,
        "unknown connection 'shop2': there is no",
    ),
    "connection with a blank": (quote_event(connection="my shop"), RequestError, "connection must be a name such as"),
    "connection upwards": (quote_event(connection="../x/"), RequestError, "connection must be a name such as default"),
    "connection too long": (quote_event(connection="x" * 600), RequestError, "connection must be a name such as"),
    "garbage cursor": (quote_event(cursor="x"), RequestError, "cursor is not one that a partial result gave"),
}


@pytest.mark.parametrize(("event", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_mistake_sends_nothing_and_writes_nothing(
    bundle: Bundle, event: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises((LightspeedError, ConnectorError)) as refused:
        bundle.invoke(event)

    assert isinstance(refused.value, error)
    assert message in str(refused.value)
    assert bundle.untouched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": "eu2", "base_url": None}, "cluster must be eu1 or us1, not 'eu2'"),
        ({"base_url": None}, "give exactly one of cluster (eu1 or us1) and base_url"),
        ({"cluster": "eu1"}, "give exactly one of cluster (eu1 or us1) and base_url"),
        ({"base_url": "http://shop.example"}, "must use https"),
        ({"api_key": ""}, "api_key is required and may not be empty"),
        ({"api_secret": None}, "api_secret is required and may not be empty"),
        ({"language": "Dutch"}, "language must be the shop's two-letter code"),
        ({"languge": "nl"}, "unknown key 'languge'; known are cluster"),
        ({"update_method": "POST"}, "update_method must be PUT or PATCH, not 'POST'"),
    ],
    ids=lambda found: next(iter(found)) if isinstance(found, dict) else "",
)
def test_a_wrong_connection_is_refused(bundle: Bundle, changes: dict[str, object], message: str) -> None:
    bundle.store_connection(**changes)  # type: ignore[arg-type]

    with pytest.raises(InvalidConnection) as refused:
        bundle.invoke(quote_event())

    assert str(refused.value).startswith("connection 'default': ")
    assert message in str(refused.value)
    assert bundle.shop.api_secret not in str(refused.value)
    assert bundle.untouched


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the secret is not JSON"), ("fake0secret", "the secret is not JSON"), ("[]", "must be a JSON object")],
)
def test_a_secret_that_is_no_connection_is_refused_without_repeating_it(
    bundle: Bundle, text: str, message: str
) -> None:
    bundle.store_secret("default", text or " ")

    with pytest.raises(InvalidConnection) as refused:
        bundle.invoke(quote_event())

    assert message in str(refused.value)
    assert "fake0secret" not in str(refused.value)
    assert bundle.untouched


def test_a_secret_marked_for_deletion_is_no_connection(bundle: Bundle) -> None:
    bundle.secrets.delete_secret(SecretId=bundle.prefix + "default")

    with pytest.raises(UnknownConnection):
        bundle.invoke(quote_event())


def test_every_mistake_of_the_parameters_is_named_at_once(bundle: Bundle) -> None:
    with pytest.raises(CatalogueError) as refused:
        bundle.invoke({"entity": "products/images", **parameters(path={"product": 7}, query={"limit": 0})})

    assert "path lacks product_id" in str(refused.value)
    assert "unknown path parameter 'product'" in str(refused.value)
    assert "query limit must be from 1 to 250" in str(refused.value)


def test_one_wrong_element_of_an_input_transformer_refuses_all(bundle: Bundle) -> None:
    with pytest.raises(InvalidParameters):
        bundle.invoke(quote_event(input_transformer='[{"path": {"id": 1016615295}}, {"path": {"id": ""}}]'))

    assert bundle.untouched


def test_a_function_without_bucket_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUCKET")

    with pytest.raises(ConnectorError, match="BUCKET is not set"):
        bundle.invoke(quote_event())
