"""Production and staging in one account: each stack has its own names and its own connections."""

import json
from collections.abc import Iterator, Mapping

import pytest

from tests.local.build import build
from tests.local.deploy import deploy
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture
def staging(stack: Stack) -> Iterator[Mapping[str, str]]:
    """The outputs of a second stack."""
    yield deploy(stack.emulator, build(), "staging", {})
    stack.client("cloudformation").delete_stack(StackName="staging")


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
    assert json.load(second["Payload"])["errorType"] == "InvalidConnection"  # its own, which nobody filled in


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
