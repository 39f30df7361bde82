"""Conditional writes on DynamoDB."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from connector.aws.conditional_items import delete_item, put_item
from tests.support.aws import moto_client

KEY = {"id": {"S": "k"}}
ONE, TWO = ({**KEY, "token": {"S": name}} for name in ("one", "two"))


@pytest.fixture
def client() -> Any:
    with mock_aws():
        found = moto_client("dynamodb")
        found.create_table(
            TableName="table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield found


def test_an_item_is_put_where_there_is_none_and_else_returned(client: Any) -> None:
    assert put_item(client, "table", ONE, "attribute_not_exists(id)", {}) is None
    assert put_item(client, "table", TWO, "attribute_not_exists(id)", {}) == ONE


def test_an_item_is_put_over_the_one_that_the_condition_names(client: Any) -> None:
    put_item(client, "table", ONE, "attribute_not_exists(id)", {})

    assert put_item(client, "table", TWO, "#token = :token", {":token": {"S": "one"}}) is None
    assert put_item(client, "table", ONE, "#token = :token", {":token": {"S": "one"}}) == TWO


def test_an_item_is_deleted_only_under_its_condition(client: Any) -> None:
    put_item(client, "table", ONE, "attribute_not_exists(id)", {})

    assert not delete_item(client, "table", KEY, "#token = :token", {":token": {"S": "two"}})
    assert delete_item(client, "table", KEY, "#token = :token", {":token": {"S": "one"}})
    assert put_item(client, "table", TWO, "attribute_not_exists(id)", {}) is None


def test_another_error_is_raised(client: Any) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        put_item(client, "elsewhere", ONE, "attribute_not_exists(id)", {})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        delete_item(client, "elsewhere", KEY, "attribute_exists(id)", {})
