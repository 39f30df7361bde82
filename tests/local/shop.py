"""The simulated shop as a process of its own, and a connection to it."""

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
        connection: The content of a connection's secret.
    """

    url: str
    child: Child
    connection: Mapping[str, str]


def start_shop(ends: ExitStack, folder: Path, port: int | None = None) -> Shop:
    """Start the shop with its own data.

    Args:
        ends: Stops the shop when it closes.
        folder: The folder of its log.
        port: The port on the loopback interface; by default any free port.

    Raises:
        LocalError: Another program listens at the port, or the shop did not start.
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
    """Return the values of the line that the shop prints: `shop URL key KEY secret SECRET language LANGUAGE`."""
    line = re.search(r"^(shop \S+ key \S+ secret \S+ language \S+)\n", log.read_text(), re.MULTILINE)
    words = line.group(1).split() if line else []
    return dict(zip(words[::2], words[1::2], strict=True))
