"""The index of a reconciled entity: every stored id, when it was last seen, and when it was last found deleted.

An id is alive if it was seen after it was last found deleted. Both times only grow, so records and tombstones may be
added in any order and more than once: a killed run adds them again.

Memory holds a million ids in plain arrays, 16 bytes each. The bucket holds gzip JSON Lines: a head, then the ids in
rising order. Ids with the same times share a line.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge

import msgspec
from zlib_ng import gzip_ng, zlib_ng

from connector.aws.bucket import Bucket
from connector.errors import RequestError
from connector.storage_keys import ids_key
from connector.timestamps import iso_text
from lightspeed.request import parse_time

VERSION = 1

Id = int | str
"""As the shop writes it: a whole number, or text."""

_LINE_IDS = 10_000
_SORTED_AT_ONCE = 65_536
_MAX_NUMBER = (1 << 64) - 1
_LEVEL, _GZIP = 2, 31


class IndexHead(msgspec.Struct):
    """The first line of a stored index.

    Attributes:
        until: Epoch seconds; the index includes manifests written up to here.
        recent: Epoch seconds by key of included manifests that were written shortly before `until`.
        without_ids: Number of records without a usable id, by run. Their deletion cannot be found.
    """

    entity: str
    version: int = VERSION
    until: int = 0
    recent: dict[str, int] = {}
    without_ids: dict[str, int] = {}


class _Line(msgspec.Struct, omit_defaults=True):
    last_seen: str
    ids: list[Id]
    deleted: str | None = None


def epoch(text: str) -> int:
    """Return ISO-8601 as epoch seconds."""
    return int(parse_time(text).timestamp())


def sort_key(identity: Id) -> tuple[bool, Id]:
    """Return the sort key of an id: numbers come before texts."""
    return isinstance(identity, str), identity


def canonical_id(identity: Id) -> Id:
    """Return an id in the form of the index: a whole number of up to 64 bits, else a text."""
    return identity if isinstance(identity, int) and 0 <= identity <= _MAX_NUMBER else str(identity)


def lines_of(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield the lines of a gzip object."""
    with gzip_ng.open(io.BytesIO(body)) as lines:  # type: ignore[no-untyped-call]
        yield from lines


