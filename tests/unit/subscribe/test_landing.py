"""Keys, and records on their way into parts."""

import gzip

import pytest

from subscribe.storage.bucket import bookmark_key, chunk, manifest_key, part_key, run_key, run_prefix

PREFIX = "raw/connection=default/entity=products.images/language=nl/date=2026-11-23/run=run-1/"


def test_a_slash_in_an_entity_becomes_a_dot() -> None:
    assert run_prefix("default", "products/images", "nl", "2026-11-23", "run-1") == PREFIX


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (part_key(PREFIX, 0), PREFIX + "part-00000.jsonl.gz"),
        (part_key(PREFIX, 99_999), PREFIX + "part-99999.jsonl.gz"),
        (manifest_key(PREFIX), PREFIX + "_manifest.json"),
        (bookmark_key("default", "orders/events"), "state/connection=default/orders.events.json"),
        (run_key("run-1"), "state/runs/run-1.json"),
    ],
)
def test_keys(key: str, expected: str) -> None:
    assert key == expected


def test_chunks_follow_each_other_as_one_gzip_file() -> None:
    body = chunk([b'{"a":1}', b'{"b":2}']).member + chunk([]).member + chunk([b'{"c":3}']).member

    assert gzip.decompress(body) == b'{"a":1}\n{"b":2}\n{"c":3}\n'


def test_the_same_records_make_the_same_bytes() -> None:
    assert chunk([b"{}"] * 100) == chunk([b"{}"] * 100)
