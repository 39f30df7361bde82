"""The reads of a run, and their windows."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.errors import RequestError
from connector.transform.transformer import Transformers
from lightspeed import Parameters
from lightspeed.listing.window import Window
from subscribe.checks import subscribe_request
from subscribe.sync.read_plan import Read, languages_of, plan_reads, window_of

START = datetime(2026, 11, 23, 5, tzinfo=UTC)
END = datetime(2026, 11, 23, 6, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def plan(bookmark: str | None = None, **event: Any) -> list[Read]:
    request = subscribe_request({"entity": "orders", **event})
    transformers = Transformers(request.input_transformer) if request.input_transformer is not None else None
    until = None if bookmark is None else {"until": bookmark}
    return plan_reads(request, "nl", transformers, bookmark=until, now="2026-11-23T06:00:00Z", seed="run-1")


def window(**event: Any) -> tuple[Window | None, bool]:
    request = subscribe_request({"entity": "orders", **event})
    return window_of(request, plan(**event)[0], START, END)


def shape(reads: list[Read]) -> list[tuple[str, str, Parameters]]:
    return [(read.operation, read.language, read.parameters) for read in reads]


def test_a_list_is_read_in_the_connections_language() -> None:
    assert shape(plan()) == [("list", "nl", Parameters())]


def test_a_path_id_reads_one_record() -> None:
    assert shape(plan(parameters={"path": {"id": 7}}, language="en")) == [("get", "en", Parameters({"id": 7}))]


def test_a_singleton_is_read_as_one_record() -> None:
    assert shape(plan(entity="shop")) == [("get", "nl", Parameters())]


def test_languages_are_read_one_after_the_other() -> None:
    reads = plan(
        entity="products",
        languages=["en", "nl"],
        input_transformer='[{"query": {"brand": 1}}, {"query": {"brand": 2}}]',
    )

    assert [(read.language, read.parameters.query) for read in reads] == [
        ("en", {"brand": 1}),
        ("en", {"brand": 2}),
        ("nl", {"brand": 1}),
        ("nl", {"brand": 2}),
    ]
    assert languages_of(reads) == ["en", "nl"]


@pytest.mark.parametrize(
    ("entity", "transformer", "reads"),
    [
        ("orders", '[{"path": {"id": 7}}, {"path": {"id": "7"}}, {"path": {"id": 8}}]', 2),
        ("orders", '[{"path": {"id": 7}}, {"path": {"id": 7}, "query": {"fields": "id"}}]', 1),
        ("dashboard", '[{"query": {"date": "2026-11-22"}}, {"query": {"date": "2026-11-23"}}]', 2),
        ("dashboard", '[{"query": {"a": 1, "b": 2}}, {"query": {"b": 2, "a": 1}}]', 1),
    ],
)
def test_a_record_is_read_once_and_one_without_an_id_once_per_query(entity: str, transformer: str, reads: int) -> None:
    assert len(plan(entity=entity, input_transformer=transformer)) == reads


def test_an_input_transformer_sees_the_documented_input() -> None:
    seen = '{"query": {"seen": $join($keys($), " ") & " " & entity & " " & connection & " " & language & " " & now}}'

    reads = plan(input_transformer=seen)

    assert reads[0].parameters.query == {
        "seen": "path query payload connection entity language bookmark now orders default nl 2026-11-23T06:00:00Z"
    }


def test_an_input_transformer_sees_the_bookmark() -> None:
    reads = plan("2026-11-22T00:00:00Z", input_transformer='{"query": {"created_at_min": bookmark.until}}')

    assert reads[0].parameters.query == {"created_at_min": "2026-11-22T00:00:00Z"}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"parameters": {"query": {"page": 2}}}, "query page is not needed"),
        ({"input_transformer": '{"query": {"page": 2}}'}, "query page is not needed"),
        ({"parameters": {"query": {"id": 7}}}, 'id names one record and belongs in path: {"path": {"id": 7}}'),
        ({"mode": "incremental", "parameters": {"path": {"id": 7}}}, "mode incremental follows a list"),
        ({"mode": "incremental", "input_transformer": '{"path": {"id": 7}}'}, "mode incremental follows a list"),
        ({"mode": "incremental", "parameters": {"query": {"fields": "id"}}}, "leave out query fields"),
        (
            {"mode": "incremental", "parameters": {"query": {"updated_at_min": "2026-01-01"}}},
            "mode incremental sets updated_at_min and updated_at_max itself",
        ),
        (
            {"entity": "events", "mode": "incremental", "parameters": {"query": {"created_at_max": "2026-01-01"}}},
            "mode incremental sets created_at_min and created_at_max itself",
        ),
    ],
)
def test_what_the_run_decides_itself_is_refused(event: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        plan(**event)


def test_a_full_run_reads_what_was_created_up_to_now() -> None:
    assert window() == (Window("created_at", None, END), True)


def test_an_incremental_run_reads_what_changed() -> None:
    assert window(mode="incremental") == (Window("updated_at", START, END), True)


def test_an_incremental_run_without_updates_reads_what_was_created() -> None:
    assert window(entity="events", mode="incremental") == (Window("created_at", START, END), True)


def test_a_filter_may_let_rows_into_an_incremental_window_of_creation() -> None:
    query = {"parameters": {"query": {"order": 7}}}

    assert window(entity="orders/events", mode="incremental", **query)[1] is False
    assert window(mode="incremental", parameters={"query": {"status": "paid"}})[1] is True


def test_an_entity_without_times_has_no_window() -> None:
    assert window(entity="taxes") == (None, False)


@pytest.mark.parametrize(
    ("query", "expected", "closed"),
    [
        ({"created_at_max": "2026-11-22T12:00:00Z"}, Window("created_at", None, NOON), True),
        ({"created_at_min": "2026-11-22 12:00:00"}, Window("created_at", NOON, END), True),
        ({"created_at_max": "2030-01-01"}, Window("created_at", None, END), True),
        ({"updated_at_min": "2026-11-22 12:00:00"}, Window("updated_at", NOON, END), True),
        ({"status": "paid"}, Window("created_at", None, END), False),
        ({"limit": 50, "since_id": 3}, Window("created_at", None, END), True),
    ],
    ids=str,
)
def test_times_in_the_query_narrow_the_window(query: dict[str, Any], expected: Window, closed: bool) -> None:
    assert window(parameters={"query": query}) == (expected, closed)
