"""The deployed bundle: its outputs, its HTTP API, its secrets, and AWS clients."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from tests.local.build import CACHE, build
from tests.local.deploy import deploy
from tests.local.emulator import Emulator
from tests.local.http_api import serve

STACK_NAME = "lightspeed-connector"


@dataclass(frozen=True)
class Stack:
    """The deployed bundle.

    Attributes:
        emulator: Its AWS.
        outputs: The outputs of the template. `ApiUrl` is an address of the emulator.
    """

    emulator: Emulator
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:
        """Return a boto3 client with the rights of the account's root."""
        return self.emulator.client(service)

    @cached_property
    def token(self) -> str:
        """The generated bearer token."""
        return self._secret("ApiTokenSecretArn")

    @property
    def connection(self) -> str:
        """The secret of the default connection, JSON."""
        return self._secret("DefaultConnectionSecretArn")

    def connect(self, connection: Mapping[str, str]) -> None:
        """Store a shop's connection in the secret of the default connection."""
        secret_id = self.outputs["DefaultConnectionSecretArn"]
        self.client("secretsmanager").put_secret_value(SecretId=secret_id, SecretString=json.dumps(connection))

    def add_connection(self, name: str, connection: dict[str, Any]) -> None:
        """Store a shop's connection in another secret than the default connection's."""
        secrets = self.client("secretsmanager")
        default: str = secrets.describe_secret(SecretId=self.outputs["DefaultConnectionSecretArn"])["Name"]
        secrets.create_secret(Name=default.removesuffix("default") + name, SecretString=json.dumps(connection))

    def _secret(self, output: str) -> str:
        return str(self.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])["SecretString"])

    def http(
        self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str
    ) -> requests.Response:
        """Call the HTTP API.

        Args:
            method: The verb.
            path: The path, with a slash at the start.
            body: A value to send as JSON; `None` sends no body.
            token: The bearer token; by default the right one. An empty text sends none.
            headers: More headers, with `_` for `-`.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        shown = self.token if token is None else token
        if shown:
            sent["Authorization"] = f"Bearer {shown}"
        with requests.Session() as session:
            session.trust_env = False  # a proxy or .netrc of this machine has no say
            return session.request(method, self.outputs["ApiUrl"] + path, json=body, headers=sent, timeout=35)


def working_folder(ends: ExitStack) -> Path:
    """Make a folder for logs and temporary files, which is removed when `ends` closes."""
    parent = CACHE / "run"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    ends.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def deploy_stack(aws: Emulator, **parameters: str) -> Stack:
    """Build the bundle and deploy template.yaml with these parameters.

    Raises:
        LocalError: pip could not install a dependency, or CloudFormation could not create a resource.
    """
    outputs = deploy(aws, build(), STACK_NAME, parameters)
    return Stack(aws, {**outputs, "ApiUrl": serve(aws, STACK_NAME)})
