"""One deployed stack and one simulated shop for the whole suite."""

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import requests

from tests.local.emulator import start_emulator
from tests.local.process import interrupt_on_every_end
from tests.local.shop import Shop, start_shop
from tests.local.stack import Stack, deploy_stack, working_folder

Found = TypeVar("Found")


@dataclass(frozen=True)
class ShopSeen:
    """The shop asked directly, past the connector."""

    shop: Shop

    def get(self, path: str, **query: object) -> Any:
        """The JSON answer to a path such as `orders/count`, or None where there is nothing."""
        auth = (self.shop.connection["api_key"], self.shop.connection["api_secret"])
        parameters = {name: str(value) for name, value in query.items()}
        with requests.Session() as session:
            session.trust_env = False  # a proxy of this machine has no say
            answer = session.get(f"{self.shop.url}/nl/{path}.json", params=parameters, auth=auth, timeout=60)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    def ids(self, resource: str) -> list[int]:
        """The id of every record of a list, in order."""
        found: list[int] = []
        page = 1
        while records := self.get(resource, limit=250, page=page)[resource]:
            found += [record["id"] for record in records]
            page += 1
        return sorted(found)


@dataclass(frozen=True)
class Landed:
    """What lies in the bucket."""

    stack: Stack

    def keys(self, prefix: str) -> list[str]:
        """Keys below a prefix, in order."""
        pages = self.stack.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.stack.outputs["Bucket"], Prefix=prefix)
        return [row["Key"] for page in found for row in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        """An object."""
        answer = self.stack.client("s3").get_object(Bucket=self.stack.outputs["Bucket"], Key=key)
        return bytes(answer["Body"].read())

    def manifest(self, run_id: str) -> dict[str, Any]:
        """The manifest of a run; its parts are as it says."""
        (key,) = [key for key in self.keys("manifests/") if key.endswith(f"/{run_id}.json")]
        manifest: dict[str, Any] = json.loads(self.read(key))
        for part in manifest["parts"]:
            stored = self.read(part["key"])
            assert (len(stored), hashlib.sha256(stored).hexdigest()) == (part["bytes"], part["sha256"])
        return manifest

    def records(self, run_id: str) -> list[dict[str, Any]]:
        """The records of a run, as its manifest lists them."""
        parts = [gzip.decompress(self.read(part["key"])) for part in self.manifest(run_id)["parts"]]
        return [json.loads(line) for part in parts for line in part.splitlines()]


@pytest.fixture(scope="session")
def bundle() -> Iterator[tuple[Stack, Shop]]:
    interrupt_on_every_end()
    with ExitStack() as ends, pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.delenv(name, raising=False)
        folder = working_folder(ends)
        shop = start_shop(ends, folder)
        stack = deploy_stack(start_emulator(ends, folder, wait_scale=0.05))
        stack.connect(shop.connection)
        yield stack, shop


@pytest.fixture
def stack(bundle: tuple[Stack, Shop]) -> Stack:
    """The deployed bundle, connected to the shop."""
    return bundle[0]


@pytest.fixture
def shop(bundle: tuple[Stack, Shop]) -> ShopSeen:
    """The shop, asked directly."""
    return ShopSeen(bundle[1])


@pytest.fixture
def landed(stack: Stack) -> Landed:
    """The bucket."""
    return Landed(stack)


@pytest.fixture
def taken(stack: Stack, eventually: Callable[..., Any]) -> Callable[[str, Callable[[str], bool]], dict[str, Any]]:
    """Take the first message out of a queue whose body is the one looked for."""
    sqs = stack.client("sqs")

    def take(queue: str, wanted: Callable[[str], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            return next((message for message in answer.get("Messages", ()) if wanted(message["Body"])), None)

        message: dict[str, Any] = eventually(look)
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return message

    return take


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask until there is an answer, and fail if there is none in time."""

    def ask(question: Callable[[], Found | None], timeout_seconds: float = 300) -> Found:
        deadline = time.monotonic() + timeout_seconds
        while not (found := question()):
            if time.monotonic() > deadline:
                pytest.fail(f"nothing came of it in {timeout_seconds} s")
            time.sleep(0.1)
        return found

    return ask
