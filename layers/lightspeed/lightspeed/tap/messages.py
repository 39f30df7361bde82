"""Singer messages on standard output: SCHEMA, RECORD and STATE, one per line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from lightspeed.clock import Clock
from lightspeed.tap.streams import Stream

STATE_RECORDS = 1_000
"""The most records between two states."""

STATE_SECONDS = 60.0
"""A page that ends so long after the last state is followed by one."""


class Messages:
    """Writes messages. A state leaves this process only after everything that was written before it.

    Attributes:
        state: The value of the next STATE message; at first the state that the run starts from.
    """

    def __init__(self, output: BinaryIO, state: dict[str, Any], clock: Clock) -> None:
        self.state = state
        self._output = output
        self._clock = clock
        self._since_state = 0
        self._state_at = clock.monotonic()

    def write_schema(self, stream: Stream) -> None:
        """Write the schema of a stream and the state, so that a target without records has a state to store too."""
        bookmark = [stream.replication_key] if stream.replication_key else []
        self._write(
            type="SCHEMA",
            stream=stream.name,
            schema=stream.schema,
            key_properties=list(stream.keys),
            bookmark_properties=bookmark,
        )
        self.write_state()

    def write_records(self, stream: Stream, records: Sequence[bytes], extracted: str) -> None:
        """Write the JSON texts of a page's records, and a state if one is due; `extracted` is in ISO 8601."""
        head = b'{"type":"RECORD","stream":%b,"record":' % json.dumps(stream.name).encode()
        tail = b',"time_extracted":%b}\n' % json.dumps(extracted).encode()
        rest = records
        while rest:
            some = rest[: STATE_RECORDS - self._since_state]
            self._output.writelines(head + record + tail for record in some)
            rest = rest[len(some) :]
            self._since_state += len(some)
            if self._since_state >= STATE_RECORDS:
                self.write_state()
        if self._clock.monotonic() - self._state_at >= STATE_SECONDS:
            self.write_state()

    def write_state(self) -> None:
        """Write the state, and flush everything before it first."""
        self._output.flush()
        self._write(type="STATE", value=self.state)
        self._output.flush()
        self._since_state = 0
        self._state_at = self._clock.monotonic()

    def _write(self, **message: object) -> None:
        self._output.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
