"""`schema`: describe the stored records of an entity, and what changed in them.

Examples:
  python -m connector schema orders
  python -m connector schema products/images --since 2026-11-01 > images.schema.json
  python -m connector schema orders --drift 2026-11-23 2026-11-24
  python -m connector schema orders --sample

The schema describes what was seen and promises nothing. Each field has its types and the share of records that have
it (x-present). Of these, x-none is the share that says none, with null or false. x-longest is the length of the longest
text. Values are shown with --examples only: they may be personal data.

--drift compares the records that were stored through FROM with those that were stored after it, through TO. A field has
vanished if 95 % of at least 500 earlier records have it, and no later record of full runs (at least 200). The shop
writes null, false or nothing for "none". All three are one state, so a field that is rare is no change.
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
"""How many records are looked at, the newest runs first."""

CHANGED = 2
"""Exit status of `--drift --exit-code` if something changed."""

LEAST_BEFORE, LEAST_AFTER = 500, 200
"""How many records it takes to say that a field vanished."""

LEAST_SHARE = 0.95
"""The share of the earlier records that had it."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


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


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "describe the stored records of an entity as JSON Schema"
    parser = add_command(commands, common, "schema", text, __doc__, _run)
    parser.add_argument("entity", metavar="ENTITY", help="orders, products/images, …")
    parser.add_argument(
        "--drift", type=day, nargs=2, metavar=("FROM", "TO"), help="show what changed between two days, UTC"
    )
    parser.add_argument("--sample", action="store_true", help="show the shipped schema of the public samples instead")
    parser.add_argument("--exit-code", action="store_true", help=f"with --drift: exit {CHANGED} if something changed")
    parser.add_argument("--examples", action="store_true", help="show a value of each field; it may be personal data")
    add_source_arguments(parser)


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    entity = views_named([arguments.entity])[0].entity
    if arguments.sample:
        return _sample(entity)
    days = arguments.drift or []
    if days and days[0] >= days[1]:
        raise CommandError(f"--drift FROM TO: {days[1]} is not after {days[0]}")
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
    inference = _inferred(folder, reversed(runs))
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
    shape = _inferred(folder, reversed(earlier)).shape
    if not shape.seen:
        print_note(f"no record was stored through {first}, so there is nothing to compare with", "connector")
        return 0
    before = dict(_walk(shape))
    known = {path: set(found.types) for path, found in before.items()}
    full, changes = Inference(), []
    for each in later:
        inference = Inference()
        for record in _records(folder, [each]):
            inference.add(record)
            if each.manifest.request.get("mode", "full") == "full":
                full.add(record)
        for change in _appeared(known, _walk(inference.shape), examples=arguments.examples):
            changes.append({**change, "run_id": each.manifest.run_id})
    changes += _vanished(before, dict(_walk(full.shape)))
    for change in changes:
        sys.stdout.write(dumps(change).decode() + "\n")
    counts = f"{len(earlier)} runs through {first}, {len(later)} runs after it through {last}"
    print_note(f"{len(changes)} changes; {counts}", "connector")
    return CHANGED if changes and arguments.exit_code else 0


def _inferred(folder: Folder, runs: Iterable[Run]) -> Inference:
    inference = Inference()
    for record in _records(folder, runs):
        inference.add(record)
    return inference


def _records(folder: Folder, runs: Iterable[Run]) -> Iterator[dict[str, Any]]:
    """Yield the records of runs, at most `RECORDS`."""
    most = RECORDS
    for part in (part for run in runs for part in run.manifest.parts):
        with gzip.open(folder.path(part.key)) as lines:
            for line in itertools.islice(lines, most):
                yield loads(line)
                most -= 1
        if not most:
            return


def _appeared(
    known: dict[str, set[str]], later: Iterable[tuple[str, Field]], *, examples: bool
) -> Iterator[dict[str, str]]:
    """Yield fields and types that a later run has first, and add them to the known ones.

    Args:
        known: The types of earlier records, by path; it is changed.
        later: The fields of the run's records by their path.
        examples: Whether a change repeats a value. It may be personal data.
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
    """Yield the fields that nearly every earlier record had and no later one has.

    Args:
        before: The fields of earlier records.
        after: The fields of later records, of full runs only: an incremental run says nothing about the rest.
    """
    for path, was in before.items():
        parent = after.get(path.rpartition(".")[0])
        is_now = after.get(path) or Field(of=parent.present if parent is not None else 0)
        common = was.of >= LEAST_BEFORE and was.present >= was.of * LEAST_SHARE
        if path and common and is_now.of >= LEAST_AFTER and not is_now.present:
            text = f"in {was.present} of {was.of} records, now in 0 of {is_now.of}"
            yield {"kind": "vanished", "path": path, "text": text, "run_id": ""}


def _walk(shape: Shape, path: str = "", of: int | None = None) -> Iterator[tuple[str, Field]]:
    """Yield the fields of some records with their path, at every depth; the path of the record is empty.

    Args:
        shape: Of the records, or of a field.
        path: Of the field, such as `customer.resource.id`; `*` means any id, `[]` the members of a list.
        of: How many parents the field has; as many as it was seen in if that is not given.
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
