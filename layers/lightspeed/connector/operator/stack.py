"""The deployed stack that a command works on."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.aws.botocore_errors import answer_unless
from connector.aws.bucket import Bucket
from connector.clients import AwsClients, ShopClients
from connector.errors import ConnectorError
from connector.settings import Settings
from connector.status.failure_queues import Queue
from lightspeed import Client, Clock, SystemClock
from lightspeed.cli.arguments import CommandError as CommandError  # noqa: PLC0414 - what every command raises

SAMCONFIG = "samconfig.toml"

_FAILURE_QUEUES: Mapping[Queue, str] = {
    "runs": "RunFailureQueueUrl",
    "publish": "PublishFailureQueueUrl",
    "webhooks": "WebhookFailureQueueUrl",
}
"""The output of the stack that has the URL of each queue."""


class OperationFailed(ConnectorError):
    """The command could not be carried out."""


class Stack:
    """A stack by its name.

    Attributes:
        name: The stack's name; empty for a command that needs no stack.
        clock: The clock; that of the machine by default.
        aws: The clients of AWS.
    """

    def __init__(self, name: str, aws: AwsClients | None = None, clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or SystemClock()
        self.aws = aws or AwsClients()

    def client(self, service: str) -> Any:
        """Return the client of an AWS service, such as `s3`."""
        return self.aws.client(service)

    @property
    def required_name(self) -> str:
        """The stack's name.

        Raises:
            CommandError: The stack has no name.
        """
        if not self.name:
            raise CommandError("no stack is named: add --stack NAME, or start the command beside samconfig.toml")
        return self.name

    @functools.cached_property
    def _described(self) -> dict[str, Any]:
        describe = self.client("cloudformation").describe_stacks
        found = answer_unless(("ValidationError",), describe, StackName=self.required_name)
        if found is None:
            raise CommandError(f"there is no stack named {self.name:.100}; name it with --stack")
        described: dict[str, Any] = found["Stacks"][0]
        return described

    @functools.cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return {row["OutputKey"]: row["OutputValue"] for row in self._described.get("Outputs", ())}

    def output(self, name: str) -> str:
        """Return an output of the stack.

        Raises:
            OperationFailed: The stack has no such output, because it is older than this command.
        """
        if name not in self.outputs:
            raise OperationFailed(f"stack {self.name} has no output {name}: deploy this version of the template first")
        return self.outputs[name]

    @functools.cached_property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters."""
        return {row["ParameterKey"]: row["ParameterValue"] for row in self._described.get("Parameters", ())}

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings of the stack's functions, as far as commands need them."""
        given, outputs = self.parameters, self.outputs
        environ = {
            "BUCKET": outputs["Bucket"],
            "STACK_NAME": self.name,
            "SCHEDULE_GROUP": outputs.get("ScheduleGroupName", ""),
            "SYNC_STATE_MACHINE_ARN": outputs.get("SyncStateMachineArn", ""),
            "RUN_FAILURE_QUEUE_URL": outputs.get("RunFailureQueueUrl", ""),
            "PUBLISH_FAILURE_QUEUE_URL": outputs.get("PublishFailureQueueUrl", ""),
            "WEBHOOK_FAILURE_QUEUE_URL": outputs.get("WebhookFailureQueueUrl", ""),
            "SECRET_PREFIX": given.get("SecretPrefix") or f"{self.name}/",
            "QUOTA_RESERVE_PERCENT": given.get("QuotaReservePercent", ""),
            "WEBHOOK_WINDOW_SECONDS": given.get("WebhookWindowSeconds", ""),
            "WEBHOOK_BUSY_WINDOW_SECONDS": given.get("WebhookBusyWindowSeconds", ""),
            "WEBHOOK_BUSY_AFTER_RUNS": given.get("WebhookBusyAfterRuns", ""),
        }
        return Settings.from_env(environ)

    def failure_queues(self, only: Queue | None = None) -> dict[Queue, str]:
        """Return the URLs of the failure queues, or of one queue.

        Raises:
            OperationFailed: The stack is older than this command.
        """
        return {queue: self.output(name) for queue, name in _FAILURE_QUEUES.items() if only in (None, queue)}

    @functools.cached_property
    def bucket(self) -> Bucket:
        """The stack's bucket."""
        return Bucket(self.client("s3"), self.settings.bucket, self.clock)

    @functools.cached_property
    def shops(self) -> ShopClients:
        """The shops of the stack's connections."""
        return ShopClients(self.aws, self.settings, self.clock)

    def shop(self, connection: str, within_seconds: float = math.inf) -> Client:
        """Return the client of a connection's shop.

        Args:
            connection: The connection's name.
            within_seconds: How long the client's calls may take together, from now.

        Raises:
            UnknownConnection: There is no such connection.
            InvalidConnection: Its settings are wrong.
        """
        end = self.clock.monotonic() + within_seconds
        return self.shops.open(connection, fresh=True, remaining_seconds=lambda: end - self.clock.monotonic())


def default_stack_name(folder: Path) -> str:
    """Return the stack's name from the `samconfig.toml` of a folder; empty if there is no file or no name.

    Raises:
        CommandError: The file is not TOML.
    """
    try:
        settings = tomllib.loads((folder / SAMCONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{SAMCONFIG} cannot be read: {error}") from error
    return str(settings.get("default", {}).get("global", {}).get("parameters", {}).get("stack_name", ""))
