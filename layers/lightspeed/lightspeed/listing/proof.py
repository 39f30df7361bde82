"""Prove that the pages of a list are the whole list.

The API has numbered pages, no cursor and no documented order. The shop changes while a list is read. So the reader asks
for a closed window of the past, whose `updated_at_max` or `created_at_max` is some seconds ago. A record can leave such
a window, but none can enter it. The list only shrinks: every record that the reader gets was in it at the first count.

A. **As many different ids as the shop counted at first.** All of them were in the list then. The list held no others.
   So they are the list. This holds for any order, for ties, and for pages that are ignored, cached or repeated. It
   needs a correct count (C).
B. If rows leave meanwhile, the reader gets fewer ids. A row that left looks like a row that was missed, so A proves
   nothing. Then the pages themselves must be trusted. Five conditions must hold:
   1. The reader asked for no page twice. A cache could have answered the second request with an old page.
   2. Every page before the last one was full. After each batch, the reader knows at least as many rows as the new count
      places on the pages of the batch and after them. So no cache repeated the count from before the batch.
   3. The order is known. At least `ENOUGH_ROWS` ids rise, or fall, without exception over all pages. The times of
      change rise and fall at least `ENOUGH_TURNS` times each. So the list is sorted by id or by time of creation, and
      neither changes.
   4. No two rows of one second swapped places. Otherwise one comes twice and the other never. So each second of a row
      that came twice is read once more, on one page. The reader must know all rows of that page.
   5. Each page ends where the next one begins. So two pages of another size are read across the first border. The
      reader must know all their rows.
C. A count alone proves nothing. A count is too low if rows follow its end: the last page holds more rows than counted,
   or the page after a full last page is not empty. A count is too high if the page at its end is empty. A count that
   rises in a closed window is wrong.
D. A list that rows may enter is read twice. Both passes must give the same ids, as many as the count between them. A
   record that both passes gave was in the list at the time of that count. So these ids are the list of that instant.
   The second pass asks for ids only, on pages of another size, so a cache of the first pass cannot answer it. An empty
   list needs no second pass: its first page is empty.

The proof does not notice:

- a cache that is older than both passes of D,
- a record that leaves a list and comes back during D,
- a count that is too low by exactly the rows that the pages leave out,
- an older state of the list in exactly the pages before a border: a copy of the shop's database that lags may give it
  while a row leaves,
- a row that enters a closed window as another one leaves it: its time of change would have to be set back.

A list without proof is unstable. The proof raises `UnstableList`, and the caller reads the list again in parts, which
depend on neither order nor paging (`split.py`). Without recovery, the checkpoint holds the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from operator import gt, lt

from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.id_log import IdLog
from lightspeed.listing.records import Record, RecordParser, ids_of, times_of
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import format_time, parse_time

ENOUGH_ROWS = 50
"""So many ids in one direction show an order. By chance, one list in 10^64 has them."""

ENOUGH_TURNS = 3
"""How often the time of change must rise, and how often fall, to show that the list is not sorted by it."""

MAX_REPEATED = 200
"""The most repeated rows whose seconds are read once more."""

NO_ID = "records carry no id, so one that came twice cannot be known"
MIXED_IDS = "the shop writes some ids as numbers and others as text, so a record that came twice may not be known"

_SECOND = timedelta(seconds=1)
_OFFSET = len("+02:00")
_SUM_BITS = (1 << 64) - 1


class UnstableList(Exception):
    """The pages of a list do not prove it: its order changes, or its pages or its count are wrong.

    The message gives the reason.
    """


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the proof needs to know of a page.

    Attributes:
        number: The page's number, from 1.
        rows: Rows on the page, all kinds together.
        ids: Ids of its new records, in order.
        repeated: Records that came before and were dropped.
        rises: How often the time of change rises from one row to the next; 0 once `needs_turns` is false.
        falls: How often the time of change falls from one row to the next; 0 once `needs_turns` is false.
    """

    number: int
    rows: int
    ids: list[int | str]
    repeated: list[Record]
    rises: int
    falls: int


