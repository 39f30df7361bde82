"""Pieces of a sequence."""

from connector.chunks import batches, chunks


def test_chunks_hold_every_entry_once() -> None:
    assert [list(chunk) for chunk in chunks(list(range(5)), 2)] == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []


def test_batches_keep_the_order_and_both_limits() -> None:
    assert list(batches("abcde", lambda _: 1, most=2, most_bytes=9)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batches(["aaa", "bb", "c", "dddd"], len, most=9, most_bytes=5)) == [["aaa", "bb"], ["c", "dddd"]]
    assert list(batches(["a", "too large", "b"], len, most=9, most_bytes=5)) == [["a"], ["too large"], ["b"]]
    assert list(batches([], len, most=9, most_bytes=5)) == []
