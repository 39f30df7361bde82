"""`query` on a folder of stored runs."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from connector.operator.main import main
from tests.unit.operator.lake import into, store_run

Rows = list[dict[str, Any]]
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'layers/lightspeed'}"}
Ask = Callable[..., Rows]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask the folder and return the rows."""

    def run(*words: str) -> Rows:
        (tmp_path / "manifests").mkdir(exist_ok=True)
        status = main(["query", *words, "--lake", str(tmp_path), "--format", "jsonl"])
        found = capsys.readouterr()
        assert status == 0, found.err
        return [json.loads(line) for line in found.out.splitlines()]

    return run


def order(identity: int, updated: object, **more: object) -> dict[str, object]:
    return {"id": identity, "createdAt": "2026-01-01T00:00:00+00:00", "updatedAt": updated, **more}


def test_a_view_has_every_version_and_current_the_latest_by_instant(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    # in the night on which clocks go back, the text of the earlier instant is larger
    store_run(put, "a", "2026-10-25T06:00:00Z", [order(1, "2026-10-25T02:10:00+01:00", status="new")])
    store_run(put, "b", "2026-10-26T06:00:00Z", [order(1, "2026-10-25T02:30:00+02:00", status="old")])

    assert [row["run_id"] for row in ask("SELECT run_id FROM orders ORDER BY run_id")] == ["a", "b"]
    [row] = ask("orders_current")
    assert (row["run_id"], row["started"], row["id"], row["status"]) == ("a", "2026-10-25T06:00:00Z", "1", "new")
    assert (row["connection"], row["lang"], row["date"]) == ("default", "nl", "2026-10-25")
    assert row["updated_at"] == "2026-10-25T02:10:00+01:00"


def test_half_a_pair_of_surrogates_is_left_out_and_hides_no_other_record(tmp_path: Path, ask: Ask) -> None:
    texts = (
        '{"id": 1, "number": "\\\\ud800 a\\ud800b\\n\\uD83D\\uDE00\\ude00"}',
        '{"id": 2, "number": "\\ud83d\\ude00 |,\\""}',
    )
    store_run(into(tmp_path), "a", "2026-11-01T00:00:00Z", list(texts))

    rows = ask("SELECT id, number FROM orders_current ORDER BY id")
    assert [row["number"] for row in rows] == ["\\ud800 ab\n\U0001f600", '\U0001f600 |,"']


def test_equal_instants_are_ranked_by_the_start_of_the_run_and_then_by_its_id(tmp_path: Path, ask: Ask) -> None:
    put, same = into(tmp_path), "2026-11-01T00:00:00+00:00"
    store_run(put, "z", "2026-11-02T00:00:00Z", [order(1, same), order(2, same)])
    store_run(put, "a", "2026-11-03T00:00:00Z", [order(1, same), order(2, same)])
    store_run(put, "b", "2026-11-03T00:00:00Z", [order(2, same)])

    assert ask("SELECT id, run_id FROM orders_current ORDER BY id") == [
        {"id": "1", "run_id": "a"},
        {"id": "2", "run_id": "b"},
    ]


@pytest.mark.parametrize("unreadable", ["yesterday", "2026-13-45T00:00:00Z", 7, {"date": "2026-11-03"}])
def test_a_record_whose_time_of_change_is_unreadable_ranks_lowest(tmp_path: Path, ask: Ask, unreadable: object) -> None:
    put = into(tmp_path)
    store_run(put, "a", "2026-11-02T00:00:00Z", [order(1, "2025-01-01T00:00:00Z")])
    stored = order(1, unreadable)
    if isinstance(unreadable, dict):
        stored["createdAt"] = "nothing"
    store_run(put, "b", "2026-11-03T00:00:00Z", [stored])

    assert [row["run_id"] for row in ask("orders_current")] == ["a"]
    assert [row["run_id"] for row in ask("orders_unreadable")] == ["b"]


@pytest.mark.parametrize("none", [None, False, ""])
def test_without_a_time_of_change_the_time_of_creation_ranks(tmp_path: Path, ask: Ask, none: object) -> None:
    put = into(tmp_path)
    store_run(put, "a", "2026-11-02T00:00:00Z", [order(1, "2025-12-31T00:00:00Z")])
    store_run(put, "b", "2026-11-01T00:00:00Z", [order(1, none)])

    [row] = ask("orders_current")
    assert (row["run_id"], row["updated_at"]) == ("b", None)


def test_a_tombstone_hides_a_record_until_a_later_run_stores_it(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    gone = [{"id": number, "last_seen": "x", "noticed_at": "2026-11-03T00:00:00Z"} for number in (1, 2, 3)]
    store_run(put, "a", "2026-11-02T00:00:00Z", [order(number, None) for number in (1, 2, 3, 4)])
    store_run(put, "r", "2026-11-03T00:00:00Z", deleted=gone)
    store_run(put, "b", "2026-11-03T00:00:00Z", [order(2, None)])  # as old as the tombstone: that weighs more
    store_run(put, "c", "2026-11-03T00:00:01Z", [order(3, None)], language="en")
    store_run(put, "d", "2026-11-02T00:00:00Z", [order(1, None)], connection="outlet")

    assert ask("SELECT connection, lang, id FROM orders_current ORDER BY ALL") == [
        {"connection": "default", "lang": "en", "id": "3"},
        {"connection": "default", "lang": "nl", "id": "3"},
        {"connection": "default", "lang": "nl", "id": "4"},
        {"connection": "outlet", "lang": "nl", "id": "1"},
    ]
    assert [row["id"] for row in ask("SELECT id FROM orders_gone ORDER BY id")] == ["1", "2"]
    assert len(ask("orders_tombstones")) == 3


def test_parts_that_no_manifest_names_are_not_seen(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    store_run(put, "a", "2026-11-02T00:00:00Z", [order(1, None)])
    store_run(put, "b", "2026-11-03T00:00:00Z", [order(2, None)], finished=False)

    assert [row["id"] for row in ask("orders")] == ["1"]


def test_a_manifest_that_another_one_replaces_is_not_seen(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    old = store_run(put, "a", "2026-11-02T00:00:00Z", [order(1, None)])
    store_run(put, "2026-11-02-compact", "2026-11-02T00:00:00Z", [order(1, None)], replaces=[old])

    assert [row["run_id"] for row in ask("orders")] == ["2026-11-02-compact"]


def test_records_of_several_languages_and_parents_are_records_of_their_own(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    for language in ("nl", "en"):
        rows = [{"product_id": parent, "id": 5, "title": language} for parent in (1, 2)]
        store_run(put, "a", "2026-11-02T00:00:00Z", rows, entity="products/attributes", language=language)

    rows = ask("SELECT lang, parent_id, id FROM products_attributes_current ORDER BY ALL")
    assert [tuple(row.values()) for row in rows] == [
        ("en", "1", "5"),
        ("en", "2", "5"),
        ("nl", "1", "5"),
        ("nl", "2", "5"),
    ]
    assert len(ask("products/attributes")) == 4


def test_no_type_is_guessed_however_late_another_one_comes(tmp_path: Path, ask: Ask) -> None:
    rows: list[object] = [f'{{"id":{number},"priceIncl":{number}}}' for number in range(20_481)]
    odd = [
        '{"id":20481,"priceIncl":false}',
        '{"id":20482,"priceIncl":{"a":1}}',
        '{"id":20483,"ID":7,"priceIncl":"1.50"}',
        '{"id": 20484, "priceIncl":12345678901234567890.12,"b":"\\u00e9\\/"}',
        f'{{"id":20485,"long":"{"x" * 1_000_000}"}}',
    ]
    store_run(into(tmp_path), "20261101", "2026-11-02T00:00:00Z", [*rows, *odd])

    found = ask("SELECT id, price_incl, run_id, json FROM orders WHERE CAST(id AS BIGINT) > 20479 ORDER BY id")
    assert [row["json"] for row in found[1:]] == odd
    assert [row["price_incl"] for row in found[:4]] == [20480, None, None, 1.5]
    assert {row["run_id"] for row in found} == {"20261101"}
    [total] = ask("SELECT sum(price_incl) AS total FROM orders WHERE CAST(id AS BIGINT) < 20484")
    assert total == {"total": 20480 * 20481 / 2 + 1.5}


def test_an_entity_without_data_is_an_empty_view(tmp_path: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("orders_current") == []
    assert main(["query", "orders", "--lake", str(tmp_path), "--format", "csv"]) == 0
    found = capsys.readouterr()
    assert found.err == "connector: no finished run of orders yet\n"
    assert found.out.startswith("connection,lang,date,run_id,started,parent_id,id,created_at,updated_at,number,")
    assert ask("SELECT count(*) AS n FROM orders_current") == [{"n": 0}]


def test_only_runs_since_a_day_and_of_a_connection_are_read(
    tmp_path: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    put = into(tmp_path)
    store_run(put, "a", "2026-11-02T00:00:00Z", [order(1, None)])
    store_run(put, "b", "2026-11-03T00:00:00Z", [order(2, None)])
    store_run(put, "c", "2026-11-03T00:00:00Z", [order(3, None)], connection="outlet")

    assert len(ask("orders", "--since", "2026-11-03")) == 2
    assert [row["id"] for row in ask("orders", "--since", "2026-11-03", "--connection", "outlet")] == ["3"]
    assert main(["query", "orders", "--lake", str(tmp_path), "--since", "2026-11-04"]) == 0
    assert capsys.readouterr().err == "connector: no finished run of orders in these days and connections\n"


def test_a_run_may_have_an_equals_sign_in_its_id(tmp_path: Path, ask: Ask) -> None:
    for run_id in ("a", "date=1", "connection=x=y"):
        store_run(into(tmp_path), run_id, "2026-11-01T00:00:00Z", [order(1, None)])

    rows = ask("SELECT run_id, connection, lang, date FROM orders ORDER BY ALL")
    assert [row.pop("run_id") for row in rows] == ["a", "connection=x=y", "date=1"]
    assert rows == [{"connection": "default", "lang": "nl", "date": "2026-11-01"}] * 3


def test_a_query_with_a_date_opens_the_parts_of_that_date_only(tmp_path: Path, ask: Ask) -> None:
    put = into(tmp_path)
    for number in (1, 2, 3):
        store_run(put, f"run-{number}", f"2026-11-0{number}T00:00:00Z", [order(number, None)])
    for path in tmp_path.glob("raw/*/*/*/date=2026-11-0[13]/*/*.gz"):
        path.write_bytes(b"no gzip")

    assert ask("""SELECT id FROM orders WHERE "date" = '2026-11-02'""") == [{"id": "2"}]


def test_results_are_a_table_csv_json_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(1, None, number="A\x1b]0;x\n1", priceIncl=12.50)])
    query = ["query", "SELECT number, price_incl FROM orders", "--lake", str(tmp_path)]

    assert main([*query, "--format", "table"]) == 0
    assert capsys.readouterr().out == "number    price_incl\n--------  ----------\nA ]0;x 1     12.5000\n(1 row)\n"
    assert main([*query, "--format", "csv"]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1] == ["A\x1b]0;x\n1", "12.5000"]
    assert main([*query, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"number": "A\x1b]0;x\n1", "price_incl": 12.5}]
    for name in ("out.parquet", "out.csv", "out.json", "out.jsonl"):
        assert main([*query, "--out", str(tmp_path / name)]) == 0
        assert capsys.readouterr() == ("", f"connector: wrote 1 row to {tmp_path / name}\n")
    stored = duckdb.connect().read_parquet(str(tmp_path / "out.parquet"))
    [(number, price)] = stored.fetchall()
    assert (number, str(price)) == ("A\x1b]0;x\n1", "12.5000")
    assert json.loads((tmp_path / "out.json").read_text())[0]["price_incl"] == 12.5


@pytest.mark.parametrize(("terminal", "first"), [(True, "number\n"), (False, '{"number":"7"}\n')])
def test_a_terminal_gets_a_table_and_a_pipe_json_lines(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    first: str,
) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(1, None, number="7")])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)

    assert main(["query", "SELECT number FROM orders", "--lake", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(first)


def test_a_time_with_a_zone_is_text_of_utc(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "manifests").mkdir()
    assert ask("SELECT from_iso8601_timestamp('2026-11-23T06:00:00+01:00') AS moment") == [
        {"moment": "2026-11-23 05:00:00+00"}
    ]


def test_the_saved_sql_gives_the_same_rows(tmp_path: Path, ask: Ask) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(1, None), order(2, None)])
    saved = tmp_path / "saved.sql"
    rows = ask("SELECT id FROM orders_current ORDER BY id", "--save-sql", str(saved))

    assert duckdb.connect().execute(saved.read_text()).fetchall() == [(row["id"],) for row in rows]


def test_a_chart_has_a_bar_for_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [order(number, None, number=f"<{number}>", priceIncl=number) for number in range(1, 4)]
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", rows)
    query = ["query", "SELECT number, price_incl FROM orders", "--lake", str(tmp_path)]

    assert main([*query, "--plot", str(tmp_path / "chart.svg")]) == 0
    drawn = (tmp_path / "chart.svg").read_text()
    assert drawn.count("<title>") == 3
    assert "&lt;3&gt;: 3" in drawn
    assert capsys.readouterr().out == ""
    assert main([*query, "--plot", "chart.gif"]) == 2


def test_a_chart_as_png_has_a_bar_for_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(n, None, status="x") for n in (1, 2, 3)])
    sql = "SELECT id, CAST(id AS BIGINT) * 10 AS n FROM orders ORDER BY id"

    assert main(["query", sql, "--lake", str(tmp_path), "--plot", str(tmp_path / "chart.png")]) == 0
    assert capsys.readouterr().out == ""
    with Image.open(tmp_path / "chart.png") as file:
        picture = file.convert("RGB")
    blue = [[picture.getpixel((x, y)) == (47, 109, 181) for y in range(picture.height)] for x in range(picture.width)]
    heights = [sum(column) for column in blue]
    bars = [height for height, before in zip(heights, [0, *heights], strict=False) if height and not before]
    assert len(bars) == 3
    assert [round(3 * height / bars[2]) for height in bars] == [1, 2, 3]


