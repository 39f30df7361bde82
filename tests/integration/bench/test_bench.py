"""The bench runs the connector and counts right; what it measures is not tested."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench import measure, table
from tests.bench.contestants import CONNECTOR, LOOP, LOOP_LINES, fan_out, former
from tests.bench.pages import Pages, lines_of
from tests.bench.shop import Setup
from tests.bench.track import track


def test_the_connector_lands_a_thousand_records_with_one_request_a_page_and_its_counts() -> None:
    with track() as ground:
        figures = ground.run(CONNECTOR, Setup(1000), limit_seconds=60)
    assert figures.cost.failure == ""
    assert (figures.records, figures.pages, figures.refused, figures.errors) == (1000, 5, 0, 0)
    assert 1 <= figures.counts <= 3
    assert figures.cost.cpu_seconds > 0
    assert figures.cost.peak_megabytes > 10
    assert 0 < figures.landed_bytes < 1000 * 3800


def test_the_loop_needs_one_more_request_where_the_last_page_is_full_and_its_table_says_so() -> None:
    with track() as ground:
        figures = ground.run(LOOP, Setup(500), limit_seconds=60)
    assert (figures.records, figures.pages, figures.counts) == (500, 3, 0)
    runs = [measure.Run(LOOP, Setup(500), 0, figures)]
    assert table.failures(runs) == []
    assert "| requests loop | " in table.cost(runs)


def test_connector_and_loop_read_the_lines_of_every_order_and_no_more() -> None:
    with track() as ground:
        runs = [measure.Run(one, Setup(40), 0, ground.run(one, Setup(40))) for one in (fan_out(CONNECTOR), LOOP_LINES)]
        runs += [measure.Run(one, Setup(1), 0, ground.run(one, Setup(1))) for one in (fan_out(CONNECTOR), LOOP_LINES)]
    lines = sum(lines_of(order) for order in range(300_000_001, 300_000_041))
    assert [run.figures.records for run in runs[:2]] == [lines, lines]
    assert [run.figures.children for run in runs] == [40, 40, 2, 1]  # a page that nothing is larger than is read twice
    assert all(run.figures.errors == 0 for run in runs)
    assert table.failures(runs) == []
    assert f"| {lines} | 1 + 40 + 1 |" in table.children(runs)


def test_a_former_commit_is_started_by_its_own_program_which_knows_the_names_of_its_time() -> None:
    assert former("1234567", Path("/former")).command()[1] == "/former/tests/bench/programs/handler.py"


def test_pages_hold_every_id_once_and_the_largest_first() -> None:
    pages = Pages(7, [b'{"id":1,"createdAt":"a"}', b'{"id":2,"createdAt":"b"}'])
    rows = [row["id"] for page in (1, 2, 3) for row in json.loads(pages.body(page, 3))["orders"]]
    assert rows == sorted(set(rows), reverse=True)
    assert len(rows) == 7
    assert json.loads(pages.body(4, 3)) == {"orders": []}


def test_the_limits_dictate_a_window_for_every_forty_requests_and_a_second_for_twenty() -> None:
    assert [measure.Limits(pages * 250, 40, 10).dictated_seconds for pages in (38, 39, 59)] == [1, 10, 11]
