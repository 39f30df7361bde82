"""Estimate the requests and minutes of a run before it starts, by formula.

Each list is counted once. A list of `n` rows takes `ceil(n / limit)` pages and a count for each batch of pages; twice
that if no time window closes it. The time is the larger of the answers' time and the time by the shop's limit per
second, plus the waits for its quota windows. Compared with the reader on a virtual clock, over 142 random shops: the
number of requests is exact in 84 % of them and at most 2 % wrong in the others. The time is at most 4 % wrong in 90 %
of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.listing.opening import SKEW
from lightspeed.listing.read_operation import ReadOperation, listed_entity, operation_of
from lightspeed.listing.reader import BATCH, THREADS, second_size
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import closed_window
from lightspeed.quota import WINDOW_SECONDS, Quota, QuotaWindow
from lightspeed.rate_limiter import REQUESTS_PER_SECOND
from lightspeed.request import PAGE_LIMIT, Parameters
from lightspeed.shop_clock import BELIEVED_SECONDS
from lightspeed.transport import PATIENCE_SECONDS

ASSUMED_PAGE_SECONDS = 0.5
"""How long a page takes if no count was timed."""

_LEAST_ROOM = 3
_PAGE_AND_COUNT = 2


@dataclass(frozen=True, slots=True)
class Span:
    """The facts that all readings of a run share.

    Attributes:
        end: The end of every window.
        start: The start of an incremental window; `None` for the beginning.
        incremental: Whether changes are followed.
        batch: The most pages between two counts.
    """

    end: datetime
    start: datetime | None = None
    incremental: bool = False
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a run, with the shop's count.

    Attributes:
        operation: `get`, `list`, or `each`: the nested records of every parent.
        entity: The entity whose list is read: the parent for `each`.
        rows: The shop's count, of parents for `each`; `None` for one record, and for a list without pages and count.
        stable: Whether a window ensures that no row enters the list while it is read.
        limit: Rows per page.
        batch: The most pages between two counts.
    """

    operation: ReadOperation
    entity: str
    language: str
    rows: int | None = None
    stable: bool = False
    limit: int = PAGE_LIMIT
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Estimate:
    """The requests and the time of a run.

    Attributes:
        readings: The readings, each with its entity, operation, language, rows and requests.
        records: The records that were counted; `None` if some cannot be counted.
        requests: Requests by kind (`pages`, `counts`, `children`, `single`), and their `total`.
        quota: By window: its limit, the reserve, the requests left above the reserve, and how many windows are needed.
        binding: The window that the run waits for longest; `None` if it waits for none.
        waits: How often the run waits for the quota for longer than `PATIENCE_SECONDS`.
        minutes: The shortest time of the run, waits included; `None` if the run could never end.
        work_seconds: The shortest time of the run, without waits.
        page_seconds: The time of a page that the estimate uses.
        lower_bounds: Which figures may turn out larger, and why, in plain words.
        assumptions: The assumptions, in plain words.
    """

    readings: list[dict[str, object]]
    records: int | None
    requests: dict[str, int]
    quota: list[dict[str, object]]
    binding: str | None
    waits: int
    minutes: float | None
    work_seconds: float
    page_seconds: float
    lower_bounds: list[str]
    assumptions: list[str]


