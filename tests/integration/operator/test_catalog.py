"""`catalog apply`: what Glue and Athena are asked for. Their answers are fakes; what they take is AWS's own model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters
from moto import mock_aws

from connector.operator.main import main
from connector.operator.stack import Stack
from tests.support.aws import CloudFormation, FakedClients, moto_client
from tests.support.clock import FakeClock
from tests.unit.operator.lake import store_run

Command = Callable[..., int]


class Glue:
    """Keeps tables as Glue does: an update replaces all of a table."""

    def __init__(self) -> None:
        self.model = moto_client("glue").meta.service_model
        self.tables: dict[str, dict[str, Any]] = {}

    def get_table(self, **asked: Any) -> dict[str, Any]:
        validate_parameters(asked, self.model.operation_model("GetTable").input_shape)
        if asked["Name"] not in self.tables:
            raise ClientError({"Error": {"Code": "EntityNotFoundException", "Message": "none"}}, "GetTable")
        return {"Table": {**self.tables[asked["Name"]], "DatabaseName": "shop_data", "VersionId": "3"}}

    def create_table(self, **asked: Any) -> None:
        validate_parameters(asked, self.model.operation_model("CreateTable").input_shape)
        self.tables[asked["TableInput"]["Name"]] = asked["TableInput"]

    def update_table(self, **asked: Any) -> None:
        validate_parameters(asked, self.model.operation_model("UpdateTable").input_shape)
        self.tables[asked["TableInput"]["Name"]] = asked["TableInput"]


class Athena:
    """Runs statements: each is running when it is first asked for, and done after that."""

    def __init__(self) -> None:
        self.model = moto_client("athena").meta.service_model
        self.statements: list[str] = []
        self.asked: set[str] = set()
        self.refused = ""

    def start_query_execution(self, **asked: Any) -> dict[str, str]:
        validate_parameters(asked, self.model.operation_model("StartQueryExecution").input_shape)
        assert (asked["WorkGroup"], asked["QueryExecutionContext"]) == ("mine-queries", {"Database": "shop_data"})
        self.statements.append(asked["QueryString"])
        return {"QueryExecutionId": str(len(self.statements) - 1)}

    def get_query_execution(self, **asked: Any) -> dict[str, Any]:
        identity = asked["QueryExecutionId"]
        done = identity in self.asked
        self.asked.add(identity)
        failed = self.refused and self.refused in self.statements[int(identity)]
        state = ("FAILED" if failed else "SUCCEEDED") if done else "RUNNING"
        return {"QueryExecution": {"Status": {"State": state, "StateChangeReason": "line 1:8: mismatched input"}}}


class Aws(FakedClients):
    """S3 on moto, the rest as above."""

    def __init__(self) -> None:
        outputs = {"Bucket": "bucket", "CatalogDatabase": "shop_data", "CatalogWorkGroup": "mine-queries"}
        self.fakes: dict[str, Any] = {"glue": Glue(), "athena": Athena(), "cloudformation": CloudFormation(outputs)}
        super().__init__(**self.fakes)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        made = Aws()
        location = {"LocationConstraint": "eu-west-1"}
        made.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=location)
        yield made


@pytest.fixture
def command(aws: Aws) -> Command:
    clock = FakeClock()

    return lambda *words: main(
        ["catalog", "apply", "--stack", "mine", *words], open_stack=lambda name: Stack(name, aws, clock)
    )


def put(aws: Aws) -> Callable[[str, bytes], None]:
    return lambda key, body: aws.client("s3").put_object(Bucket="bucket", Key=key, Body=body)


def test_tables_have_one_column_of_text_and_projected_partitions(
    aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])
    store_run(put(aws), "b", "2026-11-01T00:00:00Z", [{"id": 1}], connection="outlet", language="en")
    store_run(put(aws), "c", "2026-11-01T00:00:00Z", [{"id": 1}], entity="products/images")

    assert command() == 0
    counts, shown = capsys.readouterr().out.splitlines()
    assert counts == "2 entities: 6 tables created, 0 updated, 0 unchanged; 12 views created"
    assert shown.startswith("Athena shows default, outlet. Run this again after the first run of a new ")
    table = aws.fakes["glue"].tables["orders_raw"]
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "json", "Type": "string"}]
    assert table["Parameters"]["projection.connection.values"] == "default,outlet"
    assert table["Parameters"]["projection.lang.values"] == "en,nl"
    assert table["Parameters"]["storage.location.template"] == (
        "s3://bucket/raw/connection=${connection}/entity=orders/lang=${lang}/date=${date}/"
    )
    assert "projection.enabled" not in table["StorageDescriptor"].get("Parameters", {})
    images = aws.fakes["glue"].tables["products_images_manifests"]["Parameters"]["storage.location.template"]
    assert images.startswith("s3://bucket/manifests/connection=${connection}/entity=products.images/")


def test_views_are_made_after_those_that_they_are_based_on(aws: Aws, command: Command) -> None:
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])

    assert command() == 0
    made = [text.split('"')[1] for text in aws.fakes["athena"].statements]
    assert made == ["orders_parts", "orders_tombstones", "orders", "orders_unreadable", "orders_gone", "orders_current"]


def test_a_second_apply_changes_no_table_and_a_new_connection_is_added(
    aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])
    command()
    glue = aws.fakes["glue"]
    glue.tables["orders_raw"]["Parameters"]["owner"] = "finance"
    glue.tables["orders_raw"]["Parameters"]["projection.lang.values"] = "nl,fr"
    capsys.readouterr()

    assert command() == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "1 entities: 0 tables created, 0 updated, 3 unchanged; 6 views created\nAthena shows default. "
    )
    store_run(put(aws), "b", "2026-11-01T00:00:00Z", [{"id": 1}], connection="outlet")
    assert command() == 0
    parameters = glue.tables["orders_raw"]["Parameters"]
    assert parameters["owner"] == "finance"
    assert parameters["projection.lang.values"] == "nl,fr"
    assert parameters["projection.connection.values"] == "default,outlet"


def test_what_athena_does_not_show_yet_is_an_error_line(
    aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def check() -> tuple[int, str]:
        capsys.readouterr()
        status = main(["catalog", "check", "--stack", "mine"], open_stack=lambda name: Stack(name, aws))
        return status, capsys.readouterr().out

    again = "run: python -m connector catalog apply"
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])
    assert check() == (1, f"orders is not in Athena; {again}\n")
    command()
    assert check() == (0, "Athena shows every connection and language\n")
    store_run(put(aws), "b", "2026-11-01T00:00:00Z", [{"id": 1}], connection="outlet", language="en")
    assert check() == (
        1,
        f"orders: Athena does not show the connection outlet; {again}\n"
        f"orders: Athena does not show the language en; {again}\n",
    )
    command()
    assert check()[0] == 0


def test_what_athena_refuses_is_an_error_with_its_reason(
    aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])
    aws.fakes["athena"].refused = '"orders_gone"'

    assert command() == 1
    assert capsys.readouterr().err == "connector: Athena did not create orders_gone: line 1:8: mismatched input\n"


def test_the_sql_can_be_saved_instead(aws: Aws, command: Command, tmp_path: Path) -> None:
    store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}])

    assert command("--save-sql", str(tmp_path / "catalog.sql")) == 0
    text = (tmp_path / "catalog.sql").read_text()
    assert text.count("CREATE EXTERNAL TABLE") == 3
    assert text.count("CREATE OR REPLACE VIEW") == 6
    assert not aws.fakes["glue"].tables
    assert not aws.fakes["athena"].statements


def test_without_a_catalogue_or_data_the_command_says_so(
    aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 1
    assert "no run has finished yet" in capsys.readouterr().err
    aws.fakes["cloudformation"].outputs.pop("CatalogDatabase")
    assert command() == 2
    assert "deploy it with the parameter CatalogDatabase=<name>" in capsys.readouterr().err


def test_too_many_partitions_are_warned_of(aws: Aws, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        store_run(put(aws), "a", "2026-11-01T00:00:00Z", [{"id": 1}], connection=f"shop-{number}")

    assert command() == 0
    assert "orders_raw has about 21140 partitions" in capsys.readouterr().err
