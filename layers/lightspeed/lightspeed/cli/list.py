"""The command `list`: a page as the shop gives it, or with `--all` the whole list, complete and each record once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from queue import Queue
from threading import Thread
from typing import BinaryIO, TypeVar

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, read_parameters
from lightspeed.cli.output import ProgressLine, open_output, print_note, to_standard_output
from lightspeed.cli.session import check_all_parents, nothing_matches, open_client, prepare, warn_of_unknown_filters
from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.children import DEFAULT_LIMIT
from lightspeed.listing.read_operation import ALL_PARENTS, check_parameters
from lightspeed.listing.reader import CONNECTIONS
from lightspeed.listing.records import Record
from lightspeed.listing.whole_list import WholeList
from lightspeed.quota import SystemClock
from lightspeed.request import Parameters
from lightspeed.transport import Transport

PATIENCE_SECONDS = 330.0
"""A whole list waits out the shortest quota window, five minutes, but no longer one."""

_PAGE_AND_COUNT = 2

_Found = TypeVar("_Found")


class _ShownWaits(SystemClock):
    """The machine's clock, which shows on the progress line that it waits."""

    def __init__(self, progress: ProgressLine) -> None:
        self._progress = progress

    def sleep(self, seconds: float) -> None:
        if seconds > 1:
            self._progress.waiting(seconds)
        super().sleep(seconds)


class WholeQuota:
    """A request budget that uses the whole quota, and waits for more of it if that comes soon."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def room(self) -> int:
        """Return how many requests may be sent now; where the wait is too long, the shop answers 429."""
        quota = self._transport.quota
        wait = 0 if quota is None else quota.wait_seconds(needed=_PAGE_AND_COUNT)
        if not wait:
            return self.left()
        if wait <= PATIENCE_SECONDS:
            self._transport.clock.sleep(wait)
        return _PAGE_AND_COUNT

    def left(self) -> int:
        """Return how many requests the shop's last answer leaves room for."""
        quota = self._transport.quota
        return UNBOUNDED if quota is None else quota.room()

    def record_latency(self, seconds: float) -> None:
        """Ignore how long a page took; no time bounds a command."""


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
    """Write every record, page by page from the last to the first; say so if that all are there cannot be shown.

    With the id `*` for the parent of a nested entity, the records of every parent are written. Each then starts with
    the id of its parent.
    """
    endpoint = get_entity(arguments.entity)
    endpoint.operation("list")
    parameters = read_parameters(arguments)
    if "page" in parameters.query:
        raise CommandError("--all reads every page; leave out --query page")
    check_all_parents(endpoint, parameters)
    progress, written = _progress(arguments), 0
    clock = arguments.clock or _ShownWaits(progress)
    client = open_client(arguments, clock, patience_seconds=PATIENCE_SECONDS, threads=CONNECTIONS)
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
    """Say how many records went into a file, and if there were none."""
    if not written:
        print_note(nothing_matches(endpoint, parameters.query))
    if not to_standard_output(arguments.out):
        print_note(f"wrote {written:,} record{'' if written == 1 else 's'} to {arguments.out}")


def in_background(pages: Iterator[_Found]) -> Iterator[_Found]:
    """Yield what another thread reads, so that Ctrl-C ends this one at once and not after the pages under way."""
    read: Queue[_Found | BaseException | None] = Queue(maxsize=1)

    def fill() -> None:
        try:
            for page in pages:
                read.put(page)
        except BaseException as error:  # for the thread that reads this one's queue
            read.put(error)
        else:
            read.put(None)

    Thread(target=fill, daemon=True).start()
    while (found := read.get()) is not None:
        if isinstance(found, BaseException):
            raise found
        yield found


def _texts(records: list[Record]) -> list[bytes]:
    """Return the texts of records; say which rows are none."""
    for record in records:
        if record.reject_reason:
            print_note(f"left out a row that is no record: {record.reject_reason:.200}")
    return [record.text for record in records if not record.reject_reason]


def _progress(arguments: argparse.Namespace) -> ProgressLine:
    beside_a_file = not to_standard_output(arguments.out) or not sys.stdout.isatty()
    return ProgressLine(sys.stderr, arguments.entity, wanted=beside_a_file and sys.stderr is not None)


def _write(file: BinaryIO, records: list[bytes]) -> None:
    file.writelines(record + b"\n" for record in records)
