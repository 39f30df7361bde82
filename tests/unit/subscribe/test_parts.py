"""Records are joined to parts."""

import gzip
import subprocess
from pathlib import Path

import duckdb

from subscribe.storage.parts import PART_BYTES, Chunk, PartBuffer, compress


def test_members_that_follow_each_other_are_one_gzip_file() -> None:
    body = compress([b'{"a":1}', b'{"b":2}']).member + compress([]).member + compress([b'{"c":3}']).member

    assert gzip.decompress(body) == b'{"a":1}\n{"b":2}\n{"c":3}\n'


def test_gzip_and_duckdb_read_members_that_follow_each_other(tmp_path: Path) -> None:
    lines = [b'{"id":%d}' % number for number in range(1000)]
    part = tmp_path / "part-0.jsonl.gz"
    part.write_bytes(compress(lines[:400]).member + compress(lines[400:], level=9).member)

    unpacked = subprocess.run(["gzip", "-dc", part], capture_output=True, check=True).stdout  # noqa: S603, S607
    [row] = duckdb.connect().execute("SELECT count(*), sum(id) FROM read_json(?)", [str(part)]).fetchall()

    assert unpacked.splitlines() == lines
    assert row == (1000, 499_500)


def test_the_same_records_make_the_same_bytes() -> None:
    assert compress([b"{}"] * 100) == compress([b"{}"] * 100)


def test_a_part_is_full_at_its_size_and_the_rest_is_left_for_the_next() -> None:
    buffer = PartBuffer()
    half = Chunk(b"x" * (PART_BYTES // 2), 10)

    parts = [buffer.add(half), buffer.add(half), buffer.add(half), buffer.flush(), buffer.flush()]

    assert [None if full is None else (full.part.records, len(full.body)) for full in parts] == [
        None,
        (20, PART_BYTES),
        None,
        (10, PART_BYTES // 2),
        None,
    ]