class ListCounter:
    """Counts each list of a run once, and times the answers.

    Attributes:
        slowest_seconds: The time of the slowest count; `None` before the first count.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.slowest_seconds: float | None = None

    def reading(self, endpoint: Endpoint, parameters: Parameters, language: str, span: Span) -> Reading:
        """Count one reading of a run.

        Args:
            endpoint: The entity to read.
            parameters: Path and query.
            language: The language to read in.
            span: The facts that all readings of the run share.

        Raises:
            CatalogueError: The parameters are wrong; nothing was sent.
            LightspeedError: A request failed.
        """
        operation = operation_of(endpoint, parameters.path)
        endpoint = listed_entity(endpoint, parameters.path)
        if operation == "get":
            return Reading("get", endpoint.name, language)
        if operation == "each":
            parameters = Parameters()
        incremental = span.incremental
        window, stable = closed_window(endpoint, parameters.query, span.start, span.end, incremental=incremental)
        shop_list, rows = ShopList(self._client, endpoint, parameters, language, window), None
        if shop_list.paged:
            clock = self._client.transport.clock
            began = clock.monotonic()
            rows = shop_list.count()
            self.slowest_seconds = max(self.slowest_seconds or 0.0, clock.monotonic() - began)
        return Reading(operation, endpoint.name, language, rows, stable, shop_list.limit, span.batch)

    @property
    def quota(self) -> Quota | None:
        """The quota in the shop's last answer; `None` before the first answer, or if it had none."""
        return self._client.transport.quota

    @property
    def recounts(self) -> int:
        """How often a run counts its first list again, because the shop's clock differs from ours."""
        skew = abs(self._client.transport.shop_clock.latest_skew_seconds)
        return 2 if skew > BELIEVED_SECONDS else int(skew > SKEW.total_seconds())


@dataclass(frozen=True, slots=True)
class _Work:
    """The requests of one reading in a shop that does not change.

    Attributes:
        rounds: How many answers the reading waits for, one after the other.
        records: The records that the run keeps, as far as they were counted.
    """

    pages: int = 0
    counts: int = 0
    children: int = 0
    single: int = 0
    rounds: int = 0
    records: int = 0

    @property
    def total(self) -> int:
        return self.pages + self.counts + self.children + self.single


@dataclass(frozen=True, slots=True)
class _Duration:
    """The time of some requests.

    Attributes:
        seconds: The whole time.
        waits: How often they wait for longer than `PATIENCE_SECONDS`.
        waited: The seconds of these waits, by window.
    """

    seconds: float = 0.0
    waits: int = 0
    waited: dict[str, float] = field(default_factory=dict)

    def then(self, other: _Duration, times: int = 1) -> _Duration:
        """Return this time, followed by `times` times the other one."""
        if not times:
            return self
        names = self.waited | other.waited
        waited = {name: self.waited.get(name, 0) + times * other.waited.get(name, 0) for name in names}
        return _Duration(self.seconds + times * other.seconds, self.waits + times * other.waits, waited)


def estimate(
    readings: Sequence[Reading],
    quota: Quota | None,
    *,
    reserve_percent: float = 10,
    most: int | None = None,
    page_seconds: float | None = None,
    recounts: int = 0,
) -> Estimate:
    """Return the requests and the time of a run of these readings that starts now.

    Args:
        readings: The readings, in the order of the run.
        quota: The quota in the shop's last answer; `None` if it had none.
        reserve_percent: The share of each window that is left for others, 0 to 100.
        most: The number of records after which the run stops; `None` for no bound.
        page_seconds: The measured time of a page; `ASSUMED_PAGE_SECONDS` by default.
        recounts: How often the first list is counted again, because the shop's clock differs from ours.
    """
    seconds = ASSUMED_PAGE_SECONDS if page_seconds is None else page_seconds
    known = () if quota is None else quota.windows
    free = [window.above_reserve(reserve_percent) for window in known]
    stuck = next((window.name for window in free if window.limit < _LEAST_ROOM), None)
    works = _works(readings, most, recounts)
    base = sum(work.total for work in works)
    rounds = sum(work.rounds for work in works)
    pace = max(1 / REQUESTS_PER_SECOND, rounds * seconds / base) if base else 0.0
    windows = [] if stuck else free[::-1]
    took, resumed = _duration(base, windows, pace), 0
    at_once = int(any(window.remaining < _PAGE_AND_COUNT for window in windows))  # a wait before the first request
    resuming = _requests_per_wait(readings, works, windows)
    for _ in range(3):  # each wait adds requests, which may add waits
        resumed = round(max(0, took.waits - at_once) * resuming)
        took = _duration(base + resumed, windows, pace)
    kinds = {kind: sum(getattr(work, kind) for work in works) for kind in ("pages", "counts", "children", "single")}
    kinds["counts"] += resumed
    total = base + resumed
    work_seconds = max(rounds * seconds, (total - REQUESTS_PER_SECOND) / REQUESTS_PER_SECOND)
    waited = sum(took.waited.values())
    return Estimate(
        readings=list(map(_described, readings, works)),
        records=None if any(map(_is_uncounted, readings)) else sum(work.records for work in works),
        requests={**kinds, "total": total},
        quota=[_window(window, reserve_percent, total) for window in known],
        binding=stuck or max(took.waited, key=lambda name: took.waited[name], default=None),
        waits=took.waits,
        minutes=None if stuck else round((work_seconds + waited) / 60, 2),
        work_seconds=round(work_seconds, 3),
        page_seconds=round(seconds, 3),
        lower_bounds=_lower_bounds(readings, stuck),
        assumptions=_assumptions(readings, quota, page_seconds, most),
    )


