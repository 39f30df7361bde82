"""Runs of several invocations: cursors, quota, time, faults in between, invocations that were killed."""

from typing import Any

import pytest

from connector.errors import RequestError, RunInProgress
from connector.storage_keys import run_key
from lightspeed import AnswerLost, AuthenticationError, NotFound, NotSent, ServerError, TransportError
from tests.integration.subscribe.bundle import Bundle, quote_event
from tests.shop import Fault
from tests.support.clock import MONDAY_SIX

SMALL_PAGES: dict[str, Any] = {"entity": "orders", "parameters": {"query": {"limit": 5}}}
"""Thirty orders on six pages."""

Killed = type("Killed", (BaseException,), {})


def leave(bundle: Bundle, requests: int) -> None:
    """Leave so many requests above the reserve of ten per cent in the window of five minutes."""
    bundle.shop.limits.use(270 - requests)


def assert_all_orders(bundle: Bundle, result: dict[str, Any]) -> None:
    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    manifest = bundle.manifest(result)
    assert manifest["verified"] is True
    assert [part["key"] for part in manifest["parts"]] == result["objects"]
    assert set(result["objects"]) <= set(bundle.stored("raw/"))


def test_the_reserve_of_the_quota_ends_an_invocation(bundle: Bundle) -> None:
    leave(bundle, 4)

    partial = bundle.run(SMALL_PAGES, "run-1")

    assert partial["status"] == "partial"
    assert partial["manifest"] is None
    assert partial["resume_after_seconds"] == 300
    assert min(bundle.shop.limits.remaining) >= 30
    assert not bundle.stored("manifests/")


def test_the_cursor_goes_on_where_it_stopped(bundle: Bundle) -> None:
    leave(bundle, 4)
    first = bundle.run(SMALL_PAGES, "run-1")
    sent_before = len(bundle.shop.requests)
    bundle.clock.advance(300)

    result = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "another-request-id")

    assert result["run_id"] == "run-1"
    assert result["status"] == "complete"
    assert 0 < first["records"] < 30
    assert result["requests"] == len(bundle.shop.requests) > sent_before
    assert_all_orders(bundle, result)


def test_a_run_keeps_the_saved_transformers_that_it_began_with(bundle: Bundle) -> None:
    def save(name: str, expression: str) -> dict[str, str]:
        bundle.s3.put_object(Bucket=bundle.bucket, Key=f"config/transformers/{name}.jsonata", Body=expression.encode())
        return {"$ref": f"s3:config/transformers/{name}.jsonata"}

    reads, kept = '{"query": {"limit": 5}}', '{"kept": id}'
    event = {"entity": "orders", "input_transformer": save("reads", reads), "entity_transformer": save("kept", kept)}
    leave(bundle, 4)
    first = bundle.run(event, "run-1")
    save("reads", '{"query": {"limit": 7, "number": "none"}}')
    save("kept", '{"other": id}')
    bundle.clock.advance(300)

    result = bundle.run({**event, "cursor": first["cursor"]})

    assert (first["status"], result["status"]) == ("partial", "complete")
    assert sorted(record["kept"] for record in bundle.records(result)) == sorted(bundle.shop.store.ids("orders"))
    assert {request.query.get("limit") for request in bundle.shop.requests} == {None, "5"}
    assert bundle.json(run_key("run-1"))["transformers"] == {"input": [reads], "entity": [kept]}


def test_a_copy_with_an_older_cursor_goes_on_from_the_latest_state(bundle: Bundle) -> None:
    leave(bundle, 4)
    first = bundle.run(SMALL_PAGES, "run-1")
    bundle.clock.advance(300)
    leave(bundle, 3)
    second = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1")
    bundle.clock.advance(300)

    copy = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1")

    assert second["status"] == "partial"
    assert second["records"] > first["records"]
    assert copy["requests"] == len(bundle.shop.requests)
    assert (copy["connection"], copy["entity"]) == ("default", "orders")
    assert_all_orders(bundle, copy)


def test_a_run_is_refused_before_it_starts_while_another_one_of_the_subscription_is_paused(bundle: Bundle) -> None:
    event = {**SMALL_PAGES, "mode": "incremental"}
    leave(bundle, 4)
    partial = bundle.run(event, "run-1")
    sent = len(bundle.shop.requests)

    with pytest.raises(RunInProgress, match="run run-1 of subscription 'orders' is under way"):
        bundle.build_run(event, "run-2").check()
    bundle.build_run({**event, "cursor": partial["cursor"]}, "run-2").check()

    assert partial["status"] == "partial"
    assert len(bundle.shop.requests) == sent