def test_an_empty_chart_says_so_in_both_formats(tmp_path: Path) -> None:
    for name in ("chart.svg", "chart.png"):
        query = ["query", "SELECT id, 1 AS n FROM orders", "--lake", str(tmp_path), "--plot", str(tmp_path / name)]
        assert main(query) == 0
    assert "no rows" in (tmp_path / "chart.svg").read_text()
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.size == (1800, 820)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["order_current"], "no entity or view has the name 'order_current'; is it orders_current"),
        (["SELECT 1 FROM orderz"], "no entity or view has the name 'orderz'; is it orders"),
        (["SELEC 1"], "the query cannot be parsed: "),
        (["SELECT nothing FROM orders"], 'DuckDB: Binder Error: Referenced column "nothing" not found'),
        (["orders", "--since", "2026-02-30"], "argument --since: must be a date such as 2026-11-23, not '2026-02-30'"),
        (["orders", "--since", "2026-02-03", "--until", "2026-02-01"], "--until 2026-02-01 is before --since"),
        (["orders", "--memory-gb", "0"], "--memory-gb must be 0.1 to 1000, not 0.0"),
        (
            ["orders", "--connection", "a/b"],
            "argument --connection: a connection has letters, digits, _ and - only, not 'a/b'",
        ),
        (["orders", "--out", "x.xls"], "--out writes .parquet, .csv, .json, .jsonl; 'x.xls' is none of them"),
        (["orders", "--cache-gb", "-1"], "--cache-gb must be 0 to 100000, not -1.0"),
        (["orders", "--cache-gb", "nan"], "--cache-gb must be 0 to 100000, not nan"),
        (["orders", "--param", "a=1"], "--param needs --recipe"),
        (["--recipe", "revenue"], "there is no recipe 'revenue'; there are: revenue-per-day"),
        (["--recipe", "changed", "--param", "since=';"], "since must be a date such as 2026-11-23"),
        (["--recipe", "changed", "--param", "til=1"], "recipe changed has no parameter 'til'; it has: since"),
    ],
)
def test_a_wrong_command_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (tmp_path / "manifests").mkdir()
    assert main(["query", *words, "--lake", str(tmp_path)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"connector: {message}")


def test_a_reader_that_has_seen_enough_ends_a_query_quietly(tmp_path: Path) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(number, None) for number in range(5)])
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "connector", "query", "orders", "--lake", str(tmp_path)]

    done = subprocess.run(command, env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, check=False)  # noqa: S603
    os.close(write)

    assert (done.returncode, done.stderr) == (0, b"")


