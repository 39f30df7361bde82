"""The command `list`: a page as the shop gives it, or with `--all` the whole list, complete and each record once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from queue import Queue
from threading import Thread
from typing import BinaryIO

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, read_parameters
from lightspeed.cli.output import ProgressLine, note, open_output, to_standard_output
from lightspeed.cli.session import open_client, prepare
from lightspeed.client import Client
from lightspeed.listing.budget import UNBOUNDED
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import CONNECTIONS, TRANSFORMED_BATCH, ListReader
from lightspeed.listing.records import Record
from lightspeed.listing.settled import begin, settled_time
from lightspeed.listing.window import closed_window, unknown_filters
from lightspeed.quota import Clock, SystemClock
from lightspeed.request import Parameters
from lightspeed.transport import Transport

PATIENCE_SECONDS = 330.0
"""A whole list waits out the shortest quota window, five minutes, but no longer one."""

_PAGE_AND_COUNT = 2


class _ShownWaits(SystemClock):
    """The machine's clock, which tells the progress line when it waits."""

    def __init__(self, progress: ProgressLine) -> None:
        self._progress = progress

    def sleep(self, seconds: float) -> None:
        if seconds > 1:
            self._progress.waiting(seconds)
        super().sleep(seconds)


class _Quota:
    """The gate of a reading that uses the whole quota, and waits for more of it if that comes soon."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    def room(self) -> int:
        """Return how many requests may be sent now; where the wait would be too long the shop itself says so."""
        quota = self._transport.quota
        wait = 0 if quota is None else quota.wait_seconds(needed=_PAGE_AND_COUNT)
        if not wait:
            return self.left()
        if wait <= PATIENCE_SECONDS:
            self._clock.sleep(wait)
        return _PAGE_AND_COUNT

    def left(self) -> int:
        """Return how many requests the shop's last answer leaves room for."""
        quota = self._transport.quota
        return UNBOUNDED if quota is None else quota.room()

    def took(self, seconds: float) -> None:
        """Hear how long a page took; no time bounds a command."""


def print_page(arguments: argparse.Namespace) -> None:
    """Write one page, in the shop's order."""
    prepared = prepare(arguments, "list")
    with _output(arguments.out) as file, closing(_progress(arguments)) as progress:
        page = prepared.client.page(prepared.request)
        _write(file, page.records)
        progress.update(len(page.records), None)


def print_all(arguments: argparse.Namespace) -> None:
    """Write every record, page by page from the last to the first; say so if that all are there cannot be shown."""
    endpoint = get_entity(arguments.entity)
    endpoint.operation("list")
    parameters = read_parameters(arguments)
    if "page" in parameters.query:
        raise CommandError("--all reads every page; leave out --query page")
    progress, written = _progress(arguments), 0
    clock = arguments.clock or _ShownWaits(progress)
    client = open_client(arguments, clock, patience_seconds=PATIENCE_SECONDS, threads=CONNECTIONS)
    client.build(endpoint.name, "list", parameters)
    with _output(arguments.out) as file, closing(progress):
        read_to = partial(_reader, client, clock, endpoint, parameters)
        reader = begin(client, clock, settled_time(client, clock), read_to)
        for records in _beside(reader.pages()):
            _write(file, records)
            written += len(records)
            progress.update(written, reader.progress.count_before)
    doubt = reader.progress.doubt or unknown_filters(endpoint, parameters.query)
    if doubt:
        note(f"not verified that these are all records: {doubt}")


def _beside(pages: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    """Yield what a thread of its own reads: this one hears Ctrl-C at once, not once the pages under way have come."""
    read: Queue[list[bytes] | BaseException | None] = Queue(maxsize=1)

    def fill() -> None:
        try:
            for records in pages:
                read.put(records)
        except BaseException as error:  # for the thread that reads this one's queue
            read.put(error)
        else:
            read.put(None)

    Thread(target=fill, daemon=True).start()
    while (found := read.get()) is not None:
        if isinstance(found, BaseException):
            raise found
        yield found


def _reader(
    client: Client, clock: Clock, endpoint: Endpoint, parameters: Parameters, end: datetime
) -> ListReader[list[bytes]]:
    window, closed = closed_window(endpoint, parameters.query, None, end, incremental=False)
    return ListReader(
        client,
        endpoint,
        parameters,
        language=client.transport.connection.language,
        window=window,
        closed=closed,
        progress=ListCheckpoint(),
        digest=_texts,
        gate=_Quota(client.transport, clock),
        batch=TRANSFORMED_BATCH,
    )


def _texts(records: list[Record]) -> list[bytes]:
    return [record.text for record in records]


def _progress(arguments: argparse.Namespace) -> ProgressLine:
    beside_a_file = not to_standard_output(arguments.out) or not sys.stdout.isatty()
    return ProgressLine(sys.stderr, arguments.entity, wanted=beside_a_file and sys.stderr is not None)


@contextmanager
def _output(target: str) -> Iterator[BinaryIO]:
    with ExitStack() as ends:
        try:
            file = ends.enter_context(open_output(target))
        except OSError as error:
            raise CommandError(f"cannot write {target}: {error.strerror}") from error
        yield file


def _write(file: BinaryIO, records: list[bytes]) -> None:
    file.writelines(record + b"\n" for record in records)