def test_a_larger_reserve_stops_earlier(bundle: Bundle) -> None:
    bundle.shop.limits.use(100)

    assert bundle.run(SMALL_PAGES, reserve=80)["status"] == "partial"
    assert bundle.run(SMALL_PAGES, reserve=0)["status"] == "complete"


def test_a_cursor_that_is_resumed_early_says_partial_again(bundle: Bundle) -> None:
    leave(bundle, 4)
    first = bundle.run(SMALL_PAGES, "run-1")
    bundle.clock.advance(100)

    early = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1")

    assert early["status"] == "partial"
    assert early["records"] == first["records"]
    assert early["resume_after_seconds"] == 200
    bundle.clock.advance(200)
    assert_all_orders(bundle, bundle.run({**SMALL_PAGES, "cursor": early["cursor"]}, "run-1"))


def test_a_quota_that_is_back_in_seconds_is_waited_for(bundle: Bundle) -> None:
    bundle.clock.advance(297)
    leave(bundle, 2)

    result = bundle.run(SMALL_PAGES)

    assert result["status"] == "complete"
    assert max(bundle.clock.slept) <= 5


def test_no_time_left_ends_an_invocation(bundle: Bundle) -> None:
    partial = bundle.run(SMALL_PAGES, "run-1", remaining_seconds=lambda: 4.0)

    assert (partial["status"], partial["resume_after_seconds"], partial["records"]) == ("partial", 0, 0)
    assert bundle.sent == []
    assert_all_orders(bundle, bundle.run({**SMALL_PAGES, "cursor": partial["cursor"]}, "run-1"))


def test_time_that_runs_out_between_pages_lands_what_was_read(bundle: Bundle) -> None:
    def remaining() -> float:
        return 100.0 if len(bundle.shop.requests) < 3 else 1.0

    partial = bundle.run({**SMALL_PAGES, "max_records": 28}, "run-1", remaining_seconds=remaining)

    assert partial["status"] == "partial"
    assert partial["records"] == len(bundle.ids(partial)) > 0


def test_a_429_is_waited_out_and_never_an_error(bundle: Bundle) -> None:
    bundle.shop.limits.use(300)

    first = bundle.run({"entity": "orders"}, "run-1")

    assert (first["status"], first["records"], first["resume_after_seconds"]) == ("partial", 0, 300)
    bundle.clock.advance(300)
    assert_all_orders(bundle, bundle.run({"entity": "orders", "cursor": first["cursor"]}, "run-1"))


def test_a_429_of_seconds_is_waited_for_at_once(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(429, headers={"Retry-After": "2"}))

    assert bundle.run({"entity": "orders"})["status"] == "complete"
    assert 2 in bundle.clock.slept


def test_a_429_between_pages_goes_on_later(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(429, headers={"Retry-After": "60"}), after=3)

    result, invocations = bundle.run_to_the_end(SMALL_PAGES)

    assert invocations == 2
    assert_all_orders(bundle, result)


@pytest.mark.parametrize("order", ["-id", "id", "-updatedAt"])
def test_what_changes_between_invocations_is_neither_missed_nor_doubled(bundle: Bundle, order: Any) -> None:
    bundle.shop.habits.orders["orders"] = order
    leave(bundle, 4)
    first = bundle.run(SMALL_PAGES, "run-1")
    ids = bundle.shop.store.ids("orders")
    for gone in (ids[0], ids[11], ids[-1]):
        bundle.shop.store.delete("orders", gone)
    bundle.shop.store.update("orders", ids[5], {"status": "cancelled"})
    bundle.shop.store.add("orders", {"number": "NEW"})
    bundle.clock.advance(300)

    result = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1")

    landed = bundle.ids(result)
    assert len(landed) == len(set(landed))
    assert set(landed) >= set(ids) - {ids[0], ids[11], ids[-1]}
    assert bundle.manifest(result)["verified"] is True


def foreign(bundle: Bundle) -> str:
    bundle.shop.limits.use(290)
    cursor: str = bundle.run(SMALL_PAGES, "run-1")["cursor"]
    bundle.shop.requests.clear()
    return cursor


@pytest.mark.parametrize(
    "event",
    [
        {"entity": "products"},
        {"entity": "orders"},
        {**SMALL_PAGES, "language": "en"},
        {**SMALL_PAGES, "connection": "other"},
        {**SMALL_PAGES, "mode": "incremental"},
    ],
    ids=["entity", "query", "language", "connection", "mode"],
)
def test_a_cursor_of_another_request_is_refused(bundle: Bundle, event: dict[str, Any]) -> None:
    bundle.store_connection("other")
    cursor = foreign(bundle)

    with pytest.raises(RequestError, match="cursor belongs to another request"):
        bundle.run({**event, "cursor": cursor})

    assert bundle.sent == []