class ListProof:
    """Checks the pages and counts of one list as they come. Its whole state is in the checkpoint.

    Attributes:
        ids: The ids that were read.

    Args:
        stable: Whether no row can enter the list while it is read, because a window closes it.
        recoverable: Whether the caller reads a stable list again in parts if its pages do not prove it. If not, the
            checkpoint gets the reason.
    """

    def __init__(self, shop_list: ShopList, checkpoint: ListCheckpoint, *, stable: bool, recoverable: bool) -> None:
        self._list = shop_list
        self._stable = stable
        self._recoverable = recoverable and stable
        self._checkpoint = checkpoint
        self.ids = IdLog(checkpoint.ids)

    def count(self) -> int:
        """Count the list, store the count in the checkpoint, and return it.

        Raises:
            UnstableList: The count of a closed window rose.
            LightspeedError: A request failed.
        """
        checkpoint = self._checkpoint
        before, checkpoint.count_after = checkpoint.count_after, self._list.count()
        if self._stable and before is not None and checkpoint.count_after > before:
            self.raise_or_note("the shop counts more records than before in a closed window")
        return checkpoint.count_after

    def check_end(self) -> None:
        """Check that no row follows the counted ones (C).

        Sends no request if the last page is not full and pages did not become smaller: then the last page shows it.

        Raises:
            UnstableList: More rows follow.
            LightspeedError: A request failed.
        """
        checkpoint = self._checkpoint
        count, _ = checkpoint.counts
        if count % checkpoint.limit and checkpoint.limit == self._list.limit:
            return
        page = self._list.page(count // checkpoint.limit + 1, checkpoint.limit)
        if page.rows > count % checkpoint.limit:
            self.raise_or_note(f"the shop counts {count} records, but more follow")

    def add_page(self, page: PageFacts) -> None:
        """Add a page to the checkpoint; the count after its batch must be there already.

        Raises:
            UnstableList: The page contradicts the count or the pages that were read before.
        """
        checkpoint = self._checkpoint
        count, before = checkpoint.count_before, (page.number - 1) * checkpoint.limit
        checkpoint.rows_left = before
        if not self._stable:
            checkpoint.sum = (checkpoint.sum + _sum_of(page.ids)) & _SUM_BITS
        twice = self.ids.add(page.ids)
        checkpoint.read += len(page.ids) - twice
        checkpoint.repeated += len(page.repeated)
        checkpoint.unidentified += page.rows - len(page.ids) - len(page.repeated)
        checkpoint.rises = min(ENOUGH_TURNS, checkpoint.rises + page.rises)
        checkpoint.falls = min(ENOUGH_TURNS, checkpoint.falls + page.falls)
        if page.repeated:
            times = [times_of(record) for record in page.repeated]
            pairs = [(each.created, each.updated) for each in times]
            checkpoint.repeated_at = [*checkpoint.repeated_at, *pairs][:MAX_REPEATED]
        if twice or (self._stable and checkpoint.repeated > checkpoint.removed):
            self.raise_or_note("a record came twice though no record left the list before it")
        if count is not None and before + page.rows > count and (self._stable or page.rows >= checkpoint.limit):
            self.raise_or_note(f"the shop counts {count} records, but more follow")
        from_here = checkpoint.counts[1] - before  # rows of this page and of the pages after it
        if self._stable and page.rows < min(checkpoint.limit, from_here):
            self.raise_or_note(f"page {page.number} has {page.rows} rows, though more follow")
        if self._stable and checkpoint.read + checkpoint.unidentified < from_here:
            self.raise_or_note(f"the shop counts {from_here} records from page {page.number} on, but gave fewer")

    def conclude(self, *, end_seen: bool) -> None:
        """Prove that a list of a closed window was read completely (A, else B).

        Args:
            end_seen: Whether `check_end` ran before the first page was read.

        Raises:
            UnstableList: The proof failed.
            LightspeedError: A request failed.
        """
        checkpoint = self._checkpoint
        before, _ = checkpoint.counts
        if self.ids.mixed:
            checkpoint.note(MIXED_IDS)  # parts could not show it either
        if checkpoint.read == before:
            return
        if checkpoint.unidentified and checkpoint.read + checkpoint.unidentified == before:
            checkpoint.note(NO_ID)  # parts could not show it either
            return
        if not end_seen and before % checkpoint.limit == 0:
            self.raise_or_note("rows left the list before its end was looked at")
            return
        if checkpoint.read > before:
            self.raise_or_note(f"the shop counts {before} records but gave {checkpoint.read}")
            return
        counted = self.count()
        if checkpoint.read < counted:
            self.raise_or_note(f"the shop counts {counted} records but gave {checkpoint.read}")
            return
        reason = self._why_order_is_unknown() or self._read_seconds_again() or self._read_across_border()
        if reason:
            self.raise_or_note(reason)

    def needs_second_pass(self) -> bool:
        """Return whether a list that rows may enter must be read once more (D).

        Counts the list if no count followed its pages. A list that is not empty and needs no second pass cannot be
        proved: its checkpoint holds the reason.

        Raises:
            LightspeedError: A request failed.
        """
        checkpoint = self._checkpoint
        if checkpoint.read == checkpoint.count_before == 0:
            return False  # its first page was empty
        if checkpoint.check is None:
            if checkpoint.fits_one_page:
                self.count()  # a batch of several pages was counted already
            if checkpoint.read != checkpoint.count_after:
                checkpoint.note(f"the shop counts {checkpoint.count_after} records but gave {checkpoint.read}")
        return not checkpoint.unverified_reason

    def compare(self, second: ListCheckpoint) -> None:
        """Compare both passes over a list (D); the count between them is `count_before` of the second pass."""
        first = self._checkpoint
        if not first.read == second.read == second.count_before or first.sum != second.sum:
            first.note("no time filter closes the list, and it changed between two passes")
        first.note(second.unverified_reason or (MIXED_IDS if self.ids.mixed else ""))

    def raise_or_note(self, reason: str) -> None:
        """Store the reason why the list is unstable in the checkpoint, unless the caller recovers.

        Raises:
            UnstableList: The caller recovers: it reads the list again in parts.
        """
        if self._recoverable:
            raise UnstableList(reason)
        self._checkpoint.note(reason)

    @property
    def needs_turns(self) -> bool:
        """Whether the pages so far do not show that the list is not sorted by time of change."""
        return min(self._checkpoint.rises, self._checkpoint.falls) < ENOUGH_TURNS

    @property
    def _by_update(self) -> bool:
        """Whether a changed row leaves the list, so that the times in it do not change."""
        return self._list.window is not None and self._list.window.by == "updated_at"

    def _why_order_is_unknown(self) -> str:
        """Return why the list's order may have changed while rows left it; empty if it did not change."""
        checkpoint = self._checkpoint
        if checkpoint.asked_again:
            return "rows left the list while it was read, and pages that were asked for twice may come from a cache"
        if not self.ids.ordered or len(self.ids) < ENOUGH_ROWS:
            return "rows left the list while it was read, and its order is not known"
        if self.needs_turns and not self._by_update:
            return "rows left the list while it was read, and it may be sorted by time of change"
        if checkpoint.repeated > len(checkpoint.repeated_at):
            return "more rows came again than can be looked at once more"
        return ""

    def _read_seconds_again(self) -> str:
        """Read each second of a repeated row on one page (B4); return why the list is unstable, or an empty text.

        Each window is a second longer at both ends, because a filter may leave out its first and last second.
        """
        checkpoint = self._checkpoint
        names = ["created_at", "updated_at"] if self._by_update else ["created_at"]
        seconds = {
            (name, time)
            for pair in checkpoint.repeated_at
            for name, time in zip(("created_at", "updated_at"), pair, strict=True)
            if name in names
        }
        window = self._list.window.query if self._list.window is not None else {}
        for name, text in sorted(seconds):
            try:
                second = parse_time(text)
                edges = {f"{name}_min": format_time(second - _SECOND), f"{name}_max": format_time(second + _SECOND)}
            except (ValueError, OverflowError):
                return "rows came again whose time cannot be read"
            page = self._list.page(1, checkpoint.limit, {**window, **edges})
            records = RecordParser().read(page)
            if len(records) >= checkpoint.limit or len(self.ids.repeated(ids_of(records))) < len(records):
                return "rows of one second swap their places while the list is read"
        return ""

    def _read_across_border(self) -> str:
        """Read two smaller pages across the first border (B5); return why the list is unstable, or an empty text.

        A page of one row has no smaller size.
        """
        checkpoint = self._checkpoint
        if checkpoint.fits_one_page:
            return ""
        size = checkpoint.limit * 4 // 5
        for number in (1, 2):
            records = RecordParser().read(self._list.page(number, size, None)) if size else []
            ids = ids_of(records)
            if not ids or len(self.ids.repeated(ids)) < len(records):
                return "rows left the list while it was read, and its pages do not end where the next ones begin"
        return ""


def rises_and_falls(records: Sequence[Record]) -> tuple[int, int]:
    """Return how often the time of change rises and falls from one row to the next, without rows that have no time.

    Texts with the same offset from UTC sort like their times. Other texts are parsed; if one is no time, both are 0.
    """
    texts = [record.changed_at for record in records if record.changed_at]
    if len({text[-_OFFSET:] for text in texts}) < 2:
        return sum(map(lt, texts, texts[1:])), sum(map(gt, texts, texts[1:]))
    try:
        times = list(map(parse_time, texts))
    except ValueError:
        return 0, 0
    return sum(map(lt, times, times[1:])), sum(map(gt, times, times[1:]))


def _sum_of(ids: Sequence[int | str]) -> int:
    """Return a 64-bit sum of hashes: equal for the same ids in any order, different for other ids."""
    digests = (blake2b(str(identity).encode(), digest_size=8).digest() for identity in ids)
    return sum(int.from_bytes(digest, "big") for digest in digests) & _SUM_BITS