def _works(readings: Sequence[Reading], most: int | None, recounts: int) -> list[_Work]:
    """Return the requests of each reading; the run stops after `most` records, and counts its first list again."""
    works: list[_Work] = []
    for reading in readings:
        work = _work(reading, None if most is None else max(0, most - sum(before.records for before in works)))
        if work.counts and not works:
            work = replace(work, counts=work.counts + recounts, rounds=work.rounds + recounts)
        works.append(work)
    return works


def _work(reading: Reading, most: int | None) -> _Work:
    """Return the requests of a reading that stops after `most` records; `None` for no bound."""
    if most == 0:
        return _Work()
    if reading.rows is None:
        return _Work(single=1, rounds=1, records=1) if reading.operation == "get" else _Work(pages=1, rounds=1)
    rows, limit, each = reading.rows, reading.limit, reading.operation == "each"
    batch = 1 if each else reading.batch
    sizes = [limit] if reading.stable or not rows else [limit, second_size(limit)]  # twice if no window closes the list
    pages = reads = [_ceil_div(rows, size) for size in sizes]
    if most is not None and not each:
        last_page = rows - (pages[0] - 1) * limit
        needed = 1 + _ceil_div(max(0, most - last_page), limit)
        if needed < pages[0]:  # the run stops in the first pass, at the end of a batch
            pages, reads = pages[:1], [min(pages[0], _ceil_div(needed, batch) * batch)]
    counts = 1 + int(len(pages) > 1 and pages[0] == 1)
    counts += sum(_ceil_div(read, batch) for number, read in zip(pages, reads, strict=True) if number > 1)
    page_after = int(rows % limit == 0)  # the reader asks for the page after a full last page
    rounds = counts + page_after
    rounds += sum(read // batch * _ceil_div(batch, THREADS) + _ceil_div(read % batch, THREADS) for read in reads)
    if each:
        return _Work(sum(reads) + page_after, counts, children=rows, rounds=rounds + _ceil_div(rows, THREADS))
    return _Work(sum(reads) + page_after, counts, rounds=rounds, records=rows if most is None else min(rows, most))


def _ceil_div(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _described(reading: Reading, work: _Work) -> dict[str, object]:
    return {
        "entity": reading.entity,
        "operation": reading.operation,
        "language": reading.language,
        "rows": reading.rows,
        "requests": work.total,
    }


def _requests_per_wait(readings: Sequence[Reading], works: Sequence[_Work], windows: Sequence[QuotaWindow]) -> float:
    """Return how many requests a wait adds to a run: the next invocation counts again, and a batch is cut short."""
    largest = max(range(len(works)), key=lambda i: works[i].total, default=None)
    if largest is None or not windows or readings[largest].rows is None:
        return 0
    if works[largest].children > works[largest].pages:
        return 1
    batch = readings[largest].batch
    room = max(1, min(window.limit for window in windows) - 1)
    counts = _ceil_div(room, batch + 1)
    return 1 + counts - (room - counts) / batch


def _duration(requests: int, windows: Sequence[QuotaWindow], pace: float) -> _Duration:
    """Return the time of some requests.

    Args:
        requests: How many.
        windows: The windows of the quota without the reserve, longest first.
        pace: Seconds for each request while no window is used up.
    """
    if not windows:
        return _Duration(requests * pace)
    window, shorter = windows[0], windows[1:]
    if requests <= window.remaining:
        return _duration(requests, shorter, pace)
    fresh = [_fresh(inner) for inner in shorter]
    whole = _until_reset(_fresh(window), _duration(window.limit, fresh, pace))
    took = _until_reset(window, _duration(window.remaining, shorter, pace))
    left = requests - window.remaining
    if not whole.waited.get(window.name):  # too slow to use up a whole window
        return took.then(_duration(left, fresh, pace))
    full, rest = divmod(left - 1, window.limit)
    return took.then(whole, full).then(_duration(rest + 1, fresh, pace))


def _fresh(window: QuotaWindow) -> QuotaWindow:
    """Return a window at its start."""
    return replace(window, remaining=window.limit, reset_seconds=WINDOW_SECONDS[window.name])


def _until_reset(window: QuotaWindow, took: _Duration) -> _Duration:
    """Return the time with the wait for the window's end."""
    wait = window.reset_seconds - took.seconds
    if wait <= 0:
        return took
    if wait <= PATIENCE_SECONDS:
        return replace(took, seconds=window.reset_seconds)
    return took.then(_Duration(wait, 1, {window.name: wait}))


def _is_uncounted(reading: Reading) -> bool:
    return reading.operation == "each" or (reading.operation == "list" and reading.rows is None)


def _window(window: QuotaWindow, reserve_percent: float, requests: int) -> dict[str, object]:
    """Return a window's figures, and how many such windows the requests need; `None` if no number is enough."""
    free = window.above_reserve(reserve_percent)
    left, each = free.remaining, free.limit
    needed = 1 if requests <= left else 1 + _ceil_div(requests - left, each) if each > 0 else None
    return {
        "name": window.name,
        "limit": window.limit,
        "reserve": round(window.limit * reserve_percent / 100, 1),
        "left": left,
        "reset_seconds": window.reset_seconds,
        "windows": needed,
    }


def _lower_bounds(readings: Sequence[Reading], stuck: str | None) -> list[str]:
    texts = {
        "minutes: a page of 250 records takes longer than the count that was timed": True,
        "records: those of parents are not counted; one request for each parent, more from 250 records on": any(
            reading.operation == "each" for reading in readings
        ),
        "records: the shop has no count of this list; it is one page": any(
            reading.operation == "list" and reading.rows is None for reading in readings
        ),
        f"the run could not go on: the {stuck} window holds less than {_LEAST_ROOM} above the reserve": stuck,
    }
    return [text for text, applies in texts.items() if applies]


def _assumptions(
    readings: Sequence[Reading], quota: Quota | None, page_seconds: float | None, most: int | None
) -> list[str]:
    is_timed = page_seconds is not None
    texts = {
        "no other client uses the key, and the shop neither changes nor fails meanwhile": True,
        f"nothing was counted and so nothing timed: a page takes {ASSUMED_PAGE_SECONDS} s": not is_timed,
        "a page takes as long as the slowest count took just now": is_timed,
        "the shop's quota is not known: no window holds the run up": quota is None,
        "a list that no window closes is read twice": any(
            reading.operation == "list" and reading.rows and not reading.stable for reading in readings
        ),
        "max_records: every record read is kept, and the records of parents are not stopped at": most is not None,
    }
    return [text for text, applies in texts.items() if applies]
