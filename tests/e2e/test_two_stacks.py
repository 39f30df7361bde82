"""Production and staging in one account: each stack has its own names and its own connections."""

import json
from collections.abc import Iterator, Mapping

import pytest

from tests.local.build import build
from tests.local.deploy import deploy
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def staging(bundle: tuple[Stack, object]) -> Iterator[Mapping[str, str]]:
    """The outputs of a second stack, with a value for every optional parameter."""
    stack = bundle[0]
    parameters = {
        "KmsKeyArn": stack.client("kms").create_key()["KeyMetadata"]["Arn"],
        "CatalogDatabase": "staging",
        "ResultsBus": stack.client("events").create_event_bus(Name="results")["EventBusArn"],
        "RecordRetentionDays": "365",
        "PublishedFileRetentionDays": "30",
        "RunNoteRetentionDays": "90",
        "WebhookRetentionDays": "30",
    }
    yield deploy(stack.emulator, build(), "staging", parameters)
    stack.client("cloudformation").delete_stack(StackName="staging")
    stack.client("events").delete_event_bus(Name="results")


def test_a_second_stack_shares_no_name_and_no_connection_with_the_first(
    stack: Stack, staging: Mapping[str, str]
) -> None:
    shared = {name for name, value in staging.items() if value and value == stack.outputs.get(name)}
    assert shared == set()

    event = json.dumps({"entity": "shop"}).encode()
    functions = stack.client("lambda")
    first = functions.invoke(FunctionName=stack.outputs["SubscribeFunctionArn"], Payload=event)
    second = functions.invoke(FunctionName=staging["SubscribeFunctionArn"], Payload=event)

    assert json.load(first["Payload"])["status"] == "complete"
    assert json.load(second["Payload"])["errorType"] == "InvalidConnection"  # its own, which is empty


def test_the_key_of_the_parameter_encrypts_a_queue(stack: Stack, staging: Mapping[str, str]) -> None:
    queue = stack.client("sqs").get_queue_attributes(
        QueueUrl=staging["PublishQueueUrl"], AttributeNames=["KmsMasterKeyId"]
    )

    assert queue["Attributes"]["KmsMasterKeyId"].startswith("arn:aws:kms:")


def test_a_stack_cannot_read_the_connections_of_another(stack: Stack, staging: Mapping[str, str]) -> None:
    secrets = stack.client("secretsmanager")
    name = secrets.describe_secret(SecretId=stack.outputs["DefaultConnectionSecretArn"])["Name"]
    functions = stack.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=staging["SubscribeFunctionArn"])
    variables = {**configuration["Environment"]["Variables"], "SECRET_PREFIX": name.removesuffix("default")}
    functions.update_function_configuration(
        FunctionName=staging["SubscribeFunctionArn"], Environment={"Variables": variables}
    )

    answer = functions.invoke(FunctionName=staging["SubscribeFunctionArn"], Payload=json.dumps({"entity": "shop"}))

    error = json.load(answer["Payload"])
    assert answer["FunctionError"]
    assert "AccessDenied" in json.dumps(error), error
