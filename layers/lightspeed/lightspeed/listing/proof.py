"""What proves that the pages of a list are the whole list, and what cannot be proved.

The API has numbered pages, no cursor and no documented order. The shop changes while a list is read. A list is read in
a closed window of the past, `updated_at_max` or `created_at_max` some seconds ago. A record can leave such a window,
but none can enter it. So the list only shrinks: everything that is read was in the list at the first count.

A. **As many different ids as the shop counted at first.** All of them were in the list then. The list held no others.
   So they are the list. This holds for any order, for ties, and for pages that are ignored, cached or repeated. It
   needs a count that is right, see C.
B. If rows left meanwhile, fewer ids are known. A row that left then looks like a row that was missed, so A proves
   nothing. The pages themselves must be trusted. Five things are asked of them:
   1. No page was asked for twice, because a cache could have given an old one.
   2. Every page before the last one was full. After each batch, as many rows are known as the count after it puts on
      its pages and behind them. So the count does not come from a cache that kept it from before the batch.
   3. The order is known. At least `ENOUGH_ROWS` ids rise, or fall, without exception over all pages. The times of
      change rise and fall at least `ENOUGH_TURNS` times each. So the list is sorted by id or by time of creation, and
      neither changes.
   4. No two rows of one second swapped places. Then one comes twice in place of the other. So every second of a row
      that came twice is read once more, on one page: all its rows must be known.
   5. Pages end where the next ones begin. Two pages of another size lie across such a border: all their rows must be
      known.
C. A count is not believed alone. A count is too low if rows follow its end: the last page holds more rows than
   counted, or the page after a full last page is not empty. A count is too high if the page at its end is empty. A
   count that rises in a closed window is wrong.
D. A list that rows may enter is read twice. Both passes give the same ids, and the count between them is their number.
   A record that both passes gave was there at the time of that count. So they are the list of that instant. The second
   pass asks for ids only, on pages of another size, so a cache of the first one cannot answer it. An empty list needs
   no second pass: its first page is empty.

Some things are not seen:

- a cache that is older than both passes of D,
- a record that leaves a list and comes back during D,
- a count that is too low by exactly the rows that the pages leave out,
- an answer that shows an earlier state than the one before it, if exactly the pages in front of a border do: a copy of
  the shop's database that lags behind may give it while a row leaves,
- a row that enters a closed window as another one leaves it: its time of change would have to be set back.

What is not proved makes the list unstable: `UnstableList` is raised, and the caller reads the list again in parts that
do not depend on order or paging (`split.py`). Without recovery the checkpoint holds the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from operator import gt, lt

from lightspeed.listing.checkpoint import IdLog, ListCheckpoint
from lightspeed.listing.records import Record, RecordParser, ids_of, times_of
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import format_time, parse_time

ENOUGH_ROWS = 50
"""Ids in one direction that show an order. That many fall so by chance once in 10^64 lists."""

ENOUGH_TURNS = 3
"""How often times of change must rise and fall, so that the list is certainly not sorted by them."""

MOST_REPEATED = 200
"""The most rows that came again whose seconds are read once more."""

NO_ID = "records carry no id, so one that came twice cannot be known"
MIXED_IDS = "the shop writes some ids as numbers and others as text, so a record that came twice may not be known"

_SECOND = timedelta(seconds=1)
_OFFSET = len("+02:00")
_SUM_BITS = (1 << 64) - 1


class UnstableList(Exception):
    """The pages of a list do not add up to the list: its order changes, or its pages or its count are wrong.

    Its text says what showed it.
    """


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the proof needs of a page.

    Attributes:
        number: Of the page, from 1.
        rows: How many rows it had.
        ids: Of its new records.
        repeated: Records that were dropped because they were read before.
        rises: How often the time of change rises from one row to the next.
        falls: How often it falls.
    """

    number: int
    rows: int
    ids: list[int | str]
    repeated: list[Record]
    rises: int
    falls: int


