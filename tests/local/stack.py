"""The deployed bundle as a user meets it: its outputs, its HTTP API, its secrets, and AWS clients to look around."""

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
    """The bundle, deployed.

    Attributes:
        emulator: Where it runs.
        outputs: The template's outputs; `ApiUrl` is the one that works here.
    """

    emulator: Emulator
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client with the rights of the account's root."""
        return self.emulator.client(service)

    @cached_property
    def token(self) -> str:
        """The bearer token, as the template had it generated."""
        return self._secret("ApiTokenSecretArn")

    @property
    def connection(self) -> str:
        """The default connection as it is stored, JSON."""
        return self._secret("DefaultConnectionSecretArn")

    def connect(self, connection: Mapping[str, str]) -> None:
        """Store a shop's connection in the secret of the default connection."""
        secret_id = self.outputs["DefaultConnectionSecretArn"]
        self.client("secretsmanager").put_secret_value(SecretId=secret_id, SecretString=json.dumps(connection))

    def add_connection(self, name: str, connection: dict[str, Any]) -> None:
        """Store a shop's connection in a secret of its own, beside that of the default connection."""
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
            path: Begins with a slash.
            body: Sent as JSON unless it is None.
            token: The bearer token to show; by default the right one, none at all if empty.
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
    """Make a folder for logs and temporary files; it goes when `ends` closes."""
    parent = CACHE / "run"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    ends.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def deploy_stack(aws: Emulator, **parameters: str) -> Stack:
    """Build the bundle and deploy template.yaml with these parameters.

    Raises:
        LocalError: A dependency could not be installed, or a resource could not be created.
    """
    outputs = deploy(aws, build(), STACK_NAME, parameters)
    return Stack(aws, {**outputs, "ApiUrl": serve(aws, STACK_NAME)})
