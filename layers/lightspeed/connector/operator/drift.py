"""How records changed: which fields appeared, which vanished, and which have values of another type.

The shop writes `null`, `false` or nothing for "none". All three are one state, so a field that is rare is no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lightspeed.schema import Shape

LEAST_BEFORE, LEAST_AFTER = 500, 200
"""How many records it takes to say that a field vanished."""

LEAST_SHARE = 0.95
"""The share of the earlier records that had it."""


@dataclass(slots=True)
class Field:
    """What was seen of a field.

    Attributes:
        present: How many records or parents had a value that is not none.
        of: How many records or parents there were.
        types: The types of those values; `integer` counts as `number`.
        example: The first value.
    """

    present: int = 0
    of: int = 0
    types: set[str] = field(default_factory=set)
    example: object = None


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between earlier and later records.

    Attributes:
        kind: `new`, `type` or `vanished`.
        path: The field, such as `customer.resource.id`; `*` means any id, `[]` for the members of a list.
        text: What differs.
        run_id: The first run with the difference; empty if there is no such run.
    """

    kind: str
    path: str
    text: str
    run_id: str = ""


def fields_of(shape: Shape) -> dict[str, Field]:
    """Return the fields of some records by their path, at every depth; the path of the record is empty."""
    return dict(_walk(shape, ""))


def appeared(known: dict[str, Field], later: Mapping[str, Field], run_id: str, *, examples: bool) -> list[Change]:
    """Return fields and types that a later run has first, and add them to the known ones.

    Args:
        known: The fields of earlier records; it is changed.
        later: The fields of the run's records.
        run_id: The later run.
        examples: Whether a change repeats a value. It may be personal data.
    """
    changes = []
    for path, found in later.items():
        if not path or not found.types:
            continue
        before = known.setdefault(path, Field())
        added = sorted(found.types - before.types)
        if added:
            example = f", such as {found.example!r:.100}" if examples and found.example is not None else ""
            kind = "type" if before.types else "new"
            was = f"{', '.join(sorted(before.types))} before, now also " if before.types else ""
            changes.append(Change(kind, path, f"{was}{', '.join(added)}{example}", run_id))
            before.types |= found.types
    return changes


def vanished(before: Mapping[str, Field], after: Mapping[str, Field]) -> list[Change]:
    """Return the fields that nearly every earlier record had and no later one has.

    Args:
        before: The fields of earlier records.
        after: The fields of later records, of full runs only: an incremental run says nothing about the rest.
    """
    changes = []
    for path, was in before.items():
        is_now = after.get(path) or Field(of=after[parent].present if (parent := _parent(path)) in after else 0)
        common = was.of >= LEAST_BEFORE and was.present >= was.of * LEAST_SHARE
        if path and common and is_now.of >= LEAST_AFTER and not is_now.present:
            changes.append(Change("vanished", path, f"in {was.present} of {was.of} records, now in 0 of {is_now.of}"))
    return changes


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _walk(shape: Shape, path: str) -> Iterator[tuple[str, Field]]:
    types = {"number" if kind == "integer" else kind for kind, count in shape.types.items() if count}
    types -= {"null"}
    if shape.types["boolean"] == shape.false:
        types.discard("boolean")
    yield path, Field(shape.seen - shape.nones, shape.seen, types, shape.example)
    parents = shape.types["object"]
    for name, inside in shape.fields.items():
        for found_path, found in _walk(inside, f"{path}.{name}" if path else name):
            if found_path == (f"{path}.{name}" if path else name):
                found.of = parents
            yield found_path, found
    for mark, inside_all in ((".*", shape.by_id), ("[]", shape.items)):
        if inside_all is not None:
            yield from _walk(inside_all, f"{path}{mark}")
