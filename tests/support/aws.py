"""Clients of AWS for tests: fakes of some services, and moto for the others."""

import functools
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from connector.clients import AwsClients


@functools.cache
def moto_client(service: str, owner: str = "") -> Any:  # noqa: ARG001 - a part of the key
    """Return a client that is kept, since it takes long to make. It works in every AWS of moto.

    Args:
        service: Such as `s3`.
        owner: Names who listens to the calls of the client; the calls of other owners are not heard.
    """
    return boto3.client(service)


class CloudFormation:
    """Describes the one stack `mine`.

    Attributes:
        outputs: Of the stack, by key; tests may change them.
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
    """Clients of AWS, some of them fakes."""

    def __init__(self, others: AwsClients | None = None, **fakes: Any) -> None:
        """Take the fakes.

        Args:
            others: Clients of the other services; those of moto if none are given.
            fakes: By name of the service.
        """
        self._others = others
        self._fakes = fakes

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service in self._fakes:
            return self._fakes[service]
        return moto_client(service) if self._others is None else self._others.client(service)
