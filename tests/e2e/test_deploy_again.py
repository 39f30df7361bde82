"""Deploying again: the same template changes nothing, and a new release keeps what holds data."""

import copy
import json
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from tests.e2e.test_template import NoPolicies
from tests.local.build import build
from tests.local.deploy import ARTEFACTS, local_copy, template, upload
from tests.local.stack import STACK_NAME, Stack

pytestmark = pytest.mark.e2e

# logical id: type, and the properties whose change would replace it, as the release before had them
HOLD_DATA: dict[str, tuple[str, dict[str, Any]]] = {
    "Bucket": ("AWS::S3::Bucket", {"BucketName": None}),
    "IdempotencyTable": (
        "AWS::DynamoDB::Table",
        {"TableName": None, "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]},
    ),
    "PublishQueue": ("AWS::SQS::Queue", {"QueueName": None, "FifoQueue": None}),
    "PublishFailureQueue": ("AWS::SQS::Queue", {"QueueName": None, "FifoQueue": None}),
    "RunFailureQueue": ("AWS::SQS::Queue", {"QueueName": None, "FifoQueue": None}),
    "ApiToken": ("AWS::SecretsManager::Secret", {"Name": None}),
    "HttpApi": ("AWS::Serverless::HttpApi", {"Name": None}),
    "Sync": ("AWS::Serverless::StateMachine", {"Name": {"Fn::Sub": "${AWS::StackName}-sync"}, "Type": "STANDARD"}),
    "PublishFile": (
        "AWS::Serverless::StateMachine",
        {"Name": {"Fn::Sub": "${AWS::StackName}-publish-file"}, "Type": "STANDARD"},
    ),
}


def transformed() -> dict[str, Any]:
    source = template()
    source["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions"
    source["Resources"]["Layer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    found: dict[str, Any] = transform(source, {}, NoPolicies())
    return found


def test_the_same_template_becomes_the_same_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    assert json.dumps(transformed(), sort_keys=True) == json.dumps(transformed(), sort_keys=True)


@pytest.mark.parametrize("name", HOLD_DATA)
def test_a_new_release_keeps_what_holds_data_or_has_an_address(name: str) -> None:
    kind, properties = HOLD_DATA[name]
    resource = template()["Resources"][name]

    assert resource["Type"] == kind
    assert {key: resource["Properties"].get(key) for key in properties} == properties


def changes(stack: Stack, body: dict[str, Any], name: str) -> list[str]:
    """Return the logical ids that an update of the stack would change."""
    s3, cloudformation = stack.client("s3"), stack.client("cloudformation")
    s3.put_object(Bucket=ARTEFACTS, Key=f"{name}.json", Body=json.dumps(body).encode())
    given = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0].get("Parameters", [])
    cloudformation.create_change_set(
        StackName=STACK_NAME,
        ChangeSetName=name,
        ChangeSetType="UPDATE",
        TemplateURL=f"{stack.emulator.endpoint}/{ARTEFACTS}/{name}.json",
        Parameters=[{"ParameterKey": row["ParameterKey"], "UsePreviousValue": True} for row in given],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    found = cloudformation.describe_change_set(StackName=STACK_NAME, ChangeSetName=name)
    cloudformation.delete_change_set(StackName=STACK_NAME, ChangeSetName=name)
    return sorted(row["ResourceChange"]["LogicalResourceId"] for row in found["Changes"])


def test_a_second_deploy_changes_nothing(stack: Stack) -> None:
    body = local_copy(template(), upload(stack.emulator, build()))
    assert changes(stack, body, "again") == []

    other = copy.deepcopy(body)
    other["Resources"]["RunFailureQueue"]["Properties"]["MessageRetentionPeriod"] = 86_400
    assert "RunFailureQueue" in changes(stack, other, "other")
