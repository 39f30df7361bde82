"""Singer messages on standard output: SCHEMA, RECORD and STATE, one a line, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from lightspeed.quota import Clock
from lightspeed.tap.streams import Stream

STATE_RECORDS = 1_000
"""A state follows after at most so many records ..."""
STATE_SECONDS = 60.0
"""... or after the first page that ends so long after the state before."""


class Messages:
    """Writes messages. A state is written only when everything before it has left this process.

    Attributes:
        state: What the next STATE says.
    """

    def __init__(self, output: BinaryIO, state: dict[str, Any], clock: Clock) -> None:
        """Take where messages go and the state that the run starts from; nothing is written yet."""
        self.state = state
        self._output = output
        self._clock = clock
        self._since_state = 0
        self._state_at = clock.monotonic()

    def write_schema(self, stream: Stream) -> None:
        """Announce a stream, and repeat the state: a target that gets no record has one to store all the same."""
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
        """Write records of a page, with a state where one is due.

        Args:
            stream: Whose they are.
            records: The JSON text of each.
            extracted: When they were read, ISO 8601 in UTC.
        """
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
        """Write the state, after what was written before it."""
        self._output.flush()
        self._write(type="STATE", value=self.state)
        self._output.flush()
        self._since_state = 0
        self._state_at = self._clock.monotonic()

    def _write(self, **message: object) -> None:
        self._output.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
