"""Clients of AWS for tests: fakes of some services, moto's clients of the others."""

import functools
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from connector.clients import AwsClients


@functools.cache
def moto_client(service: str, owner: str = "") -> Any:  # noqa: ARG001 - a part of the key
    """Return a client, made once for each owner because that takes long. It works in every AWS of moto.

    Args:
        service: The name of the service, such as `s3`.
        owner: A test that listens to the client's calls. It does not hear those of other owners.
    """
    return boto3.client(service)


class CloudFormation:
    """A client of CloudFormation that knows only the stack `mine`.

    Args:
        outputs: The stack's outputs, by key.
        parameters: The stack's parameters, by key.

    Attributes:
        outputs: The stack's outputs. Tests may change them.
    """

    def __init__(self, outputs: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        self.outputs = dict(outputs)
        self._parameters = dict(parameters or {})

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if StackName != "mine":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters.items()]
        return {"Stacks": [{"Outputs": outputs, "Parameters": parameters}]}


class FakedClients(AwsClients):
    """Clients of AWS, some of which are fakes.

    Args:
        others: Clients of the other services; by default those of moto.
        **fakes: Fakes by name of the service.
    """

    def __init__(self, others: AwsClients | None = None, **fakes: Any) -> None:
        self._others = others
        self._fakes = fakes

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service in self._fakes:
            return self._fakes[service]
        return moto_client(service) if self._others is None else self._others.client(service)