def test_a_cursor_of_another_run_is_refused(bundle: Bundle) -> None:
    cursor = foreign(bundle)

    with pytest.raises(RequestError, match="cursor belongs to run run-1, not run-2"):
        bundle.run({**SMALL_PAGES, "cursor": cursor, "run_id": "run-2"})

    assert bundle.sent == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.answers(500), ServerError),
        (Fault.answers(503), ServerError),
        (Fault.html(502), ServerError),
        (Fault.drops(), AnswerLost),
        (Fault.cuts_body(), AnswerLost),
    ],
    ids=["500", "503", "502 of a proxy", "dropped", "cut"],
)
def test_trouble_before_anything_landed_is_an_error_to_retry(
    bundle: Bundle, fault: Fault, error: type[Exception]
) -> None:
    bundle.shop.faults.next(fault, times=4)

    with pytest.raises((ServerError, TransportError)) as raised:
        bundle.run(SMALL_PAGES, "run-1")

    assert type(raised.value) is error
    assert bundle.stored() == []
    assert_all_orders(bundle, bundle.run(SMALL_PAGES, "run-1"))


def test_trouble_after_something_landed_goes_on_from_there(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(500), times=4, path_contains="/orders.json", after=4)
    event = {**SMALL_PAGES, "max_records": 29}

    partial = bundle.run(event, "run-1")

    assert partial["status"] == "partial"
    assert partial["records"] == len(bundle.ids(partial)) > 0
    assert 0 < partial["resume_after_seconds"] <= 10
    result = bundle.run({**event, "cursor": partial["cursor"]}, "run-1")
    assert len(set(bundle.ids(result))) == result["records"] == 29


def test_trouble_in_the_second_language_keeps_the_first(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(503), times=4, path_contains="/en/")
    event = {"entity": "brands", "languages": ["nl", "en"]}

    partial = bundle.run(event, "run-1")
    result = bundle.run({**event, "cursor": partial["cursor"]}, "run-1")

    assert partial["status"] == "partial"
    assert result["records"] == 2 * partial["records"]
    assert [request.path for request in bundle.shop.requests].count("/nl/brands.json") == 1


def test_a_fault_that_passes_is_not_seen(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(500), times=2)
    bundle.shop.faults.next(Fault.drops())

    assert_all_orders(bundle, bundle.run({"entity": "orders"}))


def test_a_page_that_is_too_large_is_halved(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(504), path_contains="/orders.json")

    result = bundle.run({"entity": "orders", "parameters": {"query": {"limit": 200}}})

    assert [request.query.get("limit") for request in bundle.shop.requests if "limit" in request.query][:2] == [
        "200",
        "100",
    ]
    assert_all_orders(bundle, result)


def test_a_record_that_is_not_there_is_not_found(bundle: Bundle) -> None:
    with pytest.raises(NotFound, match="404 Not found"):
        bundle.run(quote_event(parameters={"path": {"id": 7}}))

    assert bundle.stored() == []


def test_a_temporary_404_of_an_order_is_asked_again(bundle: Bundle) -> None:
    order = bundle.shop.store.ids("orders")[0]
    bundle.shop.faults.next(Fault.answers(404))

    assert bundle.ids(bundle.run({"entity": "orders", "parameters": {"path": {"id": order}}})) == [order]


def test_a_rotated_secret_is_picked_up_in_the_middle_of_a_run(bundle: Bundle) -> None:
    def rotate(_: Any) -> None:
        if len(bundle.shop.requests) == 2:
            bundle.shop.api_secret = "fake0secret0after0rotation"
            bundle.store_connection()

    bundle.shop.on_request(rotate)

    assert_all_orders(bundle, bundle.run(SMALL_PAGES))
    assert [request.status for request in bundle.shop.requests].count(401) >= 1


def test_credentials_that_are_wrong_are_tried_twice_and_named(bundle: Bundle) -> None:
    bundle.store_connection(api_secret="wrong0secret0of0somebody")

    with pytest.raises(AuthenticationError) as refused:
        bundle.run({"entity": "orders"})

    assert len(bundle.shop.requests) == 2
    assert "wrong0secret" not in str(refused.value)


def test_a_shop_that_moved_is_found_by_its_new_address(bundle: Bundle) -> None:
    run = bundle.build_run({"entity": "orders"}, "run-1")
    bundle.shop.close()
    bundle.shop.start()
    bundle.store_connection()

    assert_all_orders(bundle, run.invoke().body)


