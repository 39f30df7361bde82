"""The command line as a process of its own: exit statuses, pipes and signals."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import lightspeed
from tests.integration.lightspeed.conftest import settings_of
from tests.shop import Fault, Shop

LAYER = Path(lightspeed.__file__).parent.parent
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(shop: Shop) -> Start:
    """Start `python -m lightspeed` with a connection to the shop."""
    variables = {f"LIGHTSPEED_{name.upper()}": str(value) for name, value in settings_of(shop).items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}

    def process(*words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "lightspeed", *words],
            env={**environ, **variables, "PYTHONPATH": str(LAYER)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return process


@pytest.mark.parametrize(
    ("words", "status"),
    [(["count", "orders"], 0), (["get", "products", "--path", "id=7"], 1), (["get", "products"], 2)],
    ids=["done", "refused", "wrong"],
)
def test_the_exit_status_tells_whose_fault_it_was(start: Start, words: list[str], status: int) -> None:
    process = start(*words)
    out, err = process.communicate()

    assert process.returncode == status
    assert (out == b"") == (status != 0)
    assert err.count(b"\n") == (status != 0)


def test_a_file_is_written_whole(start: Start, shop: Shop, tmp_path: Path) -> None:
    target = tmp_path / "orders.jsonl"
    process = start("list", "orders", "--all", "--out", str(target))
    out, err = process.communicate()

    assert (process.returncode, out, err) == (0, b"", b"")
    assert [json.loads(line)["id"] for line in target.read_bytes().splitlines()] == shop.store.ids("orders")


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(start: Start) -> None:
    process = start("list", "orders", "--all", "--query", "limit=5")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()


def test_ctrl_c_ends_the_command_quietly_and_leaves_no_file(start: Start, shop: Shop, tmp_path: Path) -> None:
    second_page = threading.Event()
    shop.on_request(lambda seen: second_page.set() if seen.query.get("page") == "2" else None)
    shop.faults.next(Fault.delays(20), after=2)  # the shop is asked for its count twice, since its clock differs
    process = start("list", "orders", "--all", "--query", "limit=5", "--out", str(tmp_path / "orders.jsonl"))
    assert second_page.wait(10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()

    assert (process.returncode, out, err) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []
