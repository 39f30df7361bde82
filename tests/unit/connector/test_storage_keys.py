"""Keys of the bundle's objects."""

import json
from pathlib import Path

import pytest

from connector.storage_keys import RunPlace, manifest_place, run_key, subscription_key

PLACE = RunPlace("default", "products/images", "nl", "2026-11-23", "run-1")
FOLDER = "connection=default/entity=products.images/lang=nl/date=2026-11-23/"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (PLACE.part("raw", 0, "0123456789abcdef" * 4), f"raw/{FOLDER}run=run-1/part-00000-0123456789abcdef.jsonl.gz"),
        (PLACE.part("deleted", 99_999, "f" * 64), f"deleted/{FOLDER}run=run-1/part-99999-{'f' * 16}.jsonl.gz"),
        (PLACE.part("rejected", 7, "0" * 64), f"rejected/{FOLDER}run=run-1/part-00007-{'0' * 16}.jsonl.gz"),
        (PLACE.manifest, f"manifests/{FOLDER}run-1.json"),
        (subscription_key("default", "orders/events"), "state/connection=default/orders.events.json"),
        (run_key("run-1"), "state/runs/run-1.json"),
    ],
)
def test_keys(key: str, expected: str) -> None:
    assert key == expected


def test_a_manifest_says_which_run_it_is_of() -> None:
    assert manifest_place(PLACE.manifest) == PLACE._replace(entity="products.images")


def test_no_folder_has_the_name_of_a_field_of_a_record() -> None:
    # query engines take the folder's value in place of the record's
    folders = {part.partition("=")[0] for part in PLACE.part("raw", 0, "0" * 64).split("/") if "=" in part}
    samples = (Path(__file__).parents[2] / "shop" / "samples").glob("doc.*.json")
    fields = {field for path in samples for record in records(json.loads(path.read_text("utf-8"))) for field in record}

    assert folders == {"connection", "entity", "lang", "date", "run"}
    assert {"language", "id", "status"} <= fields
    assert folders & fields == set()


def records(sample: dict[str, object]) -> list[dict[str, object]]:
    """The records of a sample, with or without an envelope."""
    inside = [value for value in sample.values() if isinstance(value, dict)]
    return [sample, *inside]


@pytest.mark.parametrize("key", ["manifests/", f"raw/{FOLDER}run=run-1/part-00000.jsonl.gz", f"manifests/{FOLDER}"])
def test_another_key_is_no_manifest(key: str) -> None:
    assert manifest_place(key) is None