class IdSet:
    """The ids of a list, to look them up."""

    def __init__(self, ids: Iterable[Id] = ()) -> None:
        numbers, self.texts = array("Q"), set[str]()
        for identity in map(canonical_id, ids):
            if isinstance(identity, int):
                numbers.append(identity)
            else:
                self.texts.add(identity)
        # sorted in pieces: all of them as Python numbers would take four times the memory
        starts = range(0, len(numbers), _SORTED_AT_ONCE)
        pieces = [array("Q", sorted(numbers[start : start + _SORTED_AT_ONCE])) for start in starts]
        self.numbers = array("Q", merge(*pieces)) if len(pieces) > 1 else pieces[0] if pieces else numbers

    def __len__(self) -> int:
        return len(self.numbers) + len(self.texts)

    def between(self, low: int, high: int) -> frozenset[int]:
        """Return the numbers from `low` to `high`, both included."""
        return frozenset(self.numbers[bisect_left(self.numbers, low) : bisect_right(self.numbers, high)])

    def sample(self) -> list[Id]:
        """Return up to three numbers: the greatest, the middle and the least; without numbers, up to three texts."""
        numbers: list[Id] = [self.numbers[i] for i in (-1, len(self.numbers) // 2, 0)] if self.numbers else []
        return list(dict.fromkeys(numbers)) or list(sorted(self.texts)[:3])


class Index:
    """Ids and their times, in memory."""

    def __init__(self, head: IndexHead) -> None:
        self.head = head
        self._ids = array("Q")
        self._seen = array("I")
        self._deleted = array("I")
        self._texts: dict[str, tuple[int, int]] = {}

    def update(self, seen: Mapping[Id, int], deleted: Mapping[Id, int]) -> None:
        """Add times, epoch seconds, at which ids were seen or found deleted."""
        new_numbers = []
        for identity in seen.keys() | deleted.keys():
            times = seen.get(identity, 0), deleted.get(identity, 0)
            if isinstance(identity, str):
                known = self._texts.get(identity, (0, 0))
                self._texts[identity] = max(known[0], times[0]), max(known[1], times[1])
                continue
            at = bisect_left(self._ids, identity)
            if at < len(self._ids) and self._ids[at] == identity:
                self._seen[at] = max(self._seen[at], times[0])
                self._deleted[at] = max(self._deleted[at], times[1])
            else:
                new_numbers.append(identity)
        self._insert(sorted(new_numbers), seen, deleted)

    def count_alive(self, until: int) -> int:
        """Return how many ids are alive and were last seen at `until` (epoch seconds) or before."""
        numbers = sum(deleted < seen <= until for seen, deleted in zip(self._seen, self._deleted, strict=True))
        return numbers + sum(deleted < seen <= until for seen, deleted in self._texts.values())

    def missing(self, present: IdSet, until: int) -> Iterator[tuple[Id, int]]:
        """Yield the ids that `count_alive` counts and the list lacks, in order, each with the time it was last seen."""
        for start in range(0, len(self._ids), _LINE_IDS):
            block = self._ids[start : start + _LINE_IDS]
            listed = present.between(block[0], block[-1])
            for at, identity in enumerate(block, start):
                if identity not in listed and self._deleted[at] < self._seen[at] <= until:
                    yield identity, self._seen[at]
        for text in sorted(self._texts):
            seen, deleted = self._texts[text]
            if text not in present.texts and deleted < seen <= until:
                yield text, seen

    def known(self, ids: Iterable[Id], until: int) -> Iterator[tuple[Id, int]]:
        """Yield those of the given ids that `count_alive` counts, in order, each with the time it was last seen."""
        for identity in sorted(map(canonical_id, ids), key=sort_key):
            if isinstance(identity, str):
                seen, deleted = self._texts.get(identity, (0, 0))
            else:
                at = bisect_left(self._ids, identity)
                is_known = at < len(self._ids) and self._ids[at] == identity
                seen, deleted = (self._seen[at], self._deleted[at]) if is_known else (0, 0)
            if deleted < seen <= until:
                yield identity, seen

    def mark_seen(self, present: IdSet, moment: int) -> int:
        """Set when the ids of a list were last seen; return how many of them were found deleted before.

        Those stay deleted until a run stores them again.
        """
        again = 0
        for start in range(0, len(self._ids), _LINE_IDS):
            block = self._ids[start : start + _LINE_IDS]
            listed = present.between(block[0], block[-1])
            for at, identity in enumerate(block, start):
                if identity in listed:
                    if self._deleted[at] >= self._seen[at]:
                        again += 1
                    elif self._seen[at] < moment:
                        self._seen[at] = moment
        for text in present.texts & self._texts.keys():
            seen, deleted = self._texts[text]
            again += deleted >= seen
            self._texts[text] = seen if deleted >= seen else max(seen, moment), deleted
        return again

    def encode(self) -> bytes:
        """Return the stored form, gzip JSON Lines."""
        packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _GZIP)
        body = bytearray(packer.compress(msgspec.json.encode(self.head) + b"\n"))
        for line in self._lines():
            body += packer.compress(msgspec.json.encode(line) + b"\n")
        return bytes(body + packer.flush())

    def decode(self, lines: Iterable[bytes]) -> None:
        """Add the lines that follow the head."""
        for text in lines:
            line = msgspec.json.decode(text, type=_Line)
            seen, deleted = epoch(line.last_seen), epoch(line.deleted) if line.deleted else 0
            if line.ids and isinstance(line.ids[0], int):
                self._ids.extend(identity for identity in line.ids if isinstance(identity, int))
                self._seen.extend([seen] * len(line.ids))
                self._deleted.extend([deleted] * len(line.ids))
            else:
                self._texts |= {str(identity): (seen, deleted) for identity in line.ids}

    def _insert(self, numbers: list[int], seen: Mapping[Id, int], deleted: Mapping[Id, int]) -> None:
        if not numbers:
            return
        old = self._ids, self._seen, self._deleted
        new = array("Q"), array("I"), array("I")
        done = 0
        for identity in numbers:
            at = bisect_left(old[0], identity, done)
            if at > done:
                for target, source in zip(new, old, strict=True):
                    target.extend(source[done:at])
                done = at
            new[0].append(identity)
            new[1].append(seen.get(identity, 0))
            new[2].append(deleted.get(identity, 0))
        for target, source in zip(new, old, strict=True):
            target.extend(source[done:])
        self._ids, self._seen, self._deleted = new

    def _lines(self) -> Iterator[_Line]:
        start, total = 0, len(self._ids)
        while start < total:
            times = seen, deleted = self._seen[start], self._deleted[start]
            end = start + 1
            while end < min(total, start + _LINE_IDS) and (self._seen[end], self._deleted[end]) == times:
                end += 1
            yield _Line(iso_text(seen), list(self._ids[start:end]), iso_text(deleted) if deleted else None)
            start = end
        for text, (seen, deleted) in sorted(self._texts.items()):
            yield _Line(iso_text(seen), [text], iso_text(deleted) if deleted else None)


class IndexStore:
    """The index of one subscription in the bucket."""

    def __init__(self, bucket: Bucket, connection: str, subscription: str, entity: str) -> None:
        self.key = ids_key(connection, subscription)
        self._bucket = bucket
        self._subscription = subscription
        self._entity = entity
        self._etag = ""

    def load(self) -> Index:
        """Return the index; an empty one if none is stored.

        Raises:
            RequestError: It belongs to another entity, or has another version.
        """
        found = self._bucket.read(self.key)
        if found is None:
            self._etag = ""
            return Index(IndexHead(self._entity))
        body, self._etag, _ = found
        lines = lines_of(body)
        index = Index(msgspec.json.decode(next(lines), type=IndexHead))
        if index.head.entity != self._entity:
            other = f"subscription {self._subscription!r} is reconciled for {index.head.entity}; name another one"
            raise RequestError([other])
        if index.head.version != VERSION:
            raise RequestError([f"{self.key} has version {index.head.version}, this is version {VERSION}"])
        index.decode(lines)
        return index

    def save(self, index: Index) -> None:
        """Write the index over the one that was loaded.

        Raises:
            PreconditionFailed: Another run has written it since.
        """
        self._etag = self._bucket.put(self.key, index.encode(), if_match=self._etag)
