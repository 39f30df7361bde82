"""The command `tap`: lists of the shop as Singer messages on standard output.

Settings, catalogue and state are checked before anything is sent. Notes and metrics go to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from lightspeed.cli.arguments import SETTINGS, CommandError, read_connection, read_json
from lightspeed.cli.output import json_text, print_note
from lightspeed.cli.reading import QUOTA_PATIENCE_SECONDS, WholeQuota, in_background
from lightspeed.cli.write import OutputError
from lightspeed.client import Client
from lightspeed.clock import Clock, SystemClock
from lightspeed.connection import Connection
from lightspeed.listing.opening import DIFFERENT_TIMES
from lightspeed.listing.reader import CONNECTIONS
from lightspeed.request import given_time
from lightspeed.tap.messages import Messages
from lightspeed.tap.streams import CatalogError, Stream, discover, select
from lightspeed.tap.sync import Batch, StateError, StreamRefused, batches, bookmark_of, whole_list, with_bookmark
from lightspeed.transport import Transport

_ABOUT = Path(__file__).parents[1] / "tap" / "about.json"
_MAX_NOTES = 10


def tap(arguments: argparse.Namespace) -> None:
    """Run the tap, or print its catalogue or its settings.

    Raises:
        CommandError: Settings, catalogue or state are wrong; nothing was sent.
        InvalidConnection: The connection's settings are wrong.
        StreamRefused: The shop refused some streams; the others are written.
        OutputError: The target closed standard output.
        LightspeedError: A request failed.
    """
    if arguments.about:
        sys.stdout.write(json_text(about()))
        return
    if arguments.discover:
        settings = _settings(arguments.config) if arguments.config else {}
        sys.stdout.write(json_text(discover(decimals=bool(settings.get("use_singer_decimal")))))
        return
    (connection, start, decimals), state = _config(arguments), _state(arguments.state)
    try:
        catalog = read_json("--catalog", arguments.catalog) if arguments.catalog else None
        streams = select(catalog, decimals=decimals)
    except CatalogError as error:
        raise CommandError(f"--catalog {arguments.catalog} {error}") from None
    if not streams:
        raise CommandError(f"--catalog {arguments.catalog} selects no stream: set selected in a stream's metadata")
    clock = arguments.clock or SystemClock()
    transport = Transport(connection, clock=clock, patience_seconds=QUOTA_PATIENCE_SECONDS, threads=CONNECTIONS)
    try:
        _sync(Client(transport), clock, streams, Messages(sys.stdout.buffer, state, clock), start)
    except BrokenPipeError:
        raise OutputError("the target closed its input; what it did not store comes again in the next run") from None


def about() -> dict[str, Any]:
    """Return the tap's capabilities and settings as JSON-able data."""
    found: dict[str, Any] = json.loads(_ABOUT.read_bytes())
    return found


def _settings(source: str) -> dict[str, Any]:
    settings = read_json("--config", source)
    if not isinstance(settings, dict):
        raise CommandError(f"--config {source} must be a JSON object; --about lists the settings")
    return {name: value for name, value in settings.items() if value is not None}


def _config(arguments: argparse.Namespace) -> tuple[Connection, datetime | None, bool]:
    """Return the connection, the start of a stream's first run, and whether decimals are passed as text."""
    if not arguments.config:
        arguments.connection = arguments.language = None
        return read_connection(arguments), None, False
    settings = _settings(arguments.config)
    known = about()["settings"]["properties"]
    for name in settings:
        if name not in known:
            print_note(f"warning: --config has the unknown setting {name!r:.100}; --about lists what the tap knows")
    decimals, start = settings.get("use_singer_decimal", False), settings.get("start_date")
    if not isinstance(decimals, bool):
        raise CommandError(f"use_singer_decimal must be true or false, not {decimals!r:.100}")
    try:
        begin = given_time(start) if start is not None else None
    except ValueError as error:
        raise CommandError(f"start_date {error}") from None
    connection = {name: value for name, value in settings.items() if name in SETTINGS}
    return Connection.from_mapping(connection, arguments.config), begin, decimals


def _state(source: str | None) -> dict[str, Any]:
    state = read_json("--state", source) if source else {}
    if not isinstance(state, dict):
        raise CommandError(f"--state {source} must be a JSON object, the value of a STATE message")
    return state


def _sync(client: Client, clock: Clock, streams: list[Stream], messages: Messages, start: datetime | None) -> None:
    try:
        starts = [bookmark_of(messages.state, stream) or start for stream in streams]
    except StateError as error:
        raise CommandError(str(error)) from None
    refused = []
    for stream, bookmark in zip(streams, starts, strict=True):
        reading = whole_list(stream, bookmark, client, WholeQuota(client.transport))
        began = clock.monotonic()
        messages.write_schema(stream)
        try:
            written, left_out = _write(stream, batches(stream, reading), messages)
        except StreamRefused as error:
            print_note(f"{stream.name} is left out: {error}")
            refused.append(stream.name)
            continue
        messages.state = with_bookmark(messages.state, stream, reading.end)
        messages.write_state()
        if left_out > _MAX_NOTES:
            print_note(f"{stream.name}: {left_out:,} rows are left out in all")
        if reading.unstable_reason:
            print_note(
                f"{stream.name}: {reading.unstable_reason}; the list was read again in parts, so records come twice"
            )
        if reason := reading.unverified_reason or (DIFFERENT_TIMES if reading.times_differ else ""):
            print_note(f"{stream.name}: not verified that these are all records: {reason}")
        _metric("counter", "record_count", written, stream)
        _metric("timer", "sync_duration", round(clock.monotonic() - began, 3), stream)
    if refused:
        raise StreamRefused(f"the shop refuses {', '.join(refused):.200}; deselect what the key may not read")


def _write(stream: Stream, pages: Iterator[Batch], messages: Messages) -> tuple[int, int]:
    """Write the records of a stream; return how many were written, and how many rows were left out."""
    written = left_out = 0
    for batch in in_background(pages):
        messages.write_records(stream, batch.records, batch.extracted)
        written += len(batch.records)
        for reason in batch.left_out[: max(0, _MAX_NOTES - left_out)]:
            print_note(f"{stream.name}: left out {reason}")
        left_out += len(batch.left_out)
    return written, left_out


def _metric(kind: str, name: str, value: float, stream: Stream) -> None:
    if sys.stderr is not None:
        metric = {"type": kind, "metric": name, "value": value, "tags": {"endpoint": stream.name}}
        sys.stderr.write(f"INFO METRIC: {json.dumps(metric)}\n")
