"""An estimate foretells the requests of the run; the simulated shop counts them."""

from collections.abc import Iterator
from typing import Any

import pytest

import lightspeed.listing.children
from connector.clients import AwsClients
from connector.errors import RequestError
from lightspeed import InvalidParameters
from tests.integration.subscribe.bundle import Bundle, Json, make_bundle, quote_event
from tests.shop import Shop
from tests.support.clock import FakeClock


def lines(**changes: object) -> Json:
    return {"entity": "orders/products", "parameters": {"path": {"order_id": "*"}}, **changes}


def listed(entity: str, **query: object) -> Json:
    return {"entity": entity, "parameters": {"query": query}}


def planned(bundle: Bundle, event: Json) -> Json:
    """Plan, forget the requests that this took, and let the second pass that they count for.

    The shop refuses no request then: threads share one clock here, so a request may reach it later than it was paced.
    """
    plan: Json = bundle.invoke({**event, "estimate": True})["estimate"]
    bundle.shop.requests.clear()
    bundle.clock.advance(2)
    bundle.shop.limits.rate_per_second = None
    return plan


TWO_READINGS = """[
    {"query": {"limit": 9, "created_at_max": "2026-10-01 00:00:00"}},
    {"query": {"limit": 4, "created_at_min": "2026-10-01 00:00:01"}}
]"""


@pytest.mark.parametrize(
    ("event", "requests"),
    [
        (quote_event(), 1),
        (listed("orders"), 2),
        (listed("orders", limit=30), 3),
        (listed("orders", limit=7), 7),
        (listed("orders", limit=1), 33),
        (listed("orders", status="new", limit=5), None),
        (listed("orders", updated_at_min="2100-01-01"), 2),
        (listed("taxes"), 4),
        (listed("taxes", limit=1), None),
        (listed("catalog", limit=20), 5),
        (listed("catalog", limit=6), 10),
        ({"entity": "brands", "languages": ["nl", "en"]}, 4),
        ({"entity": "account"}, 1),
        (lines(), 32),
        ({"entity": "orders", "mode": "incremental", "since": "2026-01-01"}, None),
        (lines(mode="incremental"), 32),
        ({**listed("orders", limit=2), "entity_transformer": "$"}, 19),
        ({**listed("orders", limit=2), "max_records": 5}, None),
        ({"entity": "orders", "max_records": 5}, 2),
        ({**listed("quotes"), "input_transformer": TWO_READINGS}, None),
    ],
    ids=str,
)
def test_an_estimate_names_every_request_of_the_run(bundle: Bundle, event: Json, requests: int | None) -> None:
    plan = planned(bundle, event)
    result, invocations = bundle.run_to_the_end(event)

    assert plan["requests"]["total"] == result["requests"] == len(bundle.shop.requests)
    assert requests in (None, plan["requests"]["total"])
    assert plan["invocations"] == invocations == 1
    assert plan["binding"] is None
    if plan["requests"]["children"] == 0:
        assert plan["records"] == result["records"]


@pytest.fixture
def scarce(aws: AwsClients, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bundle]:
    """A shop whose quota is used up again and again."""
    with Shop(orders=130, products=20, quota=(30, 60, 500), rate_per_second=None, clock=clock) as shop:
        yield make_bundle(aws, shop, clock, monkeypatch)


@pytest.mark.parametrize("event", [listed("orders", limit=2), listed("orders", limit=1), listed("taxes")], ids=str)
def test_an_estimate_knows_where_the_quota_interrupts_the_run(scarce: Bundle, event: Json) -> None:
    plan = planned(scarce, event)
    began = scarce.clock.time()
    result, invocations = scarce.run_to_the_end(event)
    minutes = (scarce.clock.time() - began) / 60

    assert plan["requests"]["total"] == result["requests"] == len(scarce.shop.requests)
    assert plan["invocations"] == invocations
    assert plan["binding"] == ("hour" if invocations > 1 else None)
    assert plan["minutes"] == pytest.approx(minutes, abs=0.5)


