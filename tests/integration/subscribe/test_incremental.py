"""Incremental runs: every change once, the bookmark last and only from where the run started."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connector.errors import AwsUnavailable, ConnectorError, RequestError, RunInProgress
from connector.storage_keys import run_key
from connector.timestamps import iso_text
from tests.integration.subscribe.bundle import Bundle
from tests.shop import Fault
from tests.support.clock import MONDAY_SIX

EVENT: dict[str, Any] = {"entity": "orders", "mode": "incremental"}
PAGED: dict[str, Any] = {**EVENT, "parameters": {"query": {"limit": 5}}}


def touch(bundle: Bundle, number: int, *, seconds_ago: float) -> int:
    """Let one order have changed so many seconds ago."""
    order = bundle.shop.store.ids("orders")[number]
    bundle.shop.store.update("orders", order, {"memo": f"{seconds_ago}"}, at=bundle.clock.now() - seconds_ago)
    return order


def next_hour(bundle: Bundle) -> None:
    bundle.clock.advance(3600)


def test_the_first_run_reads_everything_and_sets_the_bookmark(bundle: Bundle) -> None:
    result = bundle.run(EVENT)

    assert result["records"] == 30
    assert result["bookmark"] == {"until": "2026-11-23T05:59:55Z"}
    assert bundle.bookmark()["bookmark"]["until"] == "2026-11-23T05:59:55Z"
    assert bundle.manifest(result)["window"] == {"by": "created_at", "start": None, "end": "2026-11-23T05:59:55Z"}


def test_the_first_run_reads_records_that_were_never_changed(bundle: Bundle) -> None:
    never_changed = bundle.shop.store.ids("orders")[4]
    orders = bundle.shop.store.table("orders")
    orders.put({**(orders.row(never_changed) or {}), "updatedAt": None})

    result = bundle.run(EVENT)

    assert never_changed in bundle.ids(result)
    assert bundle.manifest(result)["verified"] is True


def test_the_first_run_stores_a_record_that_changed_after_its_window_once(bundle: Bundle) -> None:
    changed = bundle.shop.store.ids("orders")[4]
    bundle.shop.store.update("orders", changed)

    first = bundle.run(EVENT)
    bundle.clock.advance(30)
    second = bundle.run(EVENT)

    assert changed in bundle.ids(first)
    assert first["verified"] is True
    assert bundle.ids(second) == []


def test_the_first_run_in_several_languages_leaves_such_a_record_to_the_next_one_and_says_so(bundle: Bundle) -> None:
    event = {"entity": "products", "mode": "incremental", "languages": ["nl", "en"]}
    changed = bundle.shop.store.ids("products")[4]
    bundle.shop.store.update("products", changed)

    first = bundle.run(event)
    bundle.clock.advance(30)
    second = bundle.run(event)

    assert changed not in bundle.ids(first)
    assert (first["verified"], first["reason"][:45]) == (False, "records changed while they were read in sever")
    assert bundle.ids(second) == [changed, changed]


@pytest.mark.parametrize("more", [{}, {"estimate": True}])
def test_a_subscription_is_a_copy_of_one_entity(bundle: Bundle, more: dict[str, Any]) -> None:
    mine = {"subscription": "mine"}
    bundle.run(EVENT | mine)
    next_hour(bundle)
    asked = len(bundle.shop.requests)

    with pytest.raises(RequestError, match="subscription 'mine' is a copy of orders; name another one for products"):
        bundle.run({"entity": "products", "mode": "incremental"} | mine | more)

    assert len(bundle.shop.requests) == asked
    assert bundle.run(EVENT | mine)["verified"] is True


def test_a_first_run_whose_filter_may_hide_records_says_so(bundle: Bundle) -> None:
    status = {"parameters": {"query": {"status": "completed_shipped"}}}
    hidden = bundle.records(bundle.run({"entity": "orders", **status}))[0]["id"]
    bundle.shop.store.update("orders", hidden, updatedAt=None)

    result = bundle.run({**EVENT, **status})

    assert hidden not in bundle.ids(result)
    assert (result["verified"], result["reason"][:39]) == (False, "1 records have no time of change, or ch")


def test_the_next_run_lands_what_changed_since_and_nothing_else(bundle: Bundle) -> None:
    bundle.run(EVENT)
    next_hour(bundle)
    changed = touch(bundle, 3, seconds_ago=600)

    result = bundle.run(EVENT)

    assert bundle.ids(result) == [changed]
    manifest = bundle.manifest(result)
    assert manifest["window"]["start"] == "2026-11-23T05:58:55Z"
    assert manifest["verified"] is True


def test_without_a_change_nothing_is_landed_but_a_manifest(bundle: Bundle) -> None:
    bundle.run(EVENT)
    next_hour(bundle)

    result = bundle.run(EVENT)

    assert (result["records"], result["objects"]) == (0, [])
    assert result["bookmark"] == {"until": "2026-11-23T06:59:55Z"}


def test_a_record_in_the_overlap_is_not_landed_again(bundle: Bundle) -> None:
    touch(bundle, 3, seconds_ago=30)
    bundle.run(EVENT)
    bundle.clock.advance(120)

    assert bundle.run(EVENT)["records"] == 0


def test_a_record_that_changes_again_in_the_overlap_is_landed_again(bundle: Bundle) -> None:
    touch(bundle, 3, seconds_ago=30)
    bundle.run(EVENT)
    order = touch(bundle, 3, seconds_ago=10)
    bundle.clock.advance(120)

    assert bundle.ids(bundle.run(EVENT)) == [order]


def test_a_change_that_settled_late_is_found_in_the_overlap(bundle: Bundle) -> None:
    bundle.run(EVENT)
    late = touch(bundle, 3, seconds_ago=30)
    bundle.clock.advance(120)

    assert bundle.ids(bundle.run(EVENT)) == [late]


@pytest.mark.parametrize("step", [1, 7, 61])
def test_every_change_is_landed_once_over_many_runs(bundle: Bundle, step: int) -> None:
    def landed() -> Iterator[str]:
        for record in bundle.records(bundle.run(EVENT)):
            yield f"{record['id']} {record['updatedAt']}"

    seen = list(landed())
    expected = set(seen)
    for number in range(12):
        bundle.clock.advance(step)
        order = bundle.shop.store.ids("orders")[number % 5]
        bundle.shop.store.update("orders", order, {"memo": str(number)})
        text = json.loads(bundle.shop.store.text("orders", order, "nl") or "")
        expected.add(f"{order} {text['updatedAt']}")
        bundle.clock.advance(step)
        if number % 2:
            seen += landed()
    bundle.clock.advance(100)
    seen += landed()

    assert len(seen) == len(set(seen))
    latest = {text.split()[0]: text for text in sorted(expected)}
    assert set(latest.values()) <= set(seen)


def test_since_is_where_a_run_without_bookmark_starts(bundle: Bundle) -> None:
    changed = touch(bundle, 3, seconds_ago=600)

    result = bundle.run({**EVENT, "since": "2026-11-23T05:00:00Z"})

    assert bundle.ids(result) == [changed]
    assert bundle.manifest(result)["window"]["start"] == "2026-11-23T05:00:00Z"


@pytest.mark.parametrize("since", ["2026-11-23", "2026-11-23T00:00:00", "2026-11-23T01:00:00+01:00"])
def test_since_takes_any_iso_form(bundle: Bundle, since: str) -> None:
    result = bundle.run({**EVENT, "since": since})

    assert bundle.manifest(result)["window"]["start"] == "2026-11-23T00:00:00Z"


def test_since_does_not_move_a_bookmark_that_is_there(bundle: Bundle) -> None:
    bundle.run(EVENT)

    result = bundle.run({**EVENT, "since": "2020-01-01"})

    assert bundle.manifest(result)["window"]["start"] == "2026-11-23T05:58:55Z"


def test_since_in_the_future_lands_nothing_and_is_no_error(bundle: Bundle) -> None:
    assert bundle.run({**EVENT, "since": "2030-01-01"})["records"] == 0


def test_a_full_run_leaves_the_bookmark_alone(bundle: Bundle) -> None:
    bundle.run(EVENT)
    before = bundle.bookmark()
    next_hour(bundle)

    result = bundle.run({"entity": "orders"})

    assert result["bookmark"] is None
    assert bundle.bookmark() == before


def test_subscriptions_have_a_bookmark_each(bundle: Bundle) -> None:
    paid = {**EVENT, "subscription": "orders/paid", "parameters": {"query": {"paymentStatus": "paid"}}}

    bundle.run(EVENT)
    bundle.run(paid)

    assert bundle.stored("state/connection") == [
        "state/connection=default/orders.json",
        "state/connection=default/orders.paid.json",
    ]


def test_max_records_leaves_the_bookmark_where_it_is(bundle: Bundle) -> None:
    bundle.run(EVENT)
    next_hour(bundle)
    changed = {touch(bundle, number, seconds_ago=600) for number in range(5)}

    stopped = bundle.run({**EVENT, "max_records": 2})
    result = bundle.run(EVENT)

    assert stopped["records"] == 2
    assert stopped["bookmark"] == {"until": "2026-11-23T05:59:55Z"}
    assert bundle.manifest(stopped)["reason"] == "stopped after max_records"
    assert set(bundle.ids(result)) == changed


def test_an_entity_with_creation_times_only_is_followed_by_those(bundle: Bundle) -> None:
    event = {"entity": "events", "mode": "incremental"}
    bundle.run(event)
    next_hour(bundle)
    new = bundle.shop.store.add("events", {}, at=bundle.clock.now() - 60)

    result = bundle.run(event)

    assert bundle.ids(result) == [new]
    assert bundle.manifest(result)["window"]["by"] == "created_at"


@pytest.mark.parametrize("hours", [-30, 30])
def test_the_bookmark_goes_by_the_shops_clock(bundle: Bundle, hours: int) -> None:
    bundle.clock.ahead = hours * 3600.0
    bundle.run(EVENT)
    next_hour(bundle)
    changed = touch(bundle, 3, seconds_ago=600)

    result = bundle.run(EVENT)

    assert result["bookmark"] == {"until": "2026-11-23T06:59:55Z"}
    assert bundle.ids(result) == [changed]


def test_the_bookmark_moves_after_the_manifest(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, bool]] = []
    inner = bundle.s3.put_object

    def put_object(**arguments: Any) -> Any:
        key, body = arguments["Key"], bytes(arguments["Body"])
        written.append((key, b'"until"' in body and json.loads(body).get("bookmark", {}).get("until") is not None))
        return inner(**arguments)

    monkeypatch.setattr(bundle.s3, "put_object", put_object)

    result = bundle.run(EVENT)

    manifest = [key for key, _ in written].index(result["manifest"])
    moves = [position for position, (key, moved) in enumerate(written) if "state/connection" in key and moved]
    assert moves
    assert min(moves) > manifest
    assert [key for key, _ in written].count(result["manifest"]) == 1


def test_a_bookmark_is_written_on_condition_of_what_it_was(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions: list[bool] = []
    inner = bundle.s3.put_object

    def put_object(**arguments: Any) -> Any:
        if "state/connection" in arguments["Key"] or arguments["Key"].startswith("manifests/"):
            conditions.append("IfMatch" in arguments or "IfNoneMatch" in arguments)
        return inner(**arguments)

    monkeypatch.setattr(bundle.s3, "put_object", put_object)

    bundle.run(EVENT)
    bundle.run(EVENT)

    assert conditions
    assert all(conditions)


def partial(bundle: Bundle, run_id: str = "run-1") -> dict[str, Any]:
    """Begin a run that the quota stops."""
    bundle.shop.faults.next(Fault.answers(429, headers={"Retry-After": "60"}), after=3)
    result = bundle.run(PAGED, run_id)
    bundle.shop.faults.clear()
    assert result["status"] == "partial"
    return result


def test_a_run_that_goes_on_later_keeps_others_out(bundle: Bundle) -> None:
    partial(bundle)
    bundle.shop.requests.clear()

    with pytest.raises(RunInProgress, match="run run-1 of subscription 'orders' is under way"):
        bundle.run(PAGED, "run-2")

    assert bundle.sent == []


def test_no_run_keeps_others_out_for_more_than_a_day(bundle: Bundle) -> None:
    bundle.shop.faults.next(Fault.answers(429, headers={"Retry-After": "86400"}))
    result = bundle.run(PAGED, "run-1")

    with pytest.raises(RunInProgress):
        bundle.run(PAGED, "run-2")
    bundle.clock.advance(86_400)

    assert result["resume_after_seconds"] < 86_400
    assert bundle.run(PAGED, "run-3")["status"] == "complete"


@pytest.mark.parametrize("hours", [-30, 30])
def test_others_are_kept_out_whatever_the_shops_clock_says(bundle: Bundle, hours: int) -> None:
    bundle.clock.ahead = hours * 3600.0
    partial(bundle)

    with pytest.raises(RunInProgress):
        bundle.run(PAGED, "run-2")

    bundle.clock.advance(3600)
    assert bundle.run(PAGED, "run-3")["status"] == "complete"


def test_another_subscription_is_not_kept_out(bundle: Bundle) -> None:
    partial(bundle)

    assert bundle.run({**EVENT, "subscription": "other"}, "run-2")["status"] == "complete"
    assert bundle.run({"entity": "orders"}, "run-3")["status"] == "complete"


def test_a_run_that_was_given_up_is_overtaken_and_its_cursor_counts_for_nothing(bundle: Bundle) -> None:
    given_up = partial(bundle)
    bundle.clock.advance(2 * 3600)
    other = bundle.run(PAGED, "run-2")

    result = bundle.run({**PAGED, "cursor": given_up["cursor"]}, "run-1")

    assert other["status"] == "complete"
    assert result["status"] == "complete"
    assert (result["superseded"], result["verified"], result["manifest"], result["objects"]) == (True, False, None, [])
    assert result["bookmark"] == other["bookmark"]
    assert not [key for key in bundle.stored("manifests/") if "run-1" in key]
    assert bundle.run({**PAGED, "cursor": given_up["cursor"]}, "run-1") == result


def test_of_two_runs_at_once_one_counts(bundle: Bundle) -> None:
    other: list[dict[str, Any]] = []

    def meanwhile(request: Any) -> None:
        if request.path == "/nl/orders.json" and not other:
            other.append({})
            other[0] = bundle.run(EVENT, "run-2")

    bundle.shop.on_request(meanwhile)

    result = bundle.run(EVENT, "run-1")

    assert result["superseded"] is True
    assert other[0]["status"] == "complete"
    assert bundle.stored("manifests/") == [other[0]["manifest"]]
    assert bundle.bookmark()["bookmark"]["run_id"] == "run-2"


def overtaken_while_another_copy_decides(bundle: Bundle, seconds_ago: float) -> Any:
    """Run a copy of run-1; meanwhile run-2 counts, and another copy of run-1 notes that it is about to decide."""
    begun: list[object] = []

    def meanwhile(request: Any) -> None:
        if request.path == "/nl/orders.json" and not begun:
            begun.append(request)
            bundle.run(EVENT, "run-2")
            noted = datetime.fromtimestamp(bundle.clock.now() - seconds_ago, UTC)
            entry = {**bundle.json(run_key("run-2")), "run_id": "run-1", "status": "deciding", "manifest": None}
            bundle.put(run_key("run-1"), {**entry, "copy": "another", "noted_at": iso_text(noted)})

    bundle.shop.on_request(meanwhile)
    return bundle.run(EVENT, "run-1")


def test_a_copy_that_was_overtaken_leaves_the_run_to_a_copy_that_is_about_to_decide_it(bundle: Bundle) -> None:
    with pytest.raises(AwsUnavailable, match="send the same event again"):
        overtaken_while_another_copy_decides(bundle, seconds_ago=60)

    assert bundle.json(run_key("run-1"))["status"] == "deciding"


def test_a_copy_that_was_overtaken_ends_a_run_whose_other_copy_was_killed(bundle: Bundle) -> None:
    result = overtaken_while_another_copy_decides(bundle, seconds_ago=3600)

    assert result["superseded"] is True
    assert bundle.json(run_key("run-1"))["status"] == "complete"


def test_a_run_killed_between_manifest_and_bookmark_is_adopted_by_the_next(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = bundle.s3.put_object
    killed: list[str] = []

    def put_object(**arguments: Any) -> Any:
        if killed:
            raise ClientError({"Error": {"Code": "Killed"}}, "PutObject")
        if arguments["Key"].startswith("manifests/"):
            killed.append(arguments["Key"])
        return inner(**arguments)

    with monkeypatch.context() as patched:
        patched.setattr(bundle.s3, "put_object", put_object)
        with pytest.raises(ClientError):
            bundle.run(EVENT, "run-1")
    next_hour(bundle)
    changed = touch(bundle, 3, seconds_ago=600)

    result = bundle.run(EVENT, "run-2")

    assert bundle.ids(result) == [changed]
    assert bundle.manifest(result)["window"]["start"] == "2026-11-23T05:58:55Z"
    manifests = bundle.stored("manifests/")
    assert sorted(manifests) == sorted([killed[0], result["manifest"]])


def test_a_run_that_fails_after_its_first_invocation_does_not_block_for_ever(bundle: Bundle) -> None:
    partial(bundle)
    bundle.clock.advance(60 + 20 * 60 + 1)

    assert bundle.run(PAGED, "run-2")["status"] == "complete"
    assert bundle.clock.now() > MONDAY_SIX


def test_languages_share_one_bookmark(bundle: Bundle) -> None:
    event = {"entity": "products", "mode": "incremental", "languages": ["nl", "en"]}
    bundle.run(event)
    next_hour(bundle)
    product = bundle.shop.store.ids("products")[0]
    bundle.shop.store.update("products", product, {"isVisible": False}, at=bundle.clock.now() - 600)

    result = bundle.run(event)

    assert bundle.ids(result) == [product, product]
    assert [key.split("/")[3] for key in result["objects"]] == ["lang=nl", "lang=en"]


@pytest.mark.parametrize(
    "text", ['{"until": "2026', '{"bookmark": "2026-01-01"}', '{"bookmark": {"until": "yesterday"}}', "[]"]
)
def test_a_bookmark_that_somebody_broke_is_named(bundle: Bundle, text: str) -> None:
    key = "state/connection=default/orders.json"
    bundle.s3.put_object(Bucket=bundle.bucket, Key=key, Body=text.encode())

    with pytest.raises(ConnectorError, match=f"the bookmark {key} cannot be read: .*or delete it to start again"):
        bundle.run(EVENT)

    assert bundle.sent == []
    assert bundle.body(key) == text.encode()
