"""Estimate a run before it starts. This asks the shop for counts, and stores nothing.

The client estimates requests and minutes. This module adds the invocations of the function and their price on AWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from connector.costs.prices import INVOCATION_SECONDS, PRICES, cents
from connector.timestamps import iso_text
from connector.transform import load
from lightspeed.estimate import Estimate, ListCounter, Reading, Span, estimate
from lightspeed.listing.opening import SETTLING_LAG
from lightspeed.listing.read_operation import check_parameters
from lightspeed.request import PAGE_LIMIT, parse_time
from subscribe.event import SubscribeRequest
from subscribe.run.run import Services
from subscribe.sync.bookmark import Bookmark
from subscribe.sync.bookmark_store import Bookmarks
from subscribe.sync.read_plan import Read, may_be_read_by_creation, plan_reads, window_of
from subscribe.sync.reader import batch_of

OVERHEAD_SECONDS = 1.0
"""Assumed: billed time of an invocation beside the shop's answers, for its start, the secret and the objects."""

RECORDS_PER_PART = 30_000
"""Assumed: records of one object of 8 MB (`parts.PART_BYTES`). A compressed order has a quarter of a kB."""

_ENDING_SECONDS = 5


def preview(request: SubscribeRequest, run_id: str, services: Services) -> dict[str, Any]:
    """Return the answer to an event with `estimate: true`.

    Args:
        request: A checked event.
        run_id: The id that the run would have.
        services: The clients and settings of this invocation. The client sends one count for each list of the run.

    Raises:
        RequestError: The parameters set something that only the run may set; nothing was sent.
        TransformError: A transformer failed; nothing was sent.
        CatalogueError: The transformed parameters are wrong; nothing was sent.
        LightspeedError: As the client raises it.
    """
    client, incremental = services.client, request.mode == "incremental"
    now = datetime.fromtimestamp(services.clock.time(), UTC).replace(microsecond=0)
    bookmarks = Bookmarks(services.bucket, request.connection, request.bookmark_name)
    bookmark = bookmarks.peek() if incremental else Bookmark()
    bookmark.check_entity(request.bookmark_name, request.entity)
    reads = plan_reads(
        request,
        client.transport.connection.language,
        load(request.input_transformer, services.library),
        bookmark=bookmark.to_json(),
        now=iso_text(now),
        seed=run_id,
    )
    for read in reads:
        check_parameters(client, request.endpoint, read.parameters, read.language)
    start = parse_time(request.since) if request.since is not None else None
    start = bookmark.start or start
    span = Span(now - SETTLING_LAG, start, incremental, batch_of(request, PAGE_LIMIT))
    counter = ListCounter(client)
    readings = [counter.reading(request.endpoint, read.parameters, read.language, span) for read in reads]
    plan = estimate(
        readings,
        counter.quota,
        reserve_percent=services.reserve_percent,
        most=request.max_records,
        page_seconds=counter.slowest_seconds,
        recounts=counter.recounts + sum(_creation_counts(request, read, bookmark, start, now) for read in reads),
    )
    if request.mode == "reconcile":
        plan.lower_bounds.append("requests: one more for each known id that the list no longer has")
        plan.assumptions.append("records are ids to compare; what is landed are tombstones")
    return {
        "run_id": run_id,
        "connection": request.connection,
        "entity": request.entity,
        "status": "estimate",
        "estimate": asdict(plan) | _cost(plan, readings, incremental=incremental),
    }


def _cost(plan: Estimate, readings: Sequence[Reading], *, incremental: bool) -> dict[str, Any]:
    """Return the invocations and the cents of a run; both are `None` if the run could never end.

    An invocation ends when the run waits for the quota, and when its time is over.
    """
    if plan.minutes is None:
        return {"invocations": None, "cents": None, "prices": PRICES}
    invocations = 1 + plan.waits + int(plan.work_seconds / (INVOCATION_SECONDS - _ENDING_SECONDS))
    languages = len({reading.language for reading in readings})
    parts = -(-(plan.records or 0) // RECORDS_PER_PART) + languages - 1 + invocations - 1
    puts = parts + languages + invocations + 1 + (invocations + 1 if incremental else 0)
    billed = plan.work_seconds + OVERHEAD_SECONDS * invocations
    cost = cents(billed_seconds=billed, invocations=invocations, puts=puts)
    assumed = f"each invocation is billed {OVERHEAD_SECONDS:g} s besides, and {RECORDS_PER_PART:,} records make a part"
    return {
        "invocations": invocations,
        "cents": round(cost, 4),
        "prices": PRICES,
        "assumptions": [*plan.assumptions, assumed],
    }


def _creation_counts(
    request: SubscribeRequest, read: Read, bookmark: Bookmark, start: datetime | None, now: datetime
) -> int:
    """Return how many requests a read sends to look for records that were never updated, if there are none."""
    if request.mode != "incremental" or read.operation == "get":
        return 0
    may_hide = may_be_read_by_creation(read)
    if bookmark.until is not None:
        return 2 if may_hide and bookmark.created_start(now) is not None else 0
    window, _ = window_of(request, read, start, now)
    if read.operation == "each" or window is None or window.by != "updated_at":
        return 0
    return 1 if start is None else 2 * int(may_hide)
