"""The fakes of the property tests answer as moto does: one script of calls each, run on both."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from subscribe.storage.folder import FolderS3
from tests.property.bucket import MemoryBucket
from tests.property.publish.table import Table

Call = tuple[str, dict[str, Any]]

BODY, OTHER = b"one", b"two"
ETAG, OTHER_ETAG = '"f97c5d29941bfb1b2fdab0874906ab82"', '"b8a9f715dbb64fd5c56e7783c6820a61"'
WRITE = {"Key": "a/1", "Body": BODY, "ContentType": "text/plain"}
REWRITE = {**WRITE, "Body": OTHER}

OBJECTS: dict[str, list[Call]] = {
    "an object that is not there": [("get_object", {"Key": "a/1"})],
    "an object that is written and read": [("put_object", WRITE), ("get_object", {"Key": "a/1"})],
    "an object that is written over": [("put_object", WRITE), ("put_object", REWRITE), ("get_object", {"Key": "a/1"})],
    "only where there is none": [
        ("put_object", {**WRITE, "IfNoneMatch": "*"}),
        ("put_object", {**REWRITE, "IfNoneMatch": "*"}),
        ("get_object", {"Key": "a/1"}),
    ],
    "only over what was read": [
        ("put_object", WRITE),
        ("put_object", {**REWRITE, "IfMatch": ETAG}),
        ("put_object", {**WRITE, "IfMatch": ETAG}),
        ("get_object", {"Key": "a/1"}),
    ],
    "only over what was read, and it is gone": [("put_object", {**WRITE, "IfMatch": ETAG})],
    "an object that is deleted": [
        ("put_object", WRITE),
        ("delete_object", {"Key": "a/1"}),
        ("get_object", {"Key": "a/1"}),
        ("delete_object", {"Key": "a/1"}),
    ],
    "a list": [
        *[("put_object", {**WRITE, "Key": key}) for key in ("b/1", "a/2", "a/10", "ab", "a/1")],
        ("list", {"Prefix": "a/"}),
        ("list", {"Prefix": "c/"}),
    ],
}

KEY = {"id": {"S": "k"}}
ITEM = {**KEY, "state": {"S": "x"}, "until": {"N": "5"}}
NAMES = {"#id": "id", "#until": "until", "#state": "state", "#set": "set"}


def condition(text: str, **values: Any) -> dict[str, Any]:
    """Return the arguments of a conditional write; unused names are left out, as DynamoDB wants it."""
    used = {name: NAMES[name] for name in NAMES if name in text}
    found = {f":{name}": value for name, value in values.items()}
    given: dict[str, Any] = {"ConditionExpression": text, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    given |= {"ExpressionAttributeNames": used} if used else {}
    return given | ({"ExpressionAttributeValues": found} if found else {})


def update(text: str, **values: Any) -> Call:
    used = {name: NAMES[name] for name in NAMES if name in text}
    found = {f":{name}": value for name, value in values.items()}
    given = {"Key": KEY, "UpdateExpression": text, "ReturnValues": "ALL_OLD"}
    return "update_item", {**given, "ExpressionAttributeNames": used, "ExpressionAttributeValues": found}


GET: Call = ("get_item", {"Key": KEY})
ABSENT = condition("attribute_not_exists(#id)")
ITEMS: dict[str, list[Call]] = {
    "an item that is not there": [GET],
    "only where there is none": [("put_item", {"Item": ITEM, **ABSENT}), ("put_item", {"Item": KEY, **ABSENT}), GET],
    "absent or expired": [
        ("put_item", {"Item": ITEM}),
        *[
            ("put_item", {"Item": ITEM, **condition("attribute_not_exists(#id) OR #until < :now", now={"N": str(now)})})
            for now in (5, 6)
        ],
    ],
    "two conditions": [
        ("put_item", {"Item": ITEM}),
        *[
            (
                "put_item",
                {
                    "Item": ITEM,
                    **condition("attribute_exists(#id) AND #state = :state", state={"S": state}),
                },
            )
            for state in ("y", "x")
        ],
    ],
    "at most": [
        ("put_item", {"Item": ITEM}),
        *[
            ("delete_item", {"Key": KEY, **condition("#until <= :most", most={"N": most})})
            for most in ("4", "10", "10")
        ],
        GET,
    ],
    "fields that are set and removed": [
        ("put_item", {"Item": ITEM}),
        update("SET #state = :state REMOVE #until", state={"S": "z"}),
        GET,
    ],
    "an update that makes an item": [update("SET #state = :state", state={"S": "z"}), GET],
    "a set that grows and shrinks": [
        update("ADD #set :more", more={"SS": ["a", "b"]}),
        update("ADD #set :more", more={"SS": ["b", "c"]}),
        GET,
        update("DELETE #set :less", less={"SS": ["a", "b", "d"]}),
        GET,
        update("DELETE #set :less", less={"SS": ["c"]}),
        GET,
    ],
    "several items": [
        ("put_item", {"Item": ITEM}),
        ("batch_get_item", {"RequestItems": {"table": {"Keys": [KEY, {"id": {"S": "none"}}]}}}),
    ],
}


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        yield


def outcome(call: Callable[..., Any], given: dict[str, Any], shown: Callable[[Any], Any]) -> Any:
    try:
        return shown(call(**given))
    except ClientError as error:
        return error.response["Error"]["Code"], error.response.get("Item")


def object_shown(answer: Any) -> Any:
    body = answer.get("Body")
    return answer.get("ETag"), body.read() if isinstance(body, io.IOBase) or hasattr(body, "read") else None


def item_shown(answer: dict[str, Any]) -> Any:
    found: dict[str, Any] = {key: answer[key] for key in ("Item", "Attributes", "Responses") if key in answer}
    for item in found.values():
        if "set" in item:
            item["set"]["SS"].sort()
    return found


def of_bucket(s3: Any, calls: list[Call]) -> list[Any]:
    found = []
    for name, given in calls:
        if name == "list":
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", **given)
            found.append([row["Key"] for page in pages for row in page.get("Contents", ())])
        else:
            found.append(outcome(getattr(s3, name), {"Bucket": "bucket", **given}, object_shown))
    return found


def of_table(table: Any, calls: list[Call]) -> list[Any]:
    return [
        outcome(
            getattr(table, name), given if name == "batch_get_item" else {"TableName": "table", **given}, item_shown
        )
        for name, given in calls
    ]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("calls", OBJECTS.values(), ids=OBJECTS)
def test_the_bucket_in_memory_and_the_folder_answer_as_s3_does(calls: list[Call], tmp_path: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    for row in s3.list_objects_v2(Bucket="bucket").get("Contents", ()):
        s3.delete_object(Bucket="bucket", Key=row["Key"])

    expected = of_bucket(s3, calls)
    assert of_bucket(MemoryBucket(), calls) == expected
    assert of_bucket(FolderS3(tmp_path), calls) == expected


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("calls", ITEMS.values(), ids=ITEMS)
def test_the_table_in_memory_answers_as_dynamodb_does(calls: list[Call]) -> None:
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    key = {"AttributeName": "id", "KeyType": "HASH"}
    dynamodb.create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[key],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    try:
        assert of_table(Table(), calls) == of_table(dynamodb, calls)
    finally:
        dynamodb.delete_table(TableName="table")