def test_an_estimate_knows_where_quota_interrupts_a_fan_out(scarce: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, since answers that overtake each other tell an older quota last."""
    monkeypatch.setattr(lightspeed.listing.children, "THREADS", 1)
    plan = planned(scarce, lines())
    result, invocations = scarce.run_to_the_end(lines())

    assert plan["requests"]["children"] == 130
    assert plan["requests"]["total"] == result["requests"] == len(scarce.shop.requests)
    assert plan["invocations"] == invocations


def test_an_estimate_asks_for_one_count_and_writes_nothing(bundle: Bundle) -> None:
    answer = bundle.invoke({"entity": "orders", "estimate": True}, request_id="request")

    assert bundle.sent == ["GET /nl/orders/count.json"]
    assert bundle.stored() == []
    assert {key: answer[key] for key in ("run_id", "connection", "entity", "status")} == {
        "run_id": "request",
        "connection": "default",
        "entity": "orders",
        "status": "estimate",
    }
    assert set(answer) == {"run_id", "connection", "entity", "status", "estimate"}
    assert answer["estimate"]["readings"] == [
        {"entity": "orders", "operation": "list", "language": "nl", "rows": 30, "requests": 2}
    ]
    assert answer["estimate"]["quota"][0] == {
        "name": "5 minutes",
        "limit": 300,
        "reserve": 30,
        "left": 269,
        "reset_seconds": 300,
        "windows": 1,
    }


def test_an_estimate_starts_at_the_bookmark(bundle: Bundle) -> None:
    event = {"entity": "orders", "mode": "incremental"}
    bundle.run_to_the_end(event)
    before = bundle.bookmark()

    assert planned(bundle, event)["records"] == 0
    assert bundle.bookmark() == before


def test_an_estimate_starts_where_a_killed_run_had_decided_to_go_on(bundle: Bundle) -> None:
    event = {"entity": "orders", "mode": "incremental"}
    bundle.run_to_the_end(event)
    finished = bundle.bookmark()["bookmark"]
    killed = {"bookmark": {}, "pending": {"manifests": {}, "bookmark": finished}}
    bundle.put("state/connection=default/orders.json", killed)

    assert planned(bundle, event)["records"] == 0
    assert bundle.bookmark() == killed


def test_the_fan_out_is_counted_by_parents(bundle: Bundle) -> None:
    plan = planned(bundle, lines())

    assert plan["requests"] == {"pages": 1, "counts": 1, "children": 30, "single": 0, "total": 32}
    assert plan["records"] is None
    assert any(text.startswith("records: those of parents") for text in plan["lower_bounds"])


def test_an_estimate_knows_that_a_shop_of_another_time_is_counted_again(bundle: Bundle) -> None:
    bundle.clock.ahead = 90.0
    event = {"entity": "orders"}

    assert planned(bundle, event)["requests"]["counts"] == 3
    assert bundle.run(event)["requests"] == 4


def test_an_estimate_of_a_reconcile_run_names_what_it_cannot_know(bundle: Bundle) -> None:
    event = {"entity": "orders", "mode": "reconcile"}
    bundle.run_to_the_end({"entity": "orders"})
    plan = planned(bundle, event)
    bundle.invoke(event)

    assert plan["requests"]["total"] == len(bundle.shop.requests)
    assert "requests: one more for each known id that the list no longer has" in plan["lower_bounds"]


def test_http_answers_an_estimate_at_once(bundle: Bundle) -> None:
    answer = bundle.http("POST", "/subscribe", {"entity": "orders", "estimate": True}, {"prefer": "respond-async"})

    assert answer.status == 200
    assert answer.json["status"] == "estimate"
    assert answer.json["estimate"]["requests"]["total"] == 2
    assert bundle.stored() == []


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"entity": "orders", "estimate": "yes"}, RequestError),
        ({"entity": "orders", "plan": True}, RequestError),
        ({"entity": "orders", "estimate": True, "cursor": "x"}, RequestError),
        (listed("orders", page=2) | {"estimate": True}, RequestError),
        (listed("orders", limit=900) | {"estimate": True}, InvalidParameters),
    ],
    ids=str,
)
def test_a_wrong_event_is_refused_before_anything_is_counted(
    bundle: Bundle, event: Json, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bundle.invoke(event)
    assert bundle.untouched


def test_an_estimate_changes_nothing_of_the_run_it_speaks_of(bundle: Bundle) -> None:
    event: dict[str, Any] = {"entity": "orders", "run_id": "monday"}
    bundle.invoke({**event, "estimate": True})
    result = bundle.invoke(event)

    assert result["status"] == "complete"
    assert "estimate" not in bundle.manifest(result)["request"]
