"""The index of ids: its content in any order of additions, its stored form, and its memory."""

from __future__ import annotations

import random
import tracemalloc
from array import array

import pytest

from connector.aws.bucket import Bucket, PreconditionFailed
from connector.errors import RequestError
from connector.timestamps import iso_text
from subscribe.reconcile.id_index import Id, IdSet, Index, IndexHead, IndexStore, canonical_id, epoch
from tests.property.bucket import MemoryBucket
from tests.support.clock import FakeClock

DAY = 86_400
MONDAY = epoch("2026-11-23T06:00:00Z")


def ids(*of: Id) -> IdSet:
    return IdSet(of)


def stored(bucket: MemoryBucket, entity: str = "reviews") -> IndexStore:
    return IndexStore(Bucket(bucket, "bucket", FakeClock()), "default", "mine", entity)


def test_what_is_missing_comes_in_order_with_the_time_it_was_last_seen() -> None:
    index = Index(IndexHead("reviews"))
    index.update({7: MONDAY, 3: MONDAY + DAY, "b": MONDAY, "a": MONDAY, 5: MONDAY}, {})

    assert list(index.missing(ids(5, "b"), MONDAY + DAY)) == [(3, MONDAY + DAY), (7, MONDAY), ("a", MONDAY)]
    assert list(index.missing(ids(), MONDAY)) == [(5, MONDAY), (7, MONDAY), ("a", MONDAY), ("b", MONDAY)]


def test_an_id_is_alive_as_long_as_it_was_seen_after_its_tombstone() -> None:
    index = Index(IndexHead("reviews"))
    index.update({7: MONDAY, "x": MONDAY}, {7: MONDAY + 5, "x": MONDAY + 5})
    assert index.count_alive(MONDAY + DAY) == 0

    index.update({7: MONDAY + 5, "x": MONDAY + 5}, {})
    assert index.count_alive(MONDAY + DAY) == 0

    index.update({7: MONDAY + 6, "x": MONDAY + 6}, {})
    assert index.count_alive(MONDAY + DAY) == 2


def test_times_may_be_added_in_any_order_and_more_than_once() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        names: list[Id] = [*range(20), *map(str, range(20, 25))]
        told = [(rng.choice(names), rng.randrange(1, 50), rng.random() < 0.4) for _ in range(60)]
        bodies = set()
        for _ in range(4):
            rng.shuffle(told)
            index = Index(IndexHead("reviews"))
            for identity, at, deleted in told + rng.choices(told, k=10):
                seen = {identity: MONDAY + at}
                index.update(*(({}, seen) if deleted else (seen, {})))
            bodies.add(index.encode())
        assert len(bodies) == 1, seed


def test_an_id_that_stands_in_the_list_again_stays_deleted() -> None:
    index = Index(IndexHead("reviews"))
    index.update({1: MONDAY, 2: MONDAY, "x": MONDAY, "y": MONDAY}, {2: MONDAY + 1, "y": MONDAY + 1})

    assert index.mark_seen(ids(1, 2, 3, "x", "y", "z"), MONDAY + DAY) == 2
    assert list(index.missing(ids(), MONDAY + DAY)) == [(1, MONDAY + DAY), ("x", MONDAY + DAY)]


def test_it_is_stored_and_loaded_as_it_was() -> None:
    bucket = MemoryBucket()
    store = stored(bucket)
    index = store.load()
    index.update({i: MONDAY + i // 7_000 for i in range(0, 50_000, 2)} | {"a": MONDAY}, {4: MONDAY + DAY})
    index.head.recent = {"key": MONDAY}
    store.save(index)
    store.save(index)

    again = stored(bucket).load()

    assert again.encode() == index.encode()
    assert again.head == index.head
    assert list(again.missing(ids(*range(2, 50_000)), MONDAY + DAY)) == [(0, MONDAY), ("a", MONDAY)]


def test_it_is_written_only_over_what_was_read() -> None:
    bucket = MemoryBucket()
    first, second = stored(bucket), stored(bucket)
    index = first.load()
    second.load()
    first.save(index)

    with pytest.raises(PreconditionFailed):
        second.save(Index(IndexHead("reviews", until=4)))
    second.save(index)  # the same content: an answer that was lost looks like this
    second.load()
    second.save(Index(IndexHead("reviews", until=5)))
    with pytest.raises(PreconditionFailed):
        first.save(index)


def test_an_index_of_another_version_is_refused() -> None:
    bucket = MemoryBucket()
    store = stored(bucket)
    store.load()
    store.save(Index(IndexHead("reviews", version=2)))

    with pytest.raises(RequestError, match=r"mine\.ids\.jsonl\.gz has version 2, this is version 1"):
        store.load()


@pytest.mark.parametrize(
    ("given", "indexed"), [(7, 7), ("7", "7"), ("a", "a"), (-7, "-7"), (1 << 64, str(1 << 64)), (0, 0)]
)
def test_what_is_no_ordinary_whole_number_is_text(given: Id, indexed: Id) -> None:
    assert canonical_id(given) == indexed


def test_ids_that_come_in_any_order_are_found_between_two_others() -> None:
    numbers = list(range(0, 200_000, 2))
    random.Random(1).shuffle(numbers)
    present = ids(*numbers)

    assert present.between(3, 11) == {4, 6, 8, 10}
    assert present.between(4, 10) == {4, 6, 8, 10}
    assert present.sample() == [199_998, 100_000, 0]
    assert ids().sample() == []
    assert ids("b", "a").sample() == ["a", "b"]


def test_times_are_whole_seconds_of_utc() -> None:
    assert iso_text(MONDAY) == "2026-11-23T06:00:00Z"
    assert epoch("2026-11-23T07:00:00.9+01:00") == MONDAY


def test_an_id_takes_16_bytes_of_memory_and_at_most_90_while_it_is_loaded_compared_and_stored() -> None:
    count = 40_000
    index = Index(IndexHead("reviews"))
    index.update(dict.fromkeys(range(0, 3 * count, 3), MONDAY), {})
    body = index.encode()
    bucket = MemoryBucket()
    bucket.objects["state/connection=default/mine.ids.jsonl.gz"] = body
    listed = array("Q", range(3 * count, 0, -3))
    tracemalloc.start()
    try:
        loaded = stored(bucket).load()
        held = tracemalloc.get_traced_memory()[0]
        present = IdSet(listed)
        gone = sum(1 for _ in loaded.missing(present, MONDAY))
        loaded.mark_seen(present, MONDAY + 1)
        loaded.encode()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert gone == 1
    assert 16 * count <= held < 17 * count
    assert peak < 90 * count
