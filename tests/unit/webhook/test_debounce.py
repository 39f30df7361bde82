"""The rules by which webhooks start runs, one by one; `tests/property/test_webhooks.py` tries them together."""

import msgspec
import pytest

from connector.webhooks.window import LAG_SECONDS, MARGIN_SECONDS, Policy
from webhook.debounce import (
    LOST_TICK_SECONDS,
    POLL_SECONDS,
    Mark,
    Run,
    Status,
    Webhooks,
    add_webhooks,
    advance,
    execution_name,
    is_stale,
)

NOON = 1_795_435_200.0
POLICY = Policy()
EVENT = {"entity": "orders", "connection": "default", "mode": "incremental"}
CLEAN = Mark(event=EVENT)


def dirty(since: float = NOON, latest: float = NOON, **changes: object) -> Mark:
    return msgspec.structs.replace(CLEAN, since=since, latest=latest, tick_at=NOON, **changes)


def test_the_first_webhook_asks_for_a_tick_and_the_next_ones_do_not() -> None:
    mark, needs_tick = add_webhooks(CLEAN, Webhooks(NOON, NOON), NOON, POLICY)
    assert (needs_tick, mark.tick_at) == (True, NOON + LAG_SECONDS)

    later, needs_tick = add_webhooks(mark, Webhooks(NOON + 5, NOON + 5), NOON + 5, POLICY)
    assert (needs_tick, later.since, later.latest, later.tick_at) == (False, NOON, NOON + 5, NOON + LAG_SECONDS)


def test_a_burst_is_waited_for_but_never_longer_than_the_window() -> None:
    quiet = dirty(latest=NOON + 20)
    assert quiet.due(POLICY) == NOON + 20 + LAG_SECONDS
    assert dirty(latest=NOON + 55).due(POLICY) == NOON + POLICY.window_seconds - MARGIN_SECONDS


def test_a_run_covers_what_came_ten_seconds_before_it_and_the_rest_stays() -> None:
    start = NOON + 57
    mark, run = advance(dirty(latest=start - 1), "ended", start, POLICY, "k")

    assert run is not None
    assert (run.event, run.since) == (EVENT, NOON)
    assert (mark.since, mark.latest, mark.last_start) == (start - LAG_SECONDS, start - 1, start)
    assert mark.due(POLICY) == start + POLICY.window_seconds - MARGIN_SECONDS - LAG_SECONDS

    covered, _ = advance(dirty(latest=start - LAG_SECONDS), "ended", start, POLICY, "k")
    assert (covered.since, covered.latest) == (0.0, 0.0)


def test_a_tick_that_is_early_comes_again_when_the_run_is_due() -> None:
    mark, run = advance(dirty(latest=NOON + 5), "ended", NOON + 10, POLICY, "k")

    assert (run, mark.tick_at) == (None, NOON + 5 + LAG_SECONDS)


@pytest.mark.parametrize(
    ("status", "restarted", "open_"), [("running", False, True), ("missing", True, True), ("ended", False, False)]
)
def test_a_run_under_way_is_waited_for(status: Status, restarted: bool, open_: bool) -> None:
    under_way = msgspec.structs.replace(CLEAN, run=Run(NOON, NOON, name="r", event=EVENT), last_start=NOON)
    mark, run = advance(under_way, status, NOON + 8, POLICY, "k")

    assert (run == under_way.run) is restarted
    assert mark.is_open is open_
    assert mark.tick_at == (NOON + 8 + POLL_SECONDS if open_ else 0.0)


def test_a_superseded_run_is_followed_by_another_one() -> None:
    under_way = msgspec.structs.replace(CLEAN, run=Run(NOON - 20, NOON - 12, name="r", event=EVENT), last_start=NOON)
    mark, run = advance(under_way, "superseded", NOON + 8, POLICY, "k")

    assert (run, mark.run, mark.since, mark.latest) == (None, None, NOON - 20, NOON - 12)
    assert mark.tick_at == NOON + 47


def test_a_message_that_comes_twice_starts_nothing() -> None:
    known = msgspec.structs.replace(CLEAN, last_start=NOON + LAG_SECONDS)

    assert add_webhooks(known, Webhooks(NOON - 1, NOON), NOON + 60, POLICY) == (known, False)


def test_a_lost_tick_is_sent_again() -> None:
    late = NOON + LOST_TICK_SECONDS + 1
    _, needs_tick = add_webhooks(dirty(), Webhooks(late, late), late, POLICY)

    assert needs_tick
    assert not is_stale(dirty(), NOON - 5, late)


def test_only_the_newest_tick_counts() -> None:
    assert is_stale(dirty(), NOON - 5, NOON)
    assert not is_stale(dirty(), NOON, NOON)
    assert is_stale(CLEAN, 0.0, NOON)


def test_the_window_grows_on_a_busy_day_and_shrinks_on_the_next() -> None:
    midnight = NOON + 43_200
    busy = dirty(since=midnight - 20, latest=midnight - 15, runs=30, day="2026-11-23", last_start=midnight - 60)
    assert busy.due(POLICY) == midnight - 60 + 300 - MARGIN_SECONDS - LAG_SECONDS

    mark, run = advance(busy, "ended", midnight + 300, POLICY, "k")
    assert run is not None
    assert (mark.runs, mark.day) == (1, "2026-11-24")


def test_a_name_sorts_by_time_and_names_no_other_window() -> None:
    names = [execution_name("default#orders", NOON + number / 1000) for number in range(3)]

    assert names[0] == "20261123T120000-000-webhook-" + names[0][-16:]
    assert names == sorted(set(names))
    assert execution_name("default#products", NOON) != names[0]


def test_records_are_read_by_id_until_they_are_too_many_or_unknown() -> None:
    by_id = msgspec.structs.replace(CLEAN, by="id")
    few, _ = add_webhooks(by_id, Webhooks(NOON, NOON, ("1", "a-2", "1")), NOON, POLICY)
    many, _ = add_webhooks(few, Webhooks(NOON, NOON, tuple(map(str, range(11)))), NOON, POLICY)
    unknown, _ = add_webhooks(few, Webhooks(NOON, NOON, (), every=True), NOON, POLICY)

    events = [advance(mark, "ended", NOON + 20, POLICY, "k")[1] for mark in (few, many, unknown)]

    assert [run.event.get("ids") for run in events if run is not None] == [[1, "a-2"], None, None]
