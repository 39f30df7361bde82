"""Records on their way into parts."""

import gzip

from subscribe.storage.parts import PART_BYTES, Chunk, PartWriter, compress


def test_members_that_follow_each_other_are_one_gzip_file() -> None:
    body = compress([b'{"a":1}', b'{"b":2}']).member + compress([]).member + compress([b'{"c":3}']).member

    assert gzip.decompress(body) == b'{"a":1}\n{"b":2}\n{"c":3}\n'


def test_the_same_records_make_the_same_bytes() -> None:
    assert compress([b"{}"] * 100) == compress([b"{}"] * 100)


def test_a_part_is_stored_once_it_is_full() -> None:
    stored: list[tuple[int, int]] = []
    writer = PartWriter(lambda number, _sha256, body: stored.append((number, len(body))), 3)
    half = Chunk(b"x" * (PART_BYTES // 2), 10, {}, [])

    parts = [writer.add(half), writer.add(half), writer.add(half), writer.flush(), writer.flush()]

    assert [None if part is None else part.records for part in parts] == [None, 20, None, 10, None]
    assert stored == [(3, PART_BYTES), (4, PART_BYTES // 2)]
