"""`schema`: describe the stored records of an entity, and what changed in them.

Examples:
  python -m connector schema orders
  python -m connector schema products/images --since 2026-11-01 > images.schema.json
  python -m connector schema orders --drift 2026-11-23 2026-11-24
  python -m connector schema orders --sample

The schema describes the newest 20,000 records and promises nothing for others. Each field has its types, and
x-present: the share of records that have it. x-none is the share of these whose value is null or false. x-longest is
the length of the longest text. Only --examples prints values, because they may be personal data.

--drift compares the records that were stored up to the day FROM with those that were stored later, up to the day TO.
It shows new fields, new types, and fields that vanished: 95 % of at least 500 earlier records have the field, and none
of at least 200 later records of full runs has it. The shop writes null, false or nothing for "none". --drift treats
the three as equal.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.operator.data.lake import Folder, Run
from connector.operator.data.source import add_source_arguments, no_run, open_folder
from connector.operator.data.views import views_named
from connector.operator.parsers import add_command, day
from connector.operator.stack import CommandError, Stack
from lightspeed.catalogue.sample_schemas import load_sample_schemas
from lightspeed.cli.output import print_note
from lightspeed.numbers import dumps, loads
from lightspeed.schema import Inference, Shape

RECORDS = 20_000
"""The most records that a schema describes, those of the newest runs first."""

CHANGED = 2
"""Exit status of `--drift --exit-code` if something changed."""

LEAST_BEFORE, LEAST_AFTER = 500, 200
"""The fewest earlier and later records that prove that a field vanished."""

LEAST_SHARE = 0.95
"""The share of earlier records that must have a field, so that its absence later counts."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(slots=True)
class Field:
    """A field in some records. A nested field counts the objects that contain it instead of records.

    Attributes:
        present: The number of records with a value that is not none.
        of: The number of records.
        types: The types of these values; `integer` counts as `number`.
        example: The first value.
    """

    present: int = 0
    of: int = 0
    types: set[str] = field(default_factory=set)
    example: object = None


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "describe the stored records of an entity as JSON Schema"
    parser = add_command(commands, common, "schema", text, __doc__, _run)
    parser.add_argument("entity", metavar="ENTITY", help="orders, products/images, …")
    parser.add_argument(
        "--drift",
        type=day,
        nargs=2,
        metavar=("FROM", "TO"),
        help="show what changed in the records between two days, UTC",
    )
    parser.add_argument("--sample", action="store_true", help="print the shipped schema of the public samples")
    parser.add_argument(
        "--exit-code", action="store_true", help=f"with --drift: exit with {CHANGED} if something changed"
    )
    parser.add_argument("--examples", action="store_true", help="show a value of each field; it may be personal data")
    add_source_arguments(parser)


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    entity = views_named([arguments.entity])[0].entity
    if arguments.sample:
        return _sample(entity)
    days = arguments.drift or []
    if days and days[0] >= days[1]:
        raise CommandError(f"--drift FROM TO: TO must be after FROM, but {days[1]} is not after {days[0]}")
    folder, run_filter = open_folder(arguments, stack, [entity])
    runs = [run for run in folder.runs(entity, run_filter) if run.manifest.parts]
    if not runs:
        print_note(no_run(entity, run_filter), "connector")
    return _drift(folder, runs, days, arguments) if days else _schema(folder, entity, runs, arguments)


def _sample(entity: str) -> int:
    sample = load_sample_schemas().get(entity)
    if sample is None:
        raise CommandError(f"there is no public sample of {entity}; leave out --sample to describe stored records")
    sys.stdout.write(dumps({"$schema": _DIALECT, "title": entity, **sample}).decode() + "\n")
    return 0


def _schema(folder: Folder, entity: str, runs: list[Run], arguments: argparse.Namespace) -> int:
    inference = _infer(folder, reversed(runs))
    schema = {
        "$schema": _DIALECT,
        "title": entity,
        "x-records": inference.shape.seen,
        **inference.schema(shares=True, examples=arguments.examples),
    }
    sys.stdout.write(dumps(schema).decode() + "\n")
    return 0