def test_an_answer_that_cannot_be_printed_is_one_line(tmp_path: Path) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [order(1, None)])
    command = [sys.executable, "-m", "connector", "query", "orders", "--lake", str(tmp_path)]

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False)  # noqa: S603

    assert (done.returncode, done.stderr) == (1, b"connector: cannot write: No space left on device\n")


def test_a_closed_standard_output_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", None)

    assert main(["query", "orders"]) == 2
    assert capsys.readouterr().err == "connector: standard output is closed; nothing was done\n"


def test_a_column_that_is_not_there_is_told_with_the_way_to_any_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifests").mkdir()

    assert main(["query", "SELECT memo FROM orders", "--lake", str(tmp_path)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith("; another field of a record is json_extract_scalar(json, '$.memo')")
    assert "LINE" not in error


def test_a_command_without_a_stack_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["query", "orders"]) == 2
    assert capsys.readouterr().err.startswith("connector: no stack is named: ")


def test_a_part_outside_of_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put = into(tmp_path)
    part = {"key": "raw/../../x", "records": 1, "bytes": 1, "sha256": "0"}
    store_run(put, "a", "2026-11-02T00:00:00Z", parts=[part])
    assert main(["query", "orders", "--lake", str(tmp_path)]) == 1
    assert "is no key of this bucket" in capsys.readouterr().err