def test_a_shop_that_is_not_there_is_an_error_to_retry(bundle: Bundle) -> None:
    bundle.store_connection(base_url="http://127.0.0.1:9")

    with pytest.raises(NotSent, match=r"could not connect to http://127\.0\.0\.1:9: Connection refused"):
        bundle.run({"entity": "orders"})


def kill_on(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, key_part: str, *, after: bool) -> None:
    """Kill the invocation once, before or after it writes a key that contains this text."""
    inner = bundle.s3.put_object
    left = [1]

    def put_object(**arguments: Any) -> Any:
        due = key_part in arguments["Key"] and left and left.pop()
        if due and not after:
            raise Killed
        answer = inner(**arguments)
        if due:
            raise Killed
        return answer

    monkeypatch.setattr(bundle.s3, "put_object", put_object)


WRITES = [("/part-", False), ("/part-", True), ("state/runs", False), ("state/runs", True)]
ENDINGS = [*WRITES, ("manifests/", False), ("manifests/", True)]
MOVES = [*ENDINGS, ("state/connection", False), ("state/connection", True)]


@pytest.mark.parametrize(("where", "after"), ENDINGS, ids=str)
def test_a_full_run_that_was_killed_is_the_same_run_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, where: str, after: bool
) -> None:
    kill_on(bundle, monkeypatch, where, after=after)
    with pytest.raises(Killed):
        bundle.run(SMALL_PAGES, "run-1")
    bundle.clock.advance(60)
    bundle.shop.store.delete("orders", bundle.shop.store.ids("orders")[3])
    manifests = {key: bundle.body(key) for key in bundle.stored("manifests/")}

    result = bundle.run(SMALL_PAGES, "run-1")

    manifest = bundle.manifest(result)
    assert result["records"] == manifest["records"] in ((30,) if manifests else (29, 30))
    assert all(bundle.body(key) == body for key, body in manifests.items())


@pytest.mark.parametrize(("where", "after"), MOVES, ids=str)
@pytest.mark.parametrize("invocation", ["first", "second"])
def test_an_incremental_run_that_was_killed_is_the_same_run_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, where: str, after: bool, invocation: str
) -> None:
    event = {**SMALL_PAGES, "mode": "incremental"}
    leave(bundle, 4)
    if invocation == "second":
        first = bundle.run(event, "run-1")
        assert first["status"] == "partial"
        event = {**event, "cursor": first["cursor"]}
        bundle.clock.advance(300)
    kill_on(bundle, monkeypatch, where, after=after)
    if invocation == "first" and where == "manifests/":
        bundle.clock.advance(300)
    with pytest.raises(Killed):
        bundle.run(event, "run-1")
    bundle.clock.advance(300)
    bundle.shop.store.delete("orders", bundle.shop.store.ids("orders")[3])

    result, _ = bundle.run_to_the_end(event, "run-1")

    assert "superseded" not in result
    manifest = bundle.manifest(result)
    assert manifest["verified"] is True
    assert result["records"] == manifest["records"] in (29, 30)
    assert bundle.bookmark()["bookmark"]["until"] == result["bookmark"]["until"] == manifest["window"]["end"]
    again = bundle.run({**SMALL_PAGES, "mode": "incremental"}, "run-2")
    assert (again["status"], again["records"]) == ("complete", 0)


def test_parts_that_a_killed_invocation_left_are_named_by_no_manifest(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        kill_on(bundle, patched, "/part-", after=True)
        with pytest.raises(Killed):
            bundle.run({"entity": "products"}, "run-1")
    (left,) = bundle.stored("raw/")
    bundle.clock.advance(60)
    bundle.shop.store.delete("products", bundle.shop.store.ids("products")[3])

    result = bundle.run({"entity": "products"}, "run-1")

    assert bundle.stored("raw/") == sorted([left, *result["objects"]])
    assert left not in [part["key"] for part in bundle.manifest(result)["parts"]]


def test_a_resumed_run_that_has_ended_answers_what_it_answered(bundle: Bundle) -> None:
    leave(bundle, 4)
    first = bundle.run(SMALL_PAGES, "run-1")
    bundle.clock.advance(300)
    result = bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1")
    bundle.shop.store.delete("orders", bundle.shop.store.ids("orders")[0])
    sent = len(bundle.shop.requests)

    assert bundle.run({**SMALL_PAGES, "cursor": first["cursor"]}, "run-1") == result
    assert len(bundle.shop.requests) == sent
    assert bundle.clock.now() == MONDAY_SIX + 300
