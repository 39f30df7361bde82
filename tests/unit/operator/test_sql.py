"""The SQL of views and recipes: one meaning in Athena and DuckDB."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
import sqlglot

from connector.operator.data import recipes
from connector.operator.data.athena import MANIFESTS, parts_query
from connector.operator.data.views import FUNCTIONS, EntityViews, all_views, views_of
from connector.operator.main import main
from lightspeed import CATALOGUE
from tests.sql_lint import offences
from tests.unit.operator.athena import Athena
from tests.unit.operator.lake import into, store_run

VIEWS = [views_of(endpoint) for endpoint in CATALOGUE.values()]
NOW = 1_795_413_600


def test_the_list_of_functions_is_short() -> None:
    assert len(FUNCTIONS) <= 12


@pytest.mark.parametrize("views", [all_views()[name] for name in ("orders", "orders_products", "variants", "shop")])
def test_views_use_functions_of_the_list_only(views: object) -> None:
    assert [o for sql in views.queries().values() for o in offences(sql)] == []  # type: ignore[attr-defined]
    assert offences(parts_query(views, "bucket")) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_use_functions_of_the_list_only(name: str) -> None:
    assert offences(recipes.load(name).sql({}, NOW)) == []


@pytest.mark.parametrize(
    ("sql", "offence"),
    [
        ("SELECT date_diff('day', a, b) FROM t", "DateDiff"),
        ("SELECT CAST(a AS TIMESTAMP) FROM t", "CAST to TIMESTAMP"),
        ("SELECT CAST(a AS DOUBLE) FROM t", "CAST to DOUBLE"),
        ("SELECT lower(a) FROM t", "Lower"),
        ("SELECT home_made(a) FROM t", "home_made"),
        ("SELECT row_number() OVER (PARTITION BY a) FROM t", "RowNumber"),
        ("SELECT a LIKE 'x%' FROM t", "Like"),
        ("SELECT a + 1 FROM t", "Add"),
    ],
)
def test_what_is_not_on_the_list_is_found(sql: str, offence: str) -> None:
    assert offence in offences(sql)


@pytest.mark.parametrize("views", [all_views()[name] for name in ("orders", "orders_products", "variants", "shop")])
def test_the_reserved_word_date_is_quoted_in_views(views: EntityViews) -> None:
    queries = [*views.queries().values(), parts_query(views, "bucket")]

    assert [sql for sql in queries if re.search(r'(?i)(?<!")\bdate\b(?!")', sql)] == []


@pytest.mark.parametrize("name", recipes.names())
def test_the_reserved_word_date_is_quoted_in_recipes(name: str) -> None:
    sql = re.sub("'[^']*'", "", recipes.load(name).sql({}, NOW))

    assert re.search(r'(?i)(?<!")\bdate\b(?!")', sql) is None


def test_no_view_guesses_types_or_lists_a_bucket(tmp_path: Path) -> None:
    store_run(into(tmp_path), "a", "2026-11-01T00:00:00Z", ['{"id":1}'])
    saved = tmp_path / "saved.sql"
    assert main(["query", "orders_current", "--lake", str(tmp_path), "--save-sql", str(saved)]) == 0

    text = saved.read_text(encoding="utf-8")
    assert "read_csv([" in text
    assert "columns = {'json': 'VARCHAR'}, auto_detect = false" in text
    assert [word for word in ("read_json", "read_ndjson(", "httpfs", "s3://", "*.") if word in text] == []


def test_what_trino_does_not_parse_is_an_error() -> None:
    with pytest.raises(sqlglot.errors.ParseError):
        offences("SELECT FROM WHERE")


def test_every_name_is_one_that_glue_takes_and_belongs_to_one_entity() -> None:
    names = [name for views in VIEWS for name in (*views.names, views.name + MANIFESTS)]

    assert [name for name in names if not re.fullmatch(r"[a-z0-9_]{1,255}", name)] == []
    assert len(set(names)) == len(names)


def test_athenas_views_have_the_rows_of_duckdbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Odd rows, several languages, repeated runs, tombstones, a replaced run, and a run without manifest."""
    put = into(tmp_path)
    odd = [
        '{"id":1,"updatedAt":"2026-10-25T02:30:00+02:00","priceIncl":12.50,"status":"new"}',
        '{"id":2,"updatedAt":false,"createdAt":"2026-01-01T00:00:00Z","priceIncl":false,"customer":false}',
        '{"id":3,"updatedAt":{"a":1},"priceIncl":"7","ID":9,"customer":{"resource":{"id":77}}}',
        '{"id":"4","updatedAt":"never","status":{"a":"\\u00e9\\/"}}',
        '{"updatedAt":null}',
    ]
    later = '{"id":1,"updatedAt":"2026-10-25T02:10:00+01:00","priceIncl":1e2}'
    store_run(put, "a", "2026-11-01T00:00:00Z", odd)
    store_run(put, "b", "2026-11-02T00:00:00Z", [*odd, later], language="en")
    store_run(put, "c", "2026-11-03T00:00:00Z", odd[:3], connection="outlet")
    store_run(put, "lost", "2026-11-04T00:00:00Z", odd, finished=False)
    again = {"id": 3, "last_seen": "", "noticed_at": "2026-11-02T12:00:00Z"}
    gone = {"id": 2, "last_seen": "", "noticed_at": "2026-11-06T12:00:00Z"}
    store_run(put, "r", "2026-11-02T10:00:00Z", deleted=[again, gone])
    replaced = store_run(put, "d", "2026-11-05T00:00:00Z", odd)
    parts = json.loads((tmp_path / replaced).read_bytes())["parts"]
    own = [{**parts[0], "run_id": "own", "started": "2026-11-05T00:00:01Z"}]
    store_run(put, "2026-11-05-compact", "2026-11-05T00:00:00Z", parts=own, replaces=[replaced])

    athena = Athena(tmp_path, [all_views()["orders"]])
    for name in ("orders", "orders_current", "orders_gone", "orders_tombstones", "orders_unreadable"):
        assert main(["query", name, "--lake", str(tmp_path), "--format", "csv"]) == 0
        rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
        expected = [["" if cell is None else str(cell) for cell in row] for row in athena.ask(f"TABLE {name}")]
        assert rows, name
        assert sorted(rows) == sorted(expected), name
    assert athena.ask("SELECT id FROM orders WHERE run_id = 'own' AND id IS NULL") == [(None,)]


