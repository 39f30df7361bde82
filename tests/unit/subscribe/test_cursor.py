"""A cursor names a stored state; any other text is refused."""

import base64
import json
import tracemalloc
import zlib

import pytest

from connector.aws.bucket import Bucket
from connector.errors import RequestError
from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.run.cursor import Checkpoints, StateStore, parse_cursor
from subscribe.storage.parts import Part
from subscribe.sync.state import SyncState
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

NO_CURSOR = "cursor is not one that a partial result gave"


def state(run_id: str = "run-1", ids: int = 3) -> SyncState:
    return SyncState(
        run_id,
        "2026-11-23T06:00:00Z",
        requests=4,
        window_end="2026-11-23T05:59:55Z",
        position=1,
        checkpoint=ListCheckpoint(
            rows_left=250, count_before=600, count_after=600, read=350, check=ListCheckpoint(rows_left=3)
        ),
        parts={"nl": [Part(350, 1000, f"{number:064x}") for number in range(200)]},
        records=350,
        recent={str(identity): "2026-11-23T05:59:50+00:00" for identity in range(ids)},
    )


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(MemoryBucket(), "bucket", FakeClock())


def store(bucket: Bucket, fingerprint: str = "f" * 16) -> StateStore[SyncState]:
    return StateStore(bucket, SyncState, fingerprint)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(value).encode())).decode()


def test_a_state_survives_the_way(bucket: Bucket) -> None:
    assert store(bucket).load(store(bucket).save("run-1", state())) == state()


def test_a_cursor_stays_short_however_much_a_run_remembers(bucket: Bucket) -> None:
    cursor = store(bucket).save("r" * 80, state("r" * 80, ids=50_000))

    assert len(cursor) < 128
    assert store(bucket).load(cursor) == state("r" * 80, ids=50_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "aGVsbG8=",
        "é",
        packed([]),
        packed({"a": 1}),
        packed([2, "f", ["../../other"]]),
        packed([2, "f", {"run_id": 1}]),
        packed([2, "f", [".."]]),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 60_000)).decode(),
        "3....0123456789abcdef0123456789abcdef",
        "3..0123456789abcdef0123456789abcdef",
        "3.run-1.0123456789abcdef",
        "3.../../x.0123456789abcdef0123456789abcdef",
        "3." + "r" * 81 + ".0123456789abcdef0123456789abcdef",
        "4.run-1.0123456789abcdef0123456789abcdef",
        "A" * 1_000_000,
    ],
)
def test_garbage_is_refused(bucket: Bucket, text: str) -> None:
    with pytest.raises(RequestError, match=NO_CURSOR):
        store(bucket).load(text)


def test_of_a_cursor_that_unpacks_to_a_huge_text_only_the_beginning_is_unpacked() -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(b'[2,"f",["run-1",' + b"{}," * 10_000_000 + b"0]]", 9)).decode()
    tracemalloc.start()
    try:
        found = parse_cursor(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == ("run-1", "")
    assert peak < 1 << 20


def test_a_state_that_unpacks_to_a_huge_text_is_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = store(bucket).save("run-1", state())
    monkeypatch.setattr("subscribe.run.cursor.MAX_BYTES", 100)

    with pytest.raises(RequestError, match=NO_CURSOR):
        store(bucket).load(cursor)


def test_a_state_that_is_gone_is_said(bucket: Bucket) -> None:
    with pytest.raises(RequestError, match="names a state that is gone"):
        store(bucket).load("3.run-1.0123456789abcdef0123456789abcdef")


def test_an_object_that_is_not_what_its_name_says_is_not_believed(bucket: Bucket) -> None:
    cursor = store(bucket).save("run-1", state())
    name = cursor.rpartition(".")[2]
    bucket.put(f"state/passes/run-1/{name}.jsonl.gz", zlib.compress(b"[3,[]]"))

    with pytest.raises(RequestError, match="names a state that is gone"):
        store(bucket).load(cursor)


def test_another_object_of_the_run_is_no_state(bucket: Bucket) -> None:
    name = Checkpoints(bucket, "run-1").save(b"something else")

    with pytest.raises(RequestError, match=NO_CURSOR):
        store(bucket).load(f"3.run-1.{name}")


def test_a_cursor_of_another_request_is_refused(bucket: Bucket) -> None:
    cursor = store(bucket).save("run-1", state())

    with pytest.raises(RequestError, match="cursor belongs to another request"):
        store(bucket, "g").load(cursor)


@pytest.mark.parametrize("old", [[2, "f", ["run-1", "2026-11-23T06:00:00Z"]], [2, "reconcile", "f", ["run-1", ""]]])
def test_a_cursor_of_version_2_starts_its_run_again(bucket: Bucket, old: list[object]) -> None:
    assert parse_cursor(packed(old)) == ("run-1", "")
    assert store(bucket).load(packed(old)) is None
