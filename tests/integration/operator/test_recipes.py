"""Each recipe gives what the simulated shop has, and what the documentation shows."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connector.operator.data import recipes
from connector.operator.data.views import all_views
from connector.operator.main import main
from connector.operator.stack import Stack
from tests.integration.operator.shop_lake import DELETED, stored_shop
from tests.unit.operator.athena import Athena
from tests.unit.test_documents import commands

Rows = list[dict[str, Any]]
Ask = Callable[..., str]
GUIDE = Path(__file__).parents[3] / "functions/subscribe/README.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with stored_shop(tmp_path_factory.mktemp("lake")) as world:
        world.recorded = {
            name: world.shop.store.records(name, "nl") for name in ("orders", "products", "variants", "customers")
        }
        yield world


@pytest.fixture
def ask(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a recipe and return what it prints."""

    def run(recipe: str, *words: str) -> str:
        command = ["query", "--recipe", recipe, "--lake", str(world.folder), *words]
        status = main(command, open_stack=lambda name: Stack(name, clock=world.clock))
        found = capsys.readouterr()
        assert (status, found.err) == (0, "")
        return found.out

    return run


@pytest.fixture
def rows(ask: Ask) -> Callable[..., Rows]:
    def run(recipe: str, *words: str) -> Rows:
        lines = ask(recipe, "--format", "jsonl", *words).splitlines()
        return [json.loads(line, parse_float=Decimal) for line in lines]

    return run


def test_revenue_per_day(world: SimpleNamespace, rows: Callable[..., Rows]) -> None:
    expected: dict[str, list[Decimal]] = defaultdict(list)
    for order in world.recorded["orders"]:
        if order["status"] != "cancelled":
            expected[order["createdAt"][:10]].append(Decimal(str(order["priceIncl"])))

    found = {row["day"]: (row["orders"], row["revenue_incl"]) for row in rows("revenue-per-day")}
    assert found == {day: (len(prices), sum(prices)) for day, prices in expected.items()}


def test_stock_by_variant(world: SimpleNamespace, rows: Callable[..., Rows]) -> None:
    expected = {
        str(row["id"]): row["stockLevel"] for row in world.recorded["variants"] if row["stockTracking"] != "disabled"
    }
    found = rows("stock-by-variant")
    assert {row["variant_id"]: row["stock_level"] for row in found} | expected == {
        row["variant_id"]: row["stock_level"] for row in found
    }
    assert [row["stock_level"] for row in found] == sorted(row["stock_level"] for row in found)


def test_late_orders(world: SimpleNamespace, rows: Callable[..., Rows]) -> None:
    waiting = [row for row in world.recorded["orders"] if row["status"] == "processing_awaiting_shipment"]
    assert {row["id"] for row in rows("late-orders")} == {str(row["id"]) for row in waiting}
    assert rows("late-orders", "--param", "before=2020-01-01") == []


def test_customer_lifetime_value(world: SimpleNamespace, rows: Callable[..., Rows]) -> None:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for order in world.recorded["orders"]:
        customer = order["customer"]
        if order["status"] != "cancelled" and customer:
            expected[str(customer["resource"]["id"])] += Decimal(str(order["priceIncl"]))

    found = rows("customer-lifetime-value")
    assert {row["customer_id"]: row["revenue_incl"] for row in found} == expected
    assert [row["revenue_incl"] for row in found] == sorted(expected.values(), reverse=True)


def test_order_lines(world: SimpleNamespace, rows: Callable[..., Rows]) -> None:
    numbers = {str(order["id"]): order["number"] for order in world.recorded["orders"]}
    lines = [
        (number, str(line["id"]))
        for order, number in numbers.items()
        for line in world.shop.store.records("orders/products", "nl", int(order))
    ]
    found = rows("order-lines")
    assert sorted((row["number"], row["line_id"]) for row in found) == sorted(lines)
    kept = {row["title"] for row in world.recorded["products"]}
    assert {row["product_now"] for row in found} - {None} <= kept


def test_what_changed_since_yesterday(rows: Callable[..., Rows]) -> None:
    assert [(row["status"], row["what"]) for row in rows("changed")] == [("cancelled", "changed")] * 4
    assert len(rows("changed", "--param", "since=2000-01-01")) == 40


def test_what_was_deleted_this_week(rows: Callable[..., Rows]) -> None:
    found = rows("deleted")
    assert len(found) == DELETED
    assert all(row["title"] for row in found)
    assert rows("deleted", "--param", "since=2026-11-25") == []


def test_each_recipe_has_the_same_rows_in_athenas_sql(world: SimpleNamespace, ask: Ask) -> None:
    views = [all_views()[name] for name in ("orders", "orders_products", "products", "variants", "customers")]
    athena = Athena(world.folder, views)
    for name in recipes.names():
        rows = list(csv.reader(io.StringIO(ask(name, "--format", "csv"))))[1:]
        found = athena.ask(recipes.load(name).sql({}, world.clock.time()))
        assert rows, name
        assert rows == [["" if cell is None else str(cell) for cell in row] for row in found], name


@pytest.mark.parametrize("name", recipes.names())
def test_the_guide_shows_the_first_rows_of_each_recipe(name: str, ask: Ask) -> None:
    shown = re.search(rf"--recipe {name}\n```\n\n```text\n(.*?)\n```\n", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None, f"the guide has no result of {name}"
    printed = ask(name, "--format", "table").splitlines()
    assert shown[1].splitlines() == [*printed[:5], *(["…"] if len(printed) > 6 else []), printed[-1]]


READING = [words for _, words in commands("connector") if words[0] in ("query", "schema", "catalog")]


@pytest.mark.parametrize("words", READING, ids=[" ".join(words) for words in READING])
def test_every_command_of_the_pages_that_reads_records_runs(
    world: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lake").mkdir()
    place = [] if words[0] == "catalog" else ["--lake", str(world.folder)]

    assert main([*words, *place], open_stack=lambda name: Stack(name, clock=world.clock)) == 0
    printed = capsys.readouterr()
    without_rows = "--drift" in words and printed.err.startswith("connector: ")  # the summary of a comparison
    assert printed.out or without_rows or any((tmp_path / "lake").iterdir())
