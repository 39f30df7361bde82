"""The command `estimate`, run in this process against the simulated shop."""

import json

import pytest

from lightspeed import Client
from lightspeed.catalogue.entities import get_entity
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import ListReader
from lightspeed.listing.shop_list import ShopList
from lightspeed.request import Parameters
from tests.integration.lightspeed.conftest import Connect, Run, problem
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock


def read_whole(client: Client, entity: str, limit: int) -> None:
    """Read a list as a run does that no window closes."""
    reader: ListReader[int] = ListReader(
        ShopList(client, get_entity(entity), Parameters(query={"limit": limit}), "nl", None),
        stable=False,
        checkpoint=ListCheckpoint(),
        process=len,
    )
    for _ in reader.pages():
        pass


def test_a_plan_is_a_short_table(run: Run, shop: Shop) -> None:
    status, out, err = run("estimate", "orders")
    rows = [line.split(None, 1) for line in out.splitlines()]

    assert (status, err) == (0, "")
    assert ["records", "30"] in rows
    assert ["requests", "2 (1 page, 1 count)"] in rows
    assert [
        "quota",
        "5 minutes: 269 of 300 requests left above the reserve of 30; needs 1 window",
    ] in rows
    assert "waits for    no window\n" in out
    assert "AWS" not in out
    assert "\nassumed      a page takes as long as the slowest count took just now\n" in out
    assert len(shop.requests) == 1


def test_the_same_as_data(run: Run) -> None:
    plan = json.loads(run("estimate", "orders", "--query", "limit=7", "--json")[1])

    assert plan["records"] == 30
    assert plan["requests"] == {"pages": 5, "counts": 2, "children": 0, "single": 0, "total": 7}
    assert [(window["name"], window["windows"]) for window in plan["quota"]] == [
        ("5 minutes", 1),
        ("hour", 1),
        ("day", 1),
    ]
    assert plan["binding"] is None


@pytest.mark.parametrize("limit", [1, 3, 5, 6, 7, 250])
def test_the_plan_of_an_unclosed_list_names_every_request(
    run: Run, connect: Connect, shop: Shop, clock: FakeClock, limit: int
) -> None:
    plan = json.loads(run("estimate", "taxes", "--query", f"limit={limit}", "--json")[1])
    shop.requests.clear()
    clock.advance(2)
    read_whole(connect(), "taxes", limit)

    assert plan["requests"]["total"] == len(shop.requests)


def test_a_plan_of_every_parent_counts_the_parents(run: Run, shop: Shop) -> None:
    plan = json.loads(run("estimate", "orders/products", "--path", "order_id=*", "--json")[1])

    assert plan["requests"]["children"] == 30
    assert [request.path for request in shop.requests] == ["/nl/orders/count.json"]


def test_a_plan_of_every_parent_does_not_claim_to_know_the_records(run: Run) -> None:
    status, out, err = run("estimate", "orders/products", "--path", "order_id=*")

    assert (status, err) == (0, "")
    assert out.startswith("records      not known\nrequests     ")


def test_one_record_is_one_request_and_nothing_is_asked(run: Run, shop: Shop) -> None:
    out = run("estimate", "orders", "--path", "id=7")[1]

    assert "requests     1 (1 record)\n" in out
    assert "quota        not known\n" in out
    assert "assumed      nothing was counted and so nothing timed: a page takes 0.5 s\n" in out
    assert shop.requests == []


def test_an_incremental_plan_counts_from_since_on(run: Run, shop: Shop) -> None:
    run("estimate", "orders", "--mode", "incremental", "--since", "2026-11-22T06:00:00Z")

    assert shop.requests[0].query == {
        "updated_at_min": "2026-11-22 06:00:00",
        "updated_at_max": "2026-11-23 06:00:00",
    }


def test_a_reserve_that_leaves_nothing_is_said(run: Run) -> None:
    out = run("estimate", "orders", "--reserve-percent", "100")[1]

    assert "waits for    the 5 minutes window, for ever\n" in out
    assert "is never enough\n" in out


def test_a_shop_that_refuses_is_one_line(run: Run, shop: Shop) -> None:
    shop.faults.next(Fault.answers(403))

    assert "403" in problem(run("estimate", "orders"), 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ordres"], "unknown entity 'ordres'"),
        (["orders", "--since", "2026-11-22"], "--since is for --mode incremental"),
        (["orders", "--mode", "incremental", "--since", "now"], "--since must be a time such as 2026-11-23T06:00:00Z"),
        (["taxes", "--mode", "incremental"], "taxes cannot be read incrementally: it has no time filter"),
        (["orders", "--reserve-percent", "101"], "--reserve-percent must be from 0 to 100"),
        (["orders", "--query", "page=2"], "--query page is not needed: every page is read"),
        (["orders", "--query", "limit=900"], "orders list: query limit must be from 1 to 250"),
        (["orders/products"], "orders/products list: path lacks order_id"),
        (["orders", "--path", "id=*"], "the id * is for the parent of a nested entity"),
    ],
    ids=str,
)
def test_a_wrong_command_is_refused_before_anything_is_counted(
    run: Run, shop: Shop, words: list[str], message: str
) -> None:
    assert message in problem(run("estimate", *words), 2)
    assert shop.requests == []