def test_a_whole_number_is_never_cast_from_text() -> None:
    """Trino refuses the text 7.5 and 1e2 as BIGINT; DuckDB takes it. Both round a DECIMAL in the same way."""
    for views in (all_views()[name] for name in ("orders_products", "variants")):
        for query in views.queries().values():
            for cast in sqlglot.parse_one(query, dialect="trino").find_all(sqlglot.exp.Cast):
                if cast.to.is_type("bigint"):
                    assert isinstance(cast.this, sqlglot.exp.TryCast), views.name
                    assert cast.this.to.is_type("decimal"), views.name


def test_whole_numbers_of_every_form_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = {"7": 7, '"7"': 7, "7.5": 8, '"7.50"': 8, "1e2": 100, "-0.4": 0, "false": None, '"x"': None, "1e30": None}
    rows = [f'{{"id":{number},"stockLevel":{level}}}' for number, level in enumerate(levels)]
    store_run(into(tmp_path), "a", "2026-11-01T00:00:00Z", rows, entity="variants")

    sql = "SELECT stock_level FROM variants ORDER BY CAST(id AS BIGINT)"
    assert main(["query", sql, "--lake", str(tmp_path), "--format", "json"]) == 0
    found = [row["stock_level"] for row in json.loads(capsys.readouterr().out)]
    assert found == list(levels.values())
    assert [row[0] for row in Athena(tmp_path, [all_views()["variants"]]).ask(sql)] == found


def odd_rows(field: str) -> list[str]:
    """Rows whose fields have every type that the shop is known to write, and some that it is not."""
    values = ["false", "null", "7", '"7.50"', '""', '{"resource":{"id":3}}', "[]", "12345678901234567.25", "1e2"]
    return [f'"{field}":{value}' for value in values]


def store_odd_shop(folder: Path) -> None:
    """Store odd rows of every entity of the recipes: two languages, two shops, runs again, tombstones, a lost run."""
    put = into(folder)
    fields = {
        "orders": ("priceIncl", "status", "customer", "createdAt", "number"),
        "orders/products": ("product", "quantityOrdered", "priceIncl", "productTitle"),
        "products": ("title", "visibility", "brand"),
        "variants": ("stockLevel", "stockTracking", "stockAlert", "product", "sku"),
        "customers": ("type", "isConfirmed"),
    }
    for entity, names in fields.items():
        odd = [row for name in names for row in odd_rows(name)]
        base = (
            '"createdAt":"2026-11-22T10:00:00+01:00","status":"processing_awaiting_shipment","title":"T","order_id":5'
        )
        lines = [f'{{"id":{number},{base},{row}}}' for number, row in enumerate(odd, 1)]
        changed = [
            line.replace("10:00:00", "11:00:00").replace("{", '{"updatedAt":"2026-11-23T00:00:00Z",', 1)
            for line in lines[::3]
        ]
        store_run(put, "a", "2026-11-21T00:00:00Z", [*lines, '{"id":null}', "{}"], entity=entity)
        store_run(put, "b", "2026-11-22T00:00:00Z", changed, entity=entity)
        store_run(put, "again", "2026-11-22T12:00:00Z", changed, entity=entity)
        store_run(put, "c", "2026-11-22T00:00:00Z", lines[:20], entity=entity, language="en")
        store_run(put, "d", "2026-11-22T00:00:00Z", lines[5:15], entity=entity, connection="outlet")
        store_run(put, "lost", "2026-11-23T00:00:00Z", changed, entity=entity, finished=False)
        gone = [{"id": number, "last_seen": "", "noticed_at": "2026-11-22T06:00:00Z"} for number in (2, 4, 5)]
        store_run(put, "e", "2026-11-22T06:00:00Z", deleted=gone, entity=entity)


def test_each_recipe_has_the_same_rows_in_both_engines_on_odd_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_odd_shop(tmp_path)
    names = ("orders", "orders_products", "products", "variants", "customers")
    athena = Athena(tmp_path, [all_views()[name] for name in names])
    for name in recipes.names():
        recipe = recipes.load(name)
        days = {parameter: "2026-11-22" if parameter == "since" else "2026-11-24" for parameter in recipe.defaults}
        words = [word for parameter, day in days.items() for word in ("--param", f"{parameter}={day}")]
        assert main(["query", "--recipe", name, *words, "--lake", str(tmp_path), "--format", "csv"]) == 0
        rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
        expected = [["" if cell is None else str(cell) for cell in row] for row in athena.ask(recipe.sql(days, NOW))]
        assert rows, name
        assert sorted(rows) == sorted(expected), name
