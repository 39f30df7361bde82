"""The AWS emulator: a process on a loopback port with a clean environment. It checks signatures and IAM policies."""

import contextlib
import http.client
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.local.process import LOOPBACK, Child, choose_port, processes, start, wait_for_start

REGION = "eu-west-1"
ACCESS_KEY = "test"
SECRET_KEY = "test"


@dataclass(frozen=True)
class Emulator:
    """A running emulator. It is empty at first.

    Attributes:
        endpoint: The origin of every AWS service.
        child: Its process.
    """

    endpoint: str
    child: Child

    def client(self, service: str) -> Any:
        """Return a boto3 client with the rights of the account's root. It ignores this machine's AWS configuration."""
        return _client(service, self.endpoint)

    def handlers(self, handler: str) -> list[int]:
        """Return the ids of the processes that run a function, busy or not, by its handler in the template."""
        ending = f"awslambdaric {handler}"
        return [pid for pid, command in processes() if command.endswith(ending) and os.getpgid(pid) == self.child.pid]


def start_emulator(ends: ExitStack, folder: Path, port: int | None = None, *, wait_scale: float = 1) -> Emulator:
    """Start the emulator. Its state ends with the process.

    Args:
        ends: Stops the emulator when it closes.
        folder: The folder of its log and temporary files.
        port: The port on the loopback interface; by default any free port.
        wait_scale: The seconds that one second of a state machine's waits and retry intervals takes.

    Raises:
        LocalError: Another program listens at the port, or the emulator did not start.
    """
    port = choose_port(port, "emulator", "PORT")
    endpoint = f"http://{LOOPBACK}:{port}"
    environ = _environ(port, endpoint, folder) | {"SFN_WAIT_SCALE": str(wait_scale)}
    child = start(ends, "emulator", [sys.executable, "-m", "ministack"], environ, folder / "emulator.log")
    wait_for_start(child, lambda: _healthy(port))
    return Emulator(endpoint, child)


def _environ(port: int, endpoint: str, folder: Path) -> dict[str, str]:
    """Return the whole environment of the emulator, which every handler inherits."""
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    return False


@cache
def _client(service: str, endpoint: str) -> Any:
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
    config = Config(retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}, proxies={})
    return session.client(service, endpoint_url=endpoint, config=config)
