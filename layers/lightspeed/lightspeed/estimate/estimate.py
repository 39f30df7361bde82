"""Say before a run what it will take: requests, windows of the quota, minutes, invocations and cents.

Each list is counted once; the rest is the run itself on a virtual clock, request by request as `reading` sends them and
invocation by invocation as the quota's headers let it. What that cannot know is named in the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.estimate.prices import PRICES, cents
from lightspeed.estimate.simulation import Operation, Reading, VirtualRun, VirtualWindow
from lightspeed.listing.reader import BATCH
from lightspeed.listing.records import Window
from lightspeed.listing.settled import SKEW
from lightspeed.listing.window import closed_window
from lightspeed.quota import Quota, QuotaWindow
from lightspeed.request import PAGE_LIMIT, Parameters

ASSUMED_PAGE_SECONDS = 0.5
"""How long a page takes where nothing was counted, so that nothing could be measured."""

OVERHEAD_SECONDS = 1.0
"""Billed for each invocation besides the shop's answers: its start, the secret and the objects. Assumed."""

RECORDS_PER_PART = 20_000
"""Of one landed object: 16 MB compressed, at half a kB each, as orders have. Assumed."""

_LEAST_ROOM = 3
_NOT_COUNTED = ("page", "limit", "fields")


@dataclass(frozen=True, slots=True)
class Span:
    """What the readings of a run share.

    Attributes:
        end: Of every window.
        start: Of an incremental window; `None` for the beginning.
        incremental: Whether changes are followed.
        batch: The most pages between two counts.
    """

    end: datetime
    start: datetime | None = None
    incremental: bool = False
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    Attributes:
        readings: Each with its entity, operation, language, rows and requests.
        records: As counted; what cannot be counted is not in it and is named in `lower_bounds`.
        requests: By kind (`pages`, `counts`, `children`, `single`), and their `total`.
        quota: By window: limit, reserve, what is left above the reserve now, and how many windows are needed.
        binding: The window that the run waits for longest, or `None` if it waits for none.
        minutes: At least, waits included; `None` where the run could never end.
        invocations: Of the function; likewise.
        cents: Of a US dollar; likewise.
        page_seconds: How long a page was taken to last.
        prices: Whose and of when.
        lower_bounds: What may turn out to be more, in plain words.
        assumptions: What was taken for granted, in plain words.
    """

    readings: list[dict[str, object]]
    records: int
    requests: dict[str, int]
    quota: list[dict[str, object]]
    binding: str | None
    minutes: float | None
    invocations: int | None
    cents: float | None
    page_seconds: float
    prices: str
    lower_bounds: list[str]
    assumptions: list[str]

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-able data."""
        return asdict(self)


class Counter:
    """Counts each list of a run once, and hears how long an answer takes."""

    def __init__(self, client: Client, timer: Callable[[], float] = time.perf_counter) -> None:
        """Take the shop's client; nothing is sent yet.

        Args:
            client: Of the shop.
            timer: Seconds that never run backwards.
        """
        self._client = client
        self._timer = timer
        self.slowest_seconds: float | None = None

    def reading(
        self, operation: Operation, endpoint: Endpoint, parameters: Parameters, language: str, span: Span
    ) -> Reading:
        """Count one reading of a run.

        Args:
            operation: `get`, `list`, or `each` for the nested records of every parent.
            endpoint: Whose list is walked: the parent's for `each`.
            parameters: Path and query; those of the nested entity for `each`.
            language: The language to read in.
            span: Of the run.

        Raises:
            CatalogueError: The parameters are wrong; nothing was sent.
            LightspeedError: As the client raises it.
        """
        if operation == "get":
            return Reading("get", endpoint.name, language)
        if operation == "each":
            parameters = Parameters()
        incremental = span.incremental
        window, closed = closed_window(endpoint, parameters.query, span.start, span.end, incremental=incremental)
        rows = self._rows(endpoint, parameters, language, window)
        limit = int(str(parameters.query.get("limit", PAGE_LIMIT)))
        return Reading(operation, endpoint.name, language, rows, closed, limit, span.batch)

    def _rows(self, endpoint: Endpoint, parameters: Parameters, language: str, window: Window | None) -> int | None:
        """Return the shop's count of a list in its window; `None`, and nothing sent, for one without pages.

        Raises:
            CatalogueError: The parameters are wrong; nothing was sent.
            LightspeedError: As the client raises it.
        """
        if "page" not in endpoint.filter_names:
            return None
        query = {name: value for name, value in parameters.query.items() if name not in _NOT_COUNTED}
        asked = Parameters(parameters.path, {**query, **(window.query if window is not None else {})})
        request = self._client.build(endpoint.name, "count", asked, language)
        began = self._timer()
        rows = self._client.count(request)
        self.slowest_seconds = max(self.slowest_seconds or 0.0, self._timer() - began)
        return rows

    @property
    def quota(self) -> Quota | None:
        """What the shop's last answer said of its quota; `None` before the first, or if it said nothing."""
        return self._client.transport.quota

    @property
    def recounts(self) -> bool:
        """Whether the shop's clock differs so much from ours that a run moves its window and counts again."""
        return abs(self._client.transport.latest_skew_seconds) > SKEW.total_seconds()


