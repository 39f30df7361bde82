"""`query` on a bucket: which objects it fetches and keeps."""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from connector.clients import AwsClients
from connector.operator.main import main
from connector.operator.stack import Stack
from tests.unit.operator.lake import Put, store_run

Ask = Callable[..., list[dict[str, Any]]]


class Aws(AwsClients):
    """AWS on moto; it counts the calls of S3."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        made = boto3.client(service)
        made.meta.events.register("before-call.s3", lambda model, **_: self.calls.update([model.name]))
        return made


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        made = Aws()
        location = {"LocationConstraint": "eu-west-1"}
        made.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=location)
        yield made


@pytest.fixture
def put(aws: Aws) -> Put:
    def store(key: str, body: bytes) -> None:
        aws.client("s3").put_object(Bucket="bucket", Key=key, Body=body)

    return store


@pytest.fixture
def ask(aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask the bucket; the counted calls are those of this question."""

    def run(*words: str, status: int = 0) -> list[dict[str, Any]]:
        aws.calls.clear()
        common = ["--bucket", "bucket", "--cache", str(tmp_path / "cache"), "--format", "jsonl"]
        assert main(["query", *words, *common], open_stack=lambda name: Stack(name, aws)) == status
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def day(number: int) -> str:
    return f"2026-11-{number:02}T00:00:00Z"


def test_parts_are_fetched_once_and_only_those_that_manifests_name(aws: Aws, put: Put, ask: Ask) -> None:
    for number in range(1, 6):
        store_run(put, f"run-{number}", day(number), [{"id": number}])
        store_run(put, f"lost-{number}", day(number), [{"id": -number}], finished=False)
        store_run(put, f"run-{number}", day(number), [{"id": number}], entity="products")

    assert len(ask("orders")) == 5
    assert aws.calls == {"ListObjectsV2": 2, "GetObject": 10}
    assert len(ask("orders_current")) == 5
    assert aws.calls == {"ListObjectsV2": 2}


def test_earlier_days_are_not_even_listed(aws: Aws, put: Put, ask: Ask) -> None:
    for number in range(1, 6):
        store_run(put, f"run-{number}", day(number), [{"id": number}])

    assert [row["id"] for row in ask("orders", "--since", "2026-11-05", "--connection", "default")] == ["5"]
    assert aws.calls == {"ListObjectsV2": 2, "GetObject": 2}


def test_only_the_parts_of_the_days_and_the_entity_asked_for_are_fetched(aws: Aws, put: Put, ask: Ask) -> None:
    for number in range(1, 29):
        store_run(put, f"run-{number}", day(number), [{"id": number}])
        store_run(put, f"run-{number}", day(number), [{"id": number}], entity="products")

    found = ask("orders", "--since", "2026-11-10", "--until", "2026-11-12", "--connection", "default")
    assert sorted(row["id"] for row in found) == ["10", "11", "12"]
    assert aws.calls == {"ListObjectsV2": 2, "GetObject": 6}
    assert len(ask("orders", "--until", "2026-11-12", "--connection", "default")) == 12
    assert aws.calls == {"ListObjectsV2": 2, "GetObject": 18}


def test_what_is_cached_answers_offline(aws: Aws, put: Put, ask: Ask) -> None:
    store_run(put, "run", day(1), [{"id": 1}])
    ask("orders")
    store_run(put, "later", day(2), [{"id": 2}])

    assert [row["id"] for row in ask("orders", "--offline")] == ["1"]
    assert not aws.calls


def test_a_manifest_that_changed_or_went_does_so_in_the_cache(aws: Aws, put: Put, ask: Ask) -> None:
    store_run(put, "a", day(1), [{"id": 1}])
    gone = store_run(put, "b", day(2), [{"id": 2}])
    assert len(ask("orders")) == 2

    store_run(put, "a", day(1), [{"id": 3}])
    aws.client("s3").delete_object(Bucket="bucket", Key=gone)
    assert [row["id"] for row in ask("orders")] == ["3"]


def test_a_cache_that_is_full_loses_what_was_not_used_for_the_longest_time(put: Put, ask: Ask, tmp_path: Path) -> None:
    store_run(put, "a", day(1), [{"id": 1}])
    store_run(put, "b", day(1), [{"id": 1}], entity="products")
    ask("products")
    ask("orders", "--cache-gb", "0")

    assert [path.parts[-5] for path in (tmp_path / "cache").rglob("part-*")] == ["entity=orders"]


def test_a_part_that_is_missing_or_another_is_an_error(aws: Aws, put: Put, ask: Ask) -> None:
    store_run(put, "a", day(1), [{"id": 1}])
    part = {"key": "raw/connection=default/none.jsonl.gz", "records": 1, "bytes": 9, "sha256": "0"}
    broken = store_run(put, "b", day(1), parts=[part])
    ask("orders", status=1)

    put(part["key"], b"something")  # type: ignore[arg-type]
    ask("orders", status=1)
    aws.client("s3").delete_object(Bucket="bucket", Key=broken)
    assert len(ask("orders")) == 1
