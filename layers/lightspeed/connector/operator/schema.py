"""`schema`: describe the stored records of an entity, and what changed in them.

Examples:
  python -m connector schema orders
  python -m connector schema products/images --since 2026-11-01 > images.schema.json
  python -m connector schema orders --drift 2026-11-23 2026-11-24
  python -m connector schema orders --sample

The schema describes what was seen and promises nothing. Each field has its types, the share of records that have it
(x-present), the share of these that say none, with null or false (x-none), and the length of its longest text
(x-longest). Values are shown with --examples only: they may be personal data.

--drift compares the records that were stored through FROM with those that were stored after it, through TO. A field has
vanished if 95 % of at least 500 earlier records have it, and no later record of full runs (at least 200).
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from connector.operator import drift
from connector.operator.lake import Cache, Folder, Run
from connector.operator.parsers import add_command, day
from connector.operator.source import add_source_arguments, open_folder, scope_of, views_named
from connector.operator.stack import CommandError, Stack
from connector.operator.views import view_name
from lightspeed.catalogue.sample_schemas import load_sample_schemas
from lightspeed.cli.output import print_note
from lightspeed.numbers import dumps, loads
from lightspeed.schema import Inference

RECORDS = 20_000
"""How many records are looked at by default, the newest runs first."""

CHANGED = 2
"""Exit status of `--drift --exit-code` if something changed."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "describe the stored records of an entity as JSON Schema"
    parser = add_command(commands, common, "schema", text, __doc__, run)
    parser.add_argument("entity", metavar="ENTITY", help="orders, products/images, …")
    parser.add_argument(
        "--drift", type=day, nargs=2, metavar=("FROM", "TO"), help="show what changed between two days, UTC"
    )
    parser.add_argument("--sample", action="store_true", help="show the shipped schema of the public samples instead")
    parser.add_argument("--exit-code", action="store_true", help=f"with --drift: exit {CHANGED} if something changed")
    parser.add_argument("--examples", action="store_true", help="show a value of each field; it may be personal data")
    parser.add_argument(
        "--records", type=int, default=RECORDS, metavar="N", help=f"records to look at (default: {RECORDS})"
    )
    add_source_arguments(parser)


def run(arguments: argparse.Namespace, stack: Stack) -> int:
    """Run the command."""
    entity = views_named([view_name(arguments.entity)])[0].entity
    if arguments.sample:
        return _sample(entity)
    days = arguments.drift or []
    if days and days[0] >= days[1]:
        raise CommandError(f"--drift FROM TO: {days[1]} is not after {days[0]}")
    if arguments.records < 1:
        raise CommandError("--records must be at least 1")
    folder, scope = open_folder(arguments, stack), scope_of(arguments)
    if isinstance(folder, Cache):
        folder.refresh([entity], scope)
    runs = [run for run in folder.runs(entity, scope) if run.manifest.parts]
    if not runs:
        print_note(f"no finished run of {entity} yet", "connector")
    return _drift(folder, runs, days, arguments) if days else _schema(folder, entity, runs, arguments)


def _sample(entity: str) -> int:
    sample = load_sample_schemas().get(entity)
    if sample is None:
        raise CommandError(f"there is no public sample of {entity}; leave out --sample to describe stored records")
    sys.stdout.write(dumps({"$schema": _DIALECT, "title": entity, **sample}).decode() + "\n")
    return 0


def _schema(folder: Folder, entity: str, runs: list[Run], arguments: argparse.Namespace) -> int:
    inference = _inferred(folder, reversed(runs), arguments.records)
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
    shape = _inferred(folder, reversed(earlier), arguments.records).shape
    if not shape.seen:
        print_note(f"no record was stored through {first}, so there is nothing to compare with", "connector")
        return 0
    before = drift.fields_of(shape)
    known = {path: drift.Field(types=set(found.types)) for path, found in before.items()}
    full, changes = Inference(), []
    for each in later:
        inference = Inference()
        for record in _records(folder, [each], arguments.records):
            inference.add(record)
            if each.manifest.request.get("mode", "full") == "full":
                full.add(record)
        found = drift.fields_of(inference.shape)
        changes += drift.appeared(known, found, each.manifest.run_id, examples=arguments.examples)
    changes += drift.vanished(before, drift.fields_of(full.shape))
    for change in changes:
        sys.stdout.write(dumps(asdict(change)).decode() + "\n")
    counts = f"{len(earlier)} runs through {first}, {len(later)} runs after it through {last}"
    print_note(f"{len(changes)} changes; {counts}", "connector")
    return CHANGED if changes and arguments.exit_code else 0


def _inferred(folder: Folder, runs: Iterable[Run], most: int) -> Inference:
    inference = Inference()
    for record in _records(folder, runs, most):
        inference.add(record)
    return inference


def _records(folder: Folder, runs: Iterable[Run], most: int) -> Iterator[dict[str, Any]]:
    """Yield the records of runs, at most so many."""
    for part in (part for run in runs for part in run.manifest.parts):
        with gzip.open(folder.path(part.key)) as lines:
            for line in itertools.islice(lines, most):
                yield loads(line)
                most -= 1
        if not most:
            return
