"""Say before a run what it will take: requests, windows of the quota, minutes, invocations and cents.

Each list is counted once; the rest is the run itself on a virtual clock, request by request as `reading` sends them and
invocation by invocation as the quota's headers let it. What that cannot know is named in the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lightspeed.client import Client
from lightspeed.endpoints import Endpoint
from lightspeed.parameters import PAGE_LIMIT, Parameters
from lightspeed.prices import PRICES, cents
from lightspeed.quota import REQUESTS_PER_SECOND, Quota
from lightspeed.reading import BATCH, THREADS
from lightspeed.records import Window

PARENTS_AT_ONCE = 40
"""How many parents' records a run asks for before it looks at the quota again."""

ASSUMED_PAGE_SECONDS = 0.5
"""How long a page takes where nothing was counted, so that nothing could be measured."""

INVOCATION_SECONDS = 900
"""The longest that one invocation lasts, as the template sets it."""

OVERHEAD_SECONDS = 1.0
"""Billed for each invocation besides the shop's answers: its start, the secret and the objects. Assumed."""

RECORDS_PER_PART = 30_000
"""Of one landed object: 16 MB compressed, at half a kB each, as orders have. Assumed."""

_PATIENCE_SECONDS = 5
_ENDING_SECONDS = 5
_PAGE_AND_COUNT = 2
_LEAST_ROOM = _PAGE_AND_COUNT + 1
_SKEW_SECONDS = 2
_LENGTHS = {"5 minutes": 300, "hour": 3600, "day": 86_400}
_NOT_COUNTED = ("page", "limit", "fields")

Kind = Literal["pages", "counts", "children", "single"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a run, counted.

    Attributes:
        operation: `get`, `list`, or `each`: the nested records of every parent.
        entity: Whose list is walked: the parent's for `each`.
        language: The language that it is read in.
        rows: What the shop counts, parents for `each`; `None` for a record, and for a list without pages and count.
        closed: Whether a window makes sure that no row enters the list while it is read.
        limit: Rows per page.
        batch: The most pages between two counts.
    """

    operation: Literal["get", "list", "each"]
    entity: str
    language: str
    rows: int | None = None
    closed: bool = False
    limit: int = PAGE_LIMIT
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
        return {name: getattr(self, name) for name in self.__slots__}


class Counter:
    """Counts the lists of a run, once each, and hears how long an answer takes."""

    def __init__(self, client: Client, timer: Callable[[], float] = time.perf_counter) -> None:
        """Take the shop's client; nothing is sent yet.

        Args:
            client: Of the shop.
            timer: Seconds that never run backwards.
        """
        self._client = client
        self._timer = timer
        self._counted: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self.slowest_seconds: float | None = None

    def rows(self, endpoint: Endpoint, parameters: Parameters, language: str, window: Window | None) -> int | None:
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
        key = (request.path, tuple(sorted(request.query.items())))
        if key not in self._counted:
            began = self._timer()
            self._counted[key] = self._client.count(request)
            self.slowest_seconds = max(self.slowest_seconds or 0.0, self._timer() - began)
        return self._counted[key]

    @property
    def quota(self) -> Quota | None:
        """What the shop's last answer said of its quota; `None` before the first, or if it said nothing."""
        return self._client.transport.quota

    @property
    def recounts(self) -> bool:
        """Whether the shop's clock differs so much from ours that a run moves its window and counts again."""
        return abs(self._client.transport.skew_seconds) > _SKEW_SECONDS


def estimate(  # noqa: PLR0913 - what a run reads, and what it goes by
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
    windows = [_Window.of(w.name, w.limit, w.remaining, w.reset_seconds, reserve_percent) for w in _known(quota)]
    stuck = next((w.name for w in windows if w.limit - w.reserve < _LEAST_ROOM), None)
    run = _Run([] if stuck else windows, seconds, most)
    described: list[dict[str, object]] = []
    for position, reading in enumerate(readings):
        before = run.total
        run.read(reading, recounts=recounts and position == 0)
        facts: dict[str, object] = {"entity": reading.entity, "operation": reading.operation}
        facts |= {"language": reading.language, "rows": reading.rows, "requests": run.total - before}
        described.append(facts)
    parts = sum(-(-rows // RECORDS_PER_PART) for rows in run.landed) + run.invocations - 1
    puts = parts + len({reading.language for reading in readings}) + 1 + run.invocations
    puts += run.invocations + 1 if incremental else 0
    billed = run.worked_seconds + OVERHEAD_SECONDS * run.invocations
    cost = cents(billed_seconds=billed, invocations=run.invocations, puts=puts)
    return Estimate(
        readings=described,
        records=sum(run.landed),
        requests={**run.requests, "total": run.total},
        quota=[window.as_dict(run.total) for window in (w.fresh() for w in windows)],
        binding=stuck or max(run.waited, key=lambda name: run.waited[name], default=None),
        minutes=None if stuck else round(run.now / 60, 2),
        invocations=None if stuck else run.invocations,
        cents=None if stuck else round(cost, 4),
        page_seconds=round(seconds, 3),
        prices=PRICES,
        lower_bounds=_lower_bounds(readings, most, stuck),
        assumptions=_assumptions(readings, quota, page_seconds, incremental=incremental),
    )


def _known(quota: Quota | None) -> Sequence[QuotaFacts]:
    return () if quota is None else quota.windows