class ListProof:
    """Follows the reading of one list and says whether it is proved; all that it remembers is in the checkpoint."""

    def __init__(self, shop_list: ShopList, checkpoint: ListCheckpoint, *, stable: bool, recoverable: bool) -> None:
        """Take what is read.

        Args:
            shop_list: The list.
            checkpoint: How far it was read.
            stable: Whether it is sure that no row can enter the list while it is read; then a window closes it.
            recoverable: Whether such a list is read again in parts if its pages do not prove it. If not, the checkpoint
                gets the reason.
        """
        self._list = shop_list
        self._stable = stable
        self._recoverable = recoverable and stable
        self._checkpoint = checkpoint
        self.ids = IdLog(checkpoint.ids)

    def count(self) -> int:
        """Count the list, note what its count shows, and return it.

        Raises:
            UnstableList: The count rose, which it cannot in a closed window.
            LightspeedError: As the client raises it.
        """
        checkpoint = self._checkpoint
        before, checkpoint.count_after = checkpoint.count_after, self._list.count()
        if self._stable and before is not None and checkpoint.count_after > before:
            self.unstable("the shop counts more records than before in a closed window")
        return checkpoint.count_after

    def check_end(self) -> None:
        """Show that nothing is behind the counted rows, where the last page would not show it (C).

        A last page that is not full shows it when it is read. It does not if it is full, or if pages became smaller.

        Raises:
            UnstableList: More rows follow.
            LightspeedError: As the client raises it.
        """
        checkpoint = self._checkpoint
        count, _ = checkpoint.counts
        if count % checkpoint.limit and checkpoint.limit == self._list.limit:
            return
        page = self._list.page(count // checkpoint.limit + 1, checkpoint.limit)
        if len(page.records) + len(page.rejects) > count % checkpoint.limit:
            self.unstable(f"the shop counts {count} records, but more follow")

    def take(self, page: PageFacts) -> None:
        """Note a page that was read, after the count that follows it.

        Raises:
            UnstableList: The page does not fit the count, or those before it.
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
            checkpoint.repeated_at = [*checkpoint.repeated_at, *pairs][:MOST_REPEATED]
        if twice or (self._stable and checkpoint.repeated > checkpoint.removed):
            self.unstable("a record came twice though no record left the list before it")
        if count is not None and before + page.rows > count and (self._stable or page.rows >= checkpoint.limit):
            self.unstable(f"the shop counts {count} records, but more follow")
        from_here = checkpoint.counts[1] - before  # rows of this page and of those behind it
        if self._stable and page.rows < min(checkpoint.limit, from_here):
            self.unstable(f"page {page.number} has {page.rows} rows, though more follow")
        if self._stable and checkpoint.read + checkpoint.unidentified < from_here:
            self.unstable(f"the shop counts {from_here} records from page {page.number} on, but gave fewer")

    def conclude(self, *, end_seen: bool) -> None:
        """Show that a list of a closed window was read completely (A, else B).

        Args:
            end_seen: Whether the end of the list was looked at before rows left it.

        Raises:
            UnstableList: It cannot be shown.
            LightspeedError: As the client raises it.
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
            self.unstable("rows left the list before its end was looked at")
            return
        if checkpoint.read > before:
            self.unstable(f"the shop counts {before} records but gave {checkpoint.read}")
            return
        counted = self.count()
        if checkpoint.read < counted:
            self.unstable(f"the shop counts {counted} records but gave {checkpoint.read}")
            return
        reason = self._why_order_is_unknown() or self._read_seconds_again() or self._read_across_border()
        if reason:
            self.unstable(reason)

    def needs_second_pass(self) -> bool:
        """Count a list that rows may enter; return whether it is read once more (D). If not, its checkpoint says why.

        Raises:
            LightspeedError: As the client raises it.
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
        """Compare both passes over a list (D); the count before the second pass is the one between them."""
        first = self._checkpoint
        if not first.read == second.read == second.count_before or first.sum != second.sum:
            first.note("no time filter closes the list, and it changed between two passes")
        first.note(second.unverified_reason or (MIXED_IDS if self.ids.mixed else ""))

    def unstable(self, reason: str) -> None:
        """End the reading of an unstable list if it can be read again in parts; else note the reason and return.

        Raises:
            UnstableList: It can.
        """
        if self._recoverable:
            raise UnstableList(reason)
        self._checkpoint.note(reason)

    @property
    def _by_update(self) -> bool:
        """Whether a changed row leaves the list, so that the times in it do not change."""
        return self._list.window is not None and self._list.window.by == "updated_at"

    def _why_order_is_unknown(self) -> str:
        """Return why the list's order may change while rows leave it; empty if it is known not to change."""
        checkpoint = self._checkpoint
        if checkpoint.asked_again:
            return "rows left the list while it was read, and pages that were asked for twice may come from a cache"
        if not self.ids.ordered or len(self.ids) < ENOUGH_ROWS:
            return "rows left the list while it was read, and its order is not known"
        turned = min(checkpoint.rises, checkpoint.falls) >= ENOUGH_TURNS
        if not turned and not self._by_update:
            return "rows left the list while it was read, and it may be sorted by time of change"
        if checkpoint.repeated > len(checkpoint.repeated_at):
            return "more rows came again than can be looked at once more"
        return ""

    def _read_seconds_again(self) -> str:
        """Read each second of a row that came twice, on one page; return why the list is unstable, or an empty text.

        Only there can two rows of one second have swapped places. Each window is a second longer at both ends, because
        a filter may leave out its first and last second.
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
        """Read the first two pages in a smaller size; return why the list is unstable, or an empty text.

        They reach across the border between the first two pages of the old size. A page of one row has no smaller size.
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
    """Return how often the time of change rises and falls from one row to the next; rows without a time are skipped.

    Texts sort like their times if they have the same offset from UTC. Others are parsed.
    """
    texts = [record.changed for record in records if record.changed]
    if len({text[-_OFFSET:] for text in texts}) < 2:
        return sum(map(lt, texts, texts[1:])), sum(map(gt, texts, texts[1:]))
    try:
        times = list(map(parse_time, texts))
    except ValueError:
        return 0, 0  # shows nothing
    return sum(map(lt, times, times[1:])), sum(map(gt, times, times[1:]))


def _sum_of(ids: Sequence[int | str]) -> int:
    """Return a sum of 64 bits that does not depend on the order of the ids. Sums of different sets differ."""
    digests = (blake2b(str(identity).encode(), digest_size=8).digest() for identity in ids)
    return sum(int.from_bytes(digest, "big") for digest in digests) & _SUM_BITS
