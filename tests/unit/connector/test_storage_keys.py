"""Keys of the bundle's objects."""

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


@pytest.mark.parametrize("key", ["manifests/", f"raw/{FOLDER}run=run-1/part-00000.jsonl.gz", f"manifests/{FOLDER}"])
def test_another_key_is_no_manifest(key: str) -> None:
    assert manifest_place(key) is None
