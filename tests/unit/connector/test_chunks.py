"""Pieces of a sequence."""

from connector.chunks import chunks


def test_chunks_hold_every_entry_once() -> None:
    assert [list(chunk) for chunk in chunks(list(range(5)), 2)] == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []
