"""`schema` on a folder of stored runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from connector.operator.main import main
from tests.unit.operator.lake import into, store_run

Run = Callable[..., str]
FULL: dict[str, Any] = {"request": {"entity": "orders", "mode": "full"}}
INCREMENTAL: dict[str, Any] = {"request": {"entity": "orders", "mode": "incremental"}}


@pytest.fixture
def schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on the folder and return what it prints."""

    def run(*words: str, status: int = 0) -> str:
        assert main(["schema", *words, "--lake", str(tmp_path)]) == status
        return capsys.readouterr().out

    return run


def drift(schema: Run, *words: str, status: int = 0) -> list[dict[str, str]]:
    lines = schema("orders", "--drift", "2026-11-01", "2026-11-30", *words, status=status).splitlines()
    return [json.loads(line) for line in lines]


def test_a_schema_says_types_shares_and_no_values(tmp_path: Path, schema: Run) -> None:
    rows = [
        {"id": 1, "email": "jane.doe@example.com", "customer": False, "catalog": {"12": {"stock": 1}}},
        {"id": 2, "email": "", "customer": {"id": 7}},
    ]
    store_run(into(tmp_path), "a", "2026-11-01T00:00:00Z", rows)

    text = schema("orders")
    found = json.loads(text)
    assert "jane" not in text
    assert (found["title"], found["x-records"]) == ("orders", 2)
    assert found["properties"]["customer"]["type"] == ["boolean", "object"]
    assert found["properties"]["customer"]["x-none"] == 0.5
    assert found["properties"]["catalog"]["x-present"] == 0.5
    assert list(found["properties"]["catalog"]["patternProperties"]) == ["^[0-9]+$"]
    assert json.loads(schema("orders", "--examples"))["properties"]["email"]["examples"] == ["jane.doe@example.com"]


def test_the_newest_records_are_looked_at(tmp_path: Path, schema: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    store_run(into(tmp_path), "a", "2026-11-01T00:00:00Z", [{"old": 1}])
    store_run(into(tmp_path), "b", "2026-11-02T00:00:00Z", [{"new": 1}])
    monkeypatch.setattr("connector.operator.data.schema.RECORDS", 1)

    assert list(json.loads(schema("orders"))["properties"]) == ["new"]


def test_an_entity_without_data_has_a_schema_that_allows_everything(schema: Run) -> None:
    assert "properties" not in json.loads(schema("orders"))


def test_drift_names_new_fields_and_types_once_with_their_first_run(tmp_path: Path, schema: Run) -> None:
    put = into(tmp_path)
    store_run(put, "a", "2026-11-01T00:00:00Z", [{"id": 1, "price": 1, "note": False, "gone": 1}])
    store_run(put, "b", "2026-11-02T00:00:00Z", [{"id": 2, "price": 1.5, "note": None}])
    store_run(put, "c", "2026-11-03T00:00:00Z", [{"id": 3, "price": "7", "note": "hello", "more": {"x": 1}}])
    store_run(put, "d", "2026-11-04T00:00:00Z", [{"id": 4, "price": "8", "note": "again", "more": {"x": 2}}])
    store_run(put, "e", "2026-12-01T00:00:00Z", [{"id": True}])

    found = drift(schema, "--exit-code", status=2)
    assert [(change["kind"], change["path"], change["run_id"]) for change in found] == [
        ("type", "price", "c"),
        ("new", "note", "c"),
        ("new", "more", "c"),
        ("new", "more.x", "c"),
    ]
    assert found[0]["text"] == "number before, now also string"
    assert drift(schema, "--examples")[1]["text"] == "string, such as 'hello'"


def test_drift_says_vanished_only_after_enough_records_of_full_runs(tmp_path: Path, schema: Run) -> None:
    put = into(tmp_path)
    rows = [{"id": number, "code": number, "rare": 1 if number % 20 == 0 else False} for number in range(500)]
    store_run(put, "a", "2026-11-01T00:00:00Z", rows)
    bare = [{"id": number} for number in range(200)]
    store_run(put, "b", "2026-11-02T00:00:00Z", bare, **INCREMENTAL)
    store_run(put, "c", "2026-11-03T00:00:00Z", bare[:199], **FULL)
    assert drift(schema) == []

    store_run(put, "d", "2026-11-04T00:00:00Z", bare[:1], **FULL)
    assert drift(schema) == [
        {"kind": "vanished", "path": "code", "text": "in 500 of 500 records, now in 0 of 200", "run_id": ""}
    ]


def test_without_earlier_records_nothing_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [{"id": 1, "price": 1}])

    words = ["schema", "orders", "--drift", "2026-11-01", "2026-11-30", "--exit-code", "--lake", str(tmp_path)]
    assert main(words) == 0
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == "connector: there is nothing to compare: no record was stored up to 2026-11-01\n"


def test_the_schema_of_the_samples_needs_no_records(schema: Run) -> None:
    found = json.loads(schema("orders/products", "--sample"))

    assert found["title"] == "orders/products"
    jsonschema_rs.meta.validate(found)
    assert found["properties"]["quantityOrdered"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["locations", "--sample"], "there is no public sample of locations"),
        (["order"], "no entity or view has the name 'order'; is it orders"),
        (
            ["orders", "--drift", "2026-11-02", "2026-11-01"],
            "--drift FROM TO: TO must be after FROM, but 2026-11-01 is not after",
        ),
        (["orders", "--drift", "x", "2026-11-01"], "argument --drift: must be a date such as 2026-11-23, not 'x'"),
    ],
)
def test_a_wrong_command_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["schema", *words, "--lake", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"connector: {message}")
