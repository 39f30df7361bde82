"""The command `list`: one page in the shop's order, or with `--all` every record, each once."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import BinaryIO

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, read_parameters
from lightspeed.cli.output import ProgressLine, open_output, print_note, to_standard_output
from lightspeed.cli.reading import QUOTA_PATIENCE_SECONDS, WholeQuota, in_background
from lightspeed.cli.session import check_all_parents, nothing_matches, open_client, prepare, warn_of_unknown_filters
from lightspeed.clock import SystemClock
from lightspeed.listing.children import DEFAULT_LIMIT
from lightspeed.listing.read_operation import ALL_PARENTS, check_parameters
from lightspeed.listing.reader import CONNECTIONS
from lightspeed.listing.records import Record
from lightspeed.listing.whole_list import WholeList
from lightspeed.request import Parameters


class _ProgressClock(SystemClock):
    """The machine's clock, which shows long waits on the progress line."""

    def __init__(self, progress: ProgressLine) -> None:
        self._progress = progress

    def sleep(self, seconds: float) -> None:
        if seconds > 1:
            self._progress.show_wait(seconds)
        super().sleep(seconds)


def print_page(arguments: argparse.Namespace) -> None:
    """Write one page, in the shop's order."""
    if ALL_PARENTS in read_parameters(arguments).path.values():
        raise CommandError(f"the id {ALL_PARENTS} reads the records of every parent: add --all")
    session = prepare(arguments, "list")
    with open_output(arguments.out) as file, closing(_progress(arguments)) as progress:
        page = session.client.page(session.request)
        _write(file, page.records)
        progress.update(len(page.records), None)
    for reject in page.rejects:
        print_note(f"left out a row that is no record: {reject.reason:.200}")
    asked = str(session.parameters.query.get("limit", DEFAULT_LIMIT))
    if not to_standard_output(arguments.out) and len(page.records) >= int(asked):
        print_note("this is one page; --all reads every record")
    _report(arguments, session.endpoint, session.parameters, len(page.records))


def print_all(arguments: argparse.Namespace) -> None:
    """Write every record, from the last page to the first; print a note if the list is not proved complete.

    With the id `*` for the parent of a nested entity, write the records of every parent. Each then starts with the id
    of its parent.
    """
    endpoint = get_entity(arguments.entity)
    endpoint.operation("list")
    parameters = read_parameters(arguments)
    if "page" in parameters.query:
        raise CommandError("--all reads every page; leave out --query page")
    check_all_parents(endpoint, parameters)
    progress, written = _progress(arguments), 0
    clock = arguments.clock or _ProgressClock(progress)
    client = open_client(arguments, clock, patience_seconds=QUOTA_PATIENCE_SECONDS, threads=CONNECTIONS)
    check_parameters(client, endpoint, parameters)
    warn_of_unknown_filters(endpoint, parameters.query)
    reading = WholeList(client, endpoint, parameters, WholeQuota(client.transport))
    with open_output(arguments.out) as file, closing(progress):
        for page in in_background(reading.pages()):
            rows = _texts(page)
            _write(file, rows)
            written += len(rows)
            progress.update(written, reading.expected)
    if reading.unverified_reason:
        print_note(f"not verified that these are all records: {reading.unverified_reason}")
    _report(arguments, endpoint, parameters, written)


def _report(arguments: argparse.Namespace, endpoint: Endpoint, parameters: Parameters, written: int) -> None:
    """Print a note about an empty list, and how many records went into a file."""
    if not written:
        print_note(nothing_matches(endpoint, parameters.query))
    if not to_standard_output(arguments.out):
        print_note(f"wrote {written:,} record{'' if written == 1 else 's'} to {arguments.out}")


def _texts(records: list[Record]) -> list[bytes]:
    """Return the texts of records; print a note for each row that is no record."""
    for record in records:
        if record.reject_reason:
            print_note(f"left out a row that is no record: {record.reject_reason:.200}")
    return [record.text for record in records if not record.reject_reason]


def _progress(arguments: argparse.Namespace) -> ProgressLine:
    beside_a_file = not to_standard_output(arguments.out) or not sys.stdout.isatty()
    return ProgressLine(sys.stderr, arguments.entity, wanted=beside_a_file and sys.stderr is not None)


def _write(file: BinaryIO, records: list[bytes]) -> None:
    file.writelines(record + b"\n" for record in records)
