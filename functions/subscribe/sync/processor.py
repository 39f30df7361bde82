"""Turn the records of a page into what the run stores: mask, transform, stop after `max_records`.

A row that is no JSON object in UTF-8 is never stored as a record. It is a rejected line, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from connector.settings import GZIP_LEVEL
from connector.timestamps import iso_text
from connector.transform import Scope, TransformError
from lightspeed.json_text import mask_api_key
from lightspeed.listing.records import Record
from subscribe.event import SubscribeRequest
from subscribe.storage.parts import compress
from subscribe.sync.bookmark import parse_shop_time
from subscribe.sync.deduplicator import Deduplicator
from subscribe.sync.read_plan import Read
from subscribe.sync.state import SyncState
from subscribe.sync.step import EMPTY_STEP, Step

if TYPE_CHECKING:
    from connector.transform.transformer import Transformers


_OFFSET = len("+02:00")


class RecordProcessor:
    """Turns the records of one run into steps. It reads the run's state; only the run writes it.

    Args:
        transformers: The entity transformer, if there is one.
        bookmark: The bookmark, as transformers see it.
        gzip_level: The compression level of chunks, 1 to 9.
    """

    def __init__(
        self,
        request: SubscribeRequest,
        state: SyncState,
        deduplicator: Deduplicator,
        transformers: Transformers | None,
        bookmark: Mapping[str, str] | None,
        gzip_level: int = GZIP_LEVEL,
    ) -> None:
        self._request = request
        self._state = state
        self._deduplicator = deduplicator
        self._transformers = transformers
        self._bookmark = bookmark
        self._gzip_level = gzip_level

    @property
    def is_thread_safe(self) -> bool:
        """Whether any thread may process any page at any time: no transformer, and no limit of records."""
        return self._transformers is None and self._request.max_records is None

    def process_page(self, records: list[Record], read: Read) -> Step:
        """Return the step of a page."""
        new, step = self._deduplicator.deduplicate(records, read)
        return self.process_rows(new, read.language, step)

    def process_rows(self, rows: list[Record], language: str, step: Step = EMPTY_STEP) -> Step:
        """Add the chunk and the rejected lines of rows to a step.

        Args:
            rows: Rows that are not stored yet. A row that is no record is rejected.
            language: The language that they were read in.
            step: The step of their page so far.
        """
        odd = [row for row in rows if row.reject_reason]
        texts = [row.text for row in rows if not row.reject_reason] if odd else [row.text for row in rows]
        if self._request.entity == "account":
            texts = [mask_api_key(text) for text in texts]
        rejected, first_rejection, transformed = [_rejected_line(row) for row in odd], None, 0
        if self._transformers is not None:
            transformed = len(texts)
            texts, lines, first_rejection = self._transform(self._transformers, texts, language)
            rejected += lines
        room = self._state.room(self._request.max_records)
        stopped = room is not None and len(texts) > room
        return replace(
            step,
            chunk=compress(texts[:room], self._gzip_level),
            rejected=rejected,
            odd_rows=len(odd),
            transformed=transformed,
            first_rejection=first_rejection,
            newest_change=_newest_change(rows),
            stopped=stopped,
        )

    def _transform(
        self, transformers: Transformers, texts: list[bytes], language: str
    ) -> tuple[list[bytes], list[bytes], TransformError | None]:
        """Return the transformed records, the lines of rejected records, and the first rejection."""
        scope = Scope(
            connection=self._request.connection,
            entity=self._request.entity,
            language=language,
            bookmark=self._bookmark,
            now=self._state.started,
            seed=self._state.run_id,
        )
        outcomes = transformers.outcomes(texts, scope)
        return (
            [record for outcome in outcomes for record in outcome.records],
            [outcome.line for outcome in outcomes if outcome.line is not None],
            next((outcome.rejection for outcome in outcomes if outcome.rejection is not None), None),
        )


def _rejected_line(row: Record) -> bytes:
    """Return the line for a row that is no JSON object in UTF-8: the row as text, and the reason."""
    return msgspec.json.encode({"record": row.text.decode(errors="backslashreplace"), "reason": row.reject_reason})


def _newest_change(rows: list[Record]) -> str:
    """Return the newest time of change, ISO-8601 UTC; empty if no row has one.

    Texts with the same offset from UTC sort like their times, so only one of each offset is parsed.
    """
    newest: dict[str, str] = {}
    for row in rows:
        changed = row.changed_at
        if changed and changed > newest.get(changed[-_OFFSET:], ""):
            newest[changed[-_OFFSET:]] = changed
    times = map(parse_shop_time, newest.values())
    return max((iso_text(time) for time in times if time is not None), default="")
