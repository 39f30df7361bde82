"""Where the parts of a run are stored: each kind is numbered by itself, without a gap."""

from __future__ import annotations

import gzip

import pytest

from connector.aws.bucket import Bucket
from connector.storage_keys import Kind, RunPlace
from subscribe.storage import parts
from subscribe.storage.parts import compress
from subscribe.sync.step import Step
from subscribe.sync.writer import Writer
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

PLACE = RunPlace("default", "orders", "nl", "2026-11-23", "run")


def test_parts_are_numbered_by_kind_from_the_next_number_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    s3 = MemoryBucket()
    numbers: dict[Kind, int] = {"raw": 4, "rejected": 0}
    writer = Writer(Bucket(s3, "bucket", FakeClock()), PLACE, numbers)

    stored = [part for text in (b"1", b"2") for part in writer.add(Step(chunk=compress([text]), rejected=[b"odd"]))]

    assert writer.flush() == []
    assert [kind for kind, _ in stored] == ["raw", "rejected", "raw", "rejected"]
    assert sorted(s3.objects) == sorted(
        PLACE.part(kind, number, part.sha256) for (kind, part), number in zip(stored, [4, 0, 5, 1], strict=True)
    )
    assert [part.records for _, part in stored] == [1, 1, 1, 1]


def test_what_fills_no_part_is_stored_in_the_end() -> None:
    s3 = MemoryBucket()
    writer = Writer(Bucket(s3, "bucket", FakeClock()), PLACE, {"raw": 0, "rejected": 0})
    assert writer.add(Step(chunk=compress([b"1", b"2"]))) == []
    assert writer.add(Step(chunk=compress([b"3"]))) == []

    ((kind, part),) = writer.flush()

    assert (kind, part.records) == ("raw", 3)
    (body,) = s3.objects.values()
    assert (len(body), gzip.decompress(bytes(body))) == (part.bytes, b"1\n2\n3\n")