def _drift(folder: Folder, runs: list[Run], days: list[str], arguments: argparse.Namespace) -> int:
    first, last = days
    earlier = [run for run in runs if run.date <= first]
    later = [run for run in runs if first < run.date <= last]
    shape = _infer(folder, reversed(earlier)).shape
    if not shape.seen:
        print_note(f"there is nothing to compare: no record was stored up to {first}", "connector")
        return 0
    before = dict(_walk(shape))
    known = {path: set(found.types) for path, found in before.items()}
    full, changes = Inference(), []
    for run in later:
        inference = Inference()
        for record in _records(folder, [run]):
            inference.add(record)
            if run.manifest.request.get("mode", "full") == "full":
                full.add(record)
        for change in _added(known, _walk(inference.shape), examples=arguments.examples):
            changes.append({**change, "run_id": run.manifest.run_id})
    changes += _vanished(before, dict(_walk(full.shape)))
    for change in changes:
        sys.stdout.write(dumps(change).decode() + "\n")
    counts = f"{len(earlier)} runs up to {first}, {len(later)} later runs up to {last}"
    print_note(f"{len(changes)} changes; {counts}", "connector")
    return CHANGED if changes and arguments.exit_code else 0


def _infer(folder: Folder, runs: Iterable[Run]) -> Inference:
    inference = Inference()
    for record in _records(folder, runs):
        inference.add(record)
    return inference


def _records(folder: Folder, runs: Iterable[Run]) -> Iterator[dict[str, Any]]:
    """Yield the records of runs, at most `RECORDS`."""
    room = RECORDS
    for part in (part for run in runs for part in run.manifest.parts):
        with gzip.open(folder.path(part.key)) as lines:
            for line in itertools.islice(lines, room):
                yield loads(line)
                room -= 1
        if not room:
            return


def _added(
    known: dict[str, set[str]], later: Iterable[tuple[str, Field]], *, examples: bool
) -> Iterator[dict[str, str]]:
    """Yield the fields and types of a run that no earlier record has, and add them to `known`.

    Args:
        known: The types of earlier records by path; updated.
        later: The fields of the run's records by path.
        examples: Whether a change shows a value, which may be personal data.
    """
    for path, found in later:
        before = known.setdefault(path, set())
        added = sorted(found.types - before)
        if path and added:
            example = f", such as {found.example!r:.100}" if examples and found.example is not None else ""
            was = f"{', '.join(sorted(before))} before, now also " if before else ""
            yield {"kind": "type" if before else "new", "path": path, "text": f"{was}{', '.join(added)}{example}"}
            before |= found.types


def _vanished(before: Mapping[str, Field], after: Mapping[str, Field]) -> Iterator[dict[str, str]]:
    """Yield the fields that nearly every earlier record has and no later record has.

    Args:
        before: The fields of earlier records.
        after: The fields of later records of full runs. An incremental run shows changed records only.
    """
    for path, earlier in before.items():
        parent = after.get(path.rpartition(".")[0])
        later = after.get(path) or Field(of=parent.present if parent is not None else 0)
        common = earlier.of >= LEAST_BEFORE and earlier.present >= earlier.of * LEAST_SHARE
        if path and common and later.of >= LEAST_AFTER and not later.present:
            text = f"in {earlier.present} of {earlier.of} records, now in 0 of {later.of}"
            yield {"kind": "vanished", "path": path, "text": text, "run_id": ""}


def _walk(shape: Shape, path: str = "", of: int | None = None) -> Iterator[tuple[str, Field]]:
    """Yield path and field at every depth of a shape. The path of a record itself is empty.

    Args:
        shape: The shape of some records, or of a field.
        path: The path of the field, such as `customer.resource.id`. `*` stands for any id, `[]` for members of a list.
        of: The number of objects that contain the field; by default, the number of times that the shape was seen.
    """
    types = {"number" if kind == "integer" else kind for kind, count in shape.types.items() if count} - {"null"}
    if shape.types["boolean"] == shape.false:
        types.discard("boolean")
    yield path, Field(shape.seen - shape.nones, shape.seen if of is None else of, types, shape.example)
    for name, inside in shape.fields.items():
        yield from _walk(inside, f"{path}.{name}" if path else name, shape.types["object"])
    for mark, inside_all in ((".*", shape.by_id), ("[]", shape.items)):
        if inside_all is not None:
            yield from _walk(inside_all, f"{path}{mark}")
