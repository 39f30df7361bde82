"""The simulated shop as a process of its own, and the connection that leads to it."""

import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.local.build import ROOT
from tests.local.process import Child, choose_port, start, wait_for_start


@dataclass(frozen=True)
class Shop:
    """A running shop.

    Attributes:
        url: Its origin.
        child: Its process.
        connection: What the secret of a connection to it holds.
    """

    url: str
    child: Child
    connection: Mapping[str, str]


def start_shop(ends: ExitStack, folder: Path, port: int | None = None) -> Shop:
    """Start the shop with its own data.

    Args:
        ends: Stops it when it closes.
        folder: Takes its log.
        port: Where to listen on the loopback interface; by default any free port.

    Raises:
        LocalError: The port is taken, or the shop did not start.
    """
    port = choose_port(port, "shop", "SHOP_PORT") if port else 0
    log = folder / "shop.log"
    environ = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    child = start(ends, "shop", [sys.executable, "-m", "tests.shop", "--webhooks", "--port", str(port)], environ, log)
    wait_for_start(child, lambda: bool(_printed(log)))
    said = _printed(log)
    connection = {
        "base_url": said["shop"],
        "language": said["language"],
        "api_key": said["key"],
        "api_secret": said["secret"],
    }
    return Shop(said["shop"], child, connection)


def _printed(log: Path) -> dict[str, str]:
    """What the shop prints once it listens: `shop URL key KEY secret SECRET language LANGUAGE`."""
    line = re.search(r"^(shop \S+ key \S+ secret \S+ language \S+)\n", log.read_text(), re.MULTILINE)
    words = line.group(1).split() if line else []
    return dict(zip(words[::2], words[1::2], strict=True))
