"""The OpenAPI document is what the code says, and the API behaves as the document says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from werkzeug.test import Client

from connector.http.routes import ROUTES
from connector.transform import parse_transformers
from tests.integration.http.conftest import TOKEN
from tests.openapi import TARGET, document, text

EXAMPLES = 4
SOAK_EXAMPLES = 500
CONFIG = SchemathesisConfig.from_path(Path(__file__).parents[3] / "schemathesis.toml")
DOCUMENT = document()
OPERATIONS = [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]
JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    """Load the engine of the transformers first: it raises the recursion limit, and Hypothesis warns if a test does."""
    parse_transformers("1")


def test_the_checked_in_document_is_the_one_that_the_code_makes() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run make openapi"


def test_the_document_has_every_route_and_says_which_need_a_token() -> None:
    secured = {
        (method.upper(), path): operation["security"]
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }

    assert secured == {
        (route.method, route.path.replace("+}", "}")): [{"token": []}] if route.scope else [] for route in ROUTES
    }


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]

    assert len(set(names)) == len(names)


def resolved(node: Any) -> Any:
    """Return a node with the references to whole responses followed."""
    if isinstance(node, dict) and node.get("$ref", "").startswith("#/components/responses/"):
        return DOCUMENT["components"]["responses"][node["$ref"].rpartition("/")[2]]
    return node


def examples() -> list[tuple[str, dict[str, Any], Any]]:
    """Return where each example is, its schema, and the example."""
    found: list[tuple[str, dict[str, Any], Any]] = []
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for where, stated in bodies.items():
                for media in resolved(stated).get("content", {}).values():
                    values = [example["value"] for example in media.get("examples", {}).values()]
                    values += [media["example"]] if "example" in media else []
                    found += [(f"{method} {path} {where}", media["schema"], value) for value in values]
    return found


def test_every_example_fits_its_schema() -> None:
    found = examples()

    assert len(found) > 20
    for where, schema, example in found:
        whole = {**schema, "components": DOCUMENT["components"]}
        error = next(iter(jsonschema_rs.validator_for(whole).iter_errors(example)), None)
        assert error is None, f"{where}: {error}"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_and_every_error_has_an_example(method: str, path: str) -> None:
    operation = DOCUMENT["paths"][path][method.lower()]
    bodies = [operation["requestBody"]] if operation.get("requestBody", {}).get("required") else []
    bodies += [resolved(row) for row in operation["responses"].values()]

    assert bodies
    for body in bodies:
        for kind, media in body.get("content", {}).items():
            if kind.endswith("json") and path != "/openapi.json":
                assert "example" in media or media.get("examples"), (path, body["description"])


def test_the_document_is_served_as_it_is_checked_in_and_needs_no_token(browser: Client) -> None:
    answer = browser.get("/openapi.json")

    assert (answer.status_code, answer.content_type) == (200, JSON)
    assert json.loads(answer.text) == DOCUMENT


def run_operation(gateway: Any, method: str, path: str, most: int) -> None:
    """Call an operation with generated input, and check each answer against the document."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", gateway, config=CONFIG)
    operation = schema[path][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=most,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"})

    call()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_answers_generated_calls_as_the_document_says(gateway: Any, method: str, path: str) -> None:
    run_operation(gateway, method, path, EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_answers_many_generated_calls_as_the_document_says(gateway: Any, method: str, path: str) -> None:
    run_operation(gateway, method, path, SOAK_EXAMPLES)