def estimate(
    readings: Sequence[Reading],
    quota: Quota | None,
    *,
    reserve_percent: float = 10,
    most: int | None = None,
    page_seconds: float | None = None,
    recounts: bool = False,
    incremental: bool = False,
) -> Estimate:
    """Return what a run of these readings will take, from the quota as it is now on.

    Args:
        readings: In the order of the run.
        quota: As the shop told it last; `None` if it did not.
        reserve_percent: Share of each window that is left for others, 0 to 100.
        most: How many records the run stops after, if it does.
        page_seconds: How long a page takes at least, as measured; assumed if not given.
        recounts: Whether the first list is counted once more, since the shop's clock differs from ours.
        incremental: Whether a bookmark is moved.
    """
    seconds = ASSUMED_PAGE_SECONDS if page_seconds is None else page_seconds
    told = () if quota is None else quota.windows
    reserves = {window.name: window.limit * reserve_percent / 100 for window in told}
    stuck = next((w.name for w in told if w.limit - reserves[w.name] < _LEAST_ROOM), None)
    windows = [VirtualWindow(w.name, w.limit, reserves[w.name], w.remaining, w.reset_seconds) for w in told]
    run = VirtualRun([] if stuck else windows, seconds, most)
    described: list[dict[str, object]] = []
    for position, reading in enumerate(readings):
        before = run.total
        run.read(reading, recounts=recounts and position == 0)
        facts: dict[str, object] = {"entity": reading.entity, "operation": reading.operation}
        facts |= {"language": reading.language, "rows": reading.rows, "requests": run.total - before}
        described.append(facts)
    run.end_invocation()
    languages = len({reading.language for reading in readings})
    puts = _puts(run, languages, incremental=incremental)
    billed = run.worked_seconds + OVERHEAD_SECONDS * run.invocations
    cost = cents(billed_seconds=billed, invocations=run.invocations, puts=puts)
    return Estimate(
        readings=described,
        records=sum(run.landed),
        requests={**run.requests, "total": run.total},
        quota=[_window(window, reserves[window.name], run.total) for window in told],
        binding=stuck or max(run.waited, key=lambda name: run.waited[name], default=None),
        minutes=None if stuck else round(run.now / 60, 2),
        invocations=None if stuck else run.invocations,
        cents=None if stuck else round(cost, 4),
        page_seconds=round(seconds, 3),
        prices=PRICES,
        lower_bounds=_lower_bounds(readings, stuck),
        assumptions=_assumptions(readings, quota, page_seconds, most),
    )


def _puts(run: VirtualRun, languages: int, *, incremental: bool) -> int:
    """Return how many objects a run writes: parts, manifests, its own result, the bookmark."""
    parts = -(-sum(run.landed) // RECORDS_PER_PART) + languages - 1 + run.invocations - 1
    return parts + languages + run.invocations + 1 + (run.invocations + 1 if incremental else 0)


def _window(window: QuotaWindow, reserve: float, requests: int) -> dict[str, object]:
    """Return what a window has now, and how many of its kind the requests need; `None` where no number is enough."""
    left = max(0, int(window.remaining - reserve))
    each = int(window.limit - reserve)
    needed = 1 if requests <= left else 1 + -(-(requests - left) // each) if each > 0 else None
    return {
        "name": window.name,
        "limit": window.limit,
        "reserve": round(reserve, 1),
        "left": left,
        "reset_seconds": window.reset_seconds,
        "windows": needed,
    }


def _lower_bounds(readings: Sequence[Reading], stuck: str | None) -> list[str]:
    named = ["minutes and cents: a page of 250 records takes longer than the count that was timed"]
    if any(reading.operation == "each" for reading in readings):
        named.append("records: those of parents are not counted; one request for each parent, more from 250 records on")
    if any(reading.operation == "list" and reading.rows is None for reading in readings):
        named.append("records: the shop has no count of this list; it is one page")
    if stuck is not None:
        named.append(f"the run could not go on: the {stuck} window holds less than {_LEAST_ROOM} above the reserve")
    return named


def _assumptions(
    readings: Sequence[Reading], quota: Quota | None, page_seconds: float | None, most: int | None
) -> list[str]:
    named = ["nobody else uses the key, and the shop neither changes nor fails meanwhile"]
    if page_seconds is None:
        named.append(f"nothing was counted and so nothing timed: a page takes {ASSUMED_PAGE_SECONDS} s")
    else:
        named.append("a page takes as long as the slowest count took just now")
    if quota is None:
        named.append("the shop has not told its quota: no window holds the run up")
    if any(reading.operation == "list" and reading.rows and not reading.closed for reading in readings):
        named.append("a list that no window closes is read twice, unless it is less than a page")
    if most is not None:
        named.append("max_records: every record read is kept, and the records of parents are not stopped at")
    named.append(
        f"each invocation is billed {OVERHEAD_SECONDS:g} s besides, and {RECORDS_PER_PART:,} records make a part"
    )
    return named
