"""The parts that a writer stores: each kind and language is numbered without a gap."""

from __future__ import annotations

import gzip

import pytest

from connector.aws.bucket import Bucket
from connector.storage_keys import RunPlace
from subscribe.storage import parts
from subscribe.storage.parts import Part, compress
from subscribe.sync.state import SyncState
from subscribe.sync.step import Step
from subscribe.sync.writer import Writer
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock


def place(language: str) -> RunPlace:
    return RunPlace("default", "orders", language, "2026-11-23", "run")


def test_parts_are_numbered_by_kind_from_the_next_number_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    s3 = MemoryBucket()
    state = SyncState("run", parts={"nl": [Part(1, 1, "0" * 64)] * 4})
    writer = Writer(Bucket(s3, "bucket", FakeClock()), state, place)
    stored = []

    for text in (b"1", b"2"):
        parts_of_step = writer.add(Step(chunk=compress([text]), rejected=[b"odd"]), "nl")
        for kind, language, part in parts_of_step:
            state.parts_of(kind).setdefault(language, []).append(part)
        stored += parts_of_step

    assert writer.flush() == []
    assert [kind for kind, _, _ in stored] == ["raw", "rejected", "raw", "rejected"]
    assert sorted(s3.objects) == sorted(
        place("nl").part(kind, number, part.sha256)
        for (kind, _, part), number in zip(stored, [4, 0, 5, 1], strict=True)
    )
    assert [part.records for _, _, part in stored] == [1, 1, 1, 1]


def test_what_fills_no_part_is_stored_in_the_end() -> None:
    s3 = MemoryBucket()
    writer = Writer(Bucket(s3, "bucket", FakeClock()), SyncState("run"), place)
    assert writer.add(Step(chunk=compress([b"1", b"2"])), "nl") == []
    assert writer.add(Step(chunk=compress([b"3"])), "nl") == []

    ((kind, language, part),) = writer.flush()

    assert (kind, language, part.records) == ("raw", "nl", 3)
    (body,) = s3.objects.values()
    assert (len(body), gzip.decompress(bytes(body))) == (part.bytes, b"1\n2\n3\n")


def test_a_part_holds_one_language() -> None:
    s3 = MemoryBucket()
    writer = Writer(Bucket(s3, "bucket", FakeClock()), SyncState("run"), place)
    assert writer.add(Step(chunk=compress([b"1"])), "nl") == []

    ((_, language, part),) = writer.add(Step(chunk=compress([b"2"])), "en")

    assert (language, part.records) == ("nl", 1)
    assert list(s3.objects) == [place("nl").part("raw", 0, part.sha256)]


def test_discarded_records_are_not_stored() -> None:
    s3 = MemoryBucket()
    writer = Writer(Bucket(s3, "bucket", FakeClock()), SyncState("run"), place)
    writer.add(Step(chunk=compress([b"1"])), "nl")

    writer.discard()

    assert writer.flush() == []
    assert not s3.objects
