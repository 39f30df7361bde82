"""`catalog dbt`: the views and columns of `sources.yml` exist."""

from pathlib import Path

import duckdb
import pytest
from samtranslator.yaml_helper import yaml_parse

from connector.operator.data.database import Database
from connector.operator.data.dbt import sources
from connector.operator.data.lake import Folder, RunFilter
from connector.operator.data.views import FIELDS, all_views
from connector.operator.main import main
from tests.unit.operator.lake import into, store_run

ENTITIES = [all_views()[entity.replace("/", "_")] for entity in FIELDS]


def tables(text: str) -> dict[str, list[tuple[str, str]]]:
    (source,) = yaml_parse(text)["sources"]
    return {
        table["name"]: [(column["name"], column["data_type"]) for column in table["columns"]]
        for table in source["tables"]
    }


def test_every_view_is_there_with_its_columns_and_types(tmp_path: Path) -> None:
    database, found = Database(tmp_path, memory_gb=0.85), tables(sources(ENTITIES, schema="shop"))
    for views in ENTITIES:
        database.add(views, Folder(tmp_path), RunFilter())

    assert list(found) == [name + end for name in (views.name for views in ENTITIES) for end in ("", "_current")]
    for name, columns in found.items():
        described = [(row[0], row[1].replace("(38,", "(38, ")) for row in database.ask(f"DESCRIBE {name}").rows]
        assert described == columns, name


def test_dbt_duckdb_reads_the_file_that_query_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_run(into(tmp_path), "a", "2026-11-02T00:00:00Z", [{"id": 1, "priceIncl": 12.50}])
    lake = tmp_path / "lake"
    lake.mkdir()
    for name in ("orders", "orders_current"):
        assert main(["query", name, "--lake", str(tmp_path), "--out", str(lake / f"{name}.parquet")]) == 0

    assert main(["catalog", "dbt", "orders", "--parquet", str(lake) + "/"]) == 0
    text = capsys.readouterr().out
    (source,) = yaml_parse(text)["sources"]
    place = source["config"]["meta"]["external_location"]
    for name, columns in tables(text).items():
        file = duckdb.connect().read_parquet(place.format(name=name))
        assert list(zip(file.columns, map(str, file.types), strict=True)) == [
            (column, kind.replace(", ", ",")) for column, kind in columns
        ]
        assert len(file.fetchall()) == 1


def test_dbt_athena_names_the_database_of_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "dbt", "orders/products", "--database", "shop_data"]) == 0
    (source,) = yaml_parse(capsys.readouterr().out)["sources"]
    assert (source["name"], source["database"], source["schema"]) == ("lightspeed", "awsdatacatalog", "shop_data")
    assert [table["name"] for table in source["tables"]] == ["orders_products", "orders_products_current"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["order", "--parquet", "lake"], "no entity or view has the name 'order'; is it orders"),
        (["--parquet", "lake", "--database", "x"], "--parquet is for dbt-duckdb and --database for dbt-athena"),
    ],
)
def test_a_wrong_command_is_status_2(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["catalog", "dbt", *words]) == 2
    assert capsys.readouterr().err.startswith(f"connector: {message}")
