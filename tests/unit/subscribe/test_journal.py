"""A run that was killed after its decision is finished with the decided result."""

from __future__ import annotations

from typing import Any

import pytest

from connector.aws.bucket import Bucket, PreconditionFailed
from connector.errors import RequestError
from connector.storage_keys import run_key
from subscribe.run.journal import Journal
from subscribe.run.result import Decision
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

MANIFEST = "manifests/orders.json"
BODY: dict[str, Any] = {"parts": [], "deleted": [], "rejected": []}


def bucket() -> Bucket:
    return Bucket(MemoryBucket(), "bucket", FakeClock())


def journal(objects: Bucket, fingerprint: str = "same") -> Journal:
    return Journal(objects, "run-1", fingerprint)


def decide(objects: Bucket, manifests: dict[str, Any], status: str = "finishing") -> None:
    decision = Decision({"run_id": "run-1", "status": "complete", "manifest": MANIFEST, "records": 7}, manifests)
    killed = journal(objects)
    killed.write(killed.entry_of(decision, status=status))


def test_the_next_invocation_writes_the_manifests_that_a_killed_run_decided() -> None:
    objects = bucket()
    decide(objects, {MANIFEST: BODY})

    result = journal(objects).finished()

    assert result is not None
    assert (result.body["status"], result.body["records"]) == ("complete", 7)
    assert objects.read_json(MANIFEST) is not None
    found = objects.read_json(run_key("run-1"))
    assert found is not None
    assert (found["status"], found["manifests"]) == ("complete", {})


def test_a_run_that_an_earlier_version_decided_is_finished_if_its_manifest_is_there() -> None:
    objects = bucket()
    objects.put_json(MANIFEST, BODY)
    decide(objects, {})

    result = journal(objects).finished()

    assert result is not None
    assert result.body["status"] == "complete"


@pytest.mark.parametrize(
    ("manifests", "status"),
    [({}, "finishing"), ({MANIFEST: BODY}, "partial"), ({MANIFEST: BODY}, "deciding")],
    ids=["without its manifest", "paused", "about to be decided"],
)
def test_a_run_that_is_not_decided_goes_on(manifests: dict[str, Any], status: str) -> None:
    objects = bucket()
    decide(objects, manifests, status)

    assert journal(objects).finished() is None
    assert objects.read_json(MANIFEST) is None


@pytest.mark.parametrize("lost", [1, 4])
def test_the_end_of_a_run_is_noted_although_its_journal_changes_meanwhile(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = bucket()
    decide(objects, {MANIFEST: BODY})
    put = objects.put_json
    refused: list[str] = []

    def put_json(key: str, value: Any, **how: Any) -> str:
        if key == run_key("run-1") and len(refused) < lost:
            refused.append(key)
            raise PreconditionFailed(key)
        return put(key, value, **how)

    monkeypatch.setattr(objects, "put_json", put_json)

    result = journal(objects).finished()

    assert result is not None
    assert result.body["status"] == "complete"
    assert len(refused) == lost


def test_the_id_of_a_run_is_not_taken_for_another_request() -> None:
    objects = bucket()
    decide(objects, {})

    with pytest.raises(RequestError, match="run-1 was used before for another request"):
        journal(objects, "another").load()
