"""The command line as a process of its own: exit statuses, pipes and signals."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lightspeed
from lightspeed.cli.output import to_standard_output
from tests.integration.lightspeed.conftest import settings_of
from tests.shop import Fault, Request, Shop

LAYER = Path(lightspeed.__file__).parent.parent
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(shop: Shop) -> Start:
    """Start `python -m lightspeed` with a connection to the shop."""
    variables = {f"LIGHTSPEED_{name.upper()}": str(value) for name, value in settings_of(shop).items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}

    def process(
        *words: str,
        how: str = 'exec "$@"',
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
        **more: str,
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            ["/bin/sh", "-c", how, "sh", sys.executable, "-m", "lightspeed", *words],
            env={**environ, **variables, "PYTHONPATH": str(LAYER), **more},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
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

    assert (process.returncode, out) == (0, b"")
    assert err.decode() == f"lightspeed: wrote 30 records to {target}\n"
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


@pytest.mark.parametrize("name", ["orders.jsonl", "orders.jsonl.gz"])
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_command_quietly_and_leaves_no_file(
    start: Start, shop: Shop, tmp_path: Path, sent: signal.Signals, status: int, name: str
) -> None:
    second_page = threading.Event()

    def hold(seen: Request) -> None:
        if seen.query.get("page") == "2":
            shop.faults.next(Fault.delays(120), times=100)
            second_page.set()

    shop.on_request(hold)
    process = start("list", "orders", "--all", "--query", "limit=5", "--out", str(tmp_path / name))
    assert second_page.wait(120)
    process.send_signal(sent)
    out, err = process.communicate()

    assert (process.returncode, out, err) == (status, b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_list_goes_into_a_pipe_that_has_only_a_number(start: Start) -> None:
    expected = start("list", "brands").communicate()[0]
    reading, writing = os.pipe()
    process = start("list", "brands", "--out", f"/dev/fd/{writing}", pass_fds=(writing,))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    out, err = process.communicate()

    assert (process.returncode, out) == (0, b"")
    assert err.startswith(b"lightspeed: wrote ")
    assert text == expected != b""


def test_standard_output_under_another_name_is_not_replaced(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "brands.jsonl"
    file.write_bytes(b"of yesterday\n")
    expected = start("list", "brands").communicate()[0]
    with file.open("ab") as appended:
        process = start("list", "brands", "--out", "/dev/fd/1", stdout=appended.fileno())
        _, err = process.communicate()

    assert (process.returncode, err) == (0, b"")
    assert file.read_bytes() == b"of yesterday\n" + expected
    assert to_standard_output("/dev/stdout")


@pytest.fixture
def tag(tmp_path: Path) -> str:
    """Return the name of a file with a tag to create."""
    file = tmp_path / "tag.json"
    file.write_text('{"title": "caf\\u00e9"}')
    return str(file)


@pytest.fixture
def full() -> Iterator[int]:
    """A device that takes nothing, as a full disk does; opened as it is."""
    device = os.open("/dev/full", os.O_WRONLY)
    yield device
    os.close(device)


def test_a_write_whose_answer_cannot_be_printed_says_that_it_was_done(
    start: Start, shop: Shop, tag: str, full: int
) -> None:
    process = start("create", "tags", "--payload", tag, stdout=full)
    _, err = process.communicate()

    created = shop.store.ids("tags")[0]
    reason = "its answer could not be printed: No space left on device"
    assert (process.returncode, err.decode()) == (1, f"lightspeed: created tags {created}, but {reason}\n")


def test_a_lost_create_that_is_there_is_told_though_it_cannot_be_printed(
    start: Start, shop: Shop, tag: str, full: int
) -> None:
    shop.faults.next(Fault.loses_answer(), method="POST")
    process = start("create", "tags", "--payload", tag, "--match", "title", stdout=full)
    _, err = process.communicate()

    created = shop.store.ids("tags")[0]
    lost, unprinted = err.decode().splitlines()
    assert process.returncode == 1
    assert lost.endswith(f", but tags {created} is there")
    assert unprinted.startswith(f"lightspeed: created tags {created}, but its answer could not be printed")


def test_a_read_that_cannot_be_printed_is_one_line(start: Start, full: int) -> None:
    process = start("list", "brands", stdout=full)
    _, err = process.communicate()

    assert (process.returncode, err) == (1, b"lightspeed: cannot write: No space left on device\n")


def test_a_write_whose_answer_goes_into_a_closed_pipe_says_that_it_was_done(start: Start, shop: Shop, tag: str) -> None:
    tags = len(shop.store.ids("tags"))
    reading, writing = os.pipe()
    os.close(reading)
    process = start("create", "tags", "--payload", tag, stdout=writing)
    os.close(writing)
    _, err = process.communicate()

    created = shop.store.ids("tags")[0]
    reason = "its answer could not be printed: Broken pipe"
    assert (process.returncode, err.decode()) == (1, f"lightspeed: created tags {created}, but {reason}\n")
    assert len(shop.store.ids("tags")) == tags + 1


def test_nothing_is_sent_where_standard_output_is_closed(start: Start, shop: Shop, tag: str) -> None:
    process = start("create", "tags", "--payload", tag, how='exec "$@" >&-')
    _, err = process.communicate()

    assert (process.returncode, err) == (2, b"lightspeed: standard output is closed; nothing was sent\n")
    assert shop.requests == []


def test_a_list_into_a_file_needs_neither_standard_output_nor_error(start: Start, shop: Shop, tmp_path: Path) -> None:
    target = tmp_path / "orders.jsonl"
    process = start("list", "orders", "--all", "--query", "nosuch=1", "--out", str(target), how='exec "$@" >&- 2>&-')

    assert process.communicate() == (b"", b"")
    assert process.returncode == 0
    assert [json.loads(line)["id"] for line in target.read_bytes().splitlines()] == shop.store.ids("orders")


def test_a_payload_from_standard_input_that_is_closed_is_one_line(start: Start, shop: Shop) -> None:
    process = start("create", "tags", "--payload", "-", how='exec "$@" <&-')
    out, err = process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert err == b"lightspeed: --payload -: standard input is closed\n"
    assert shop.requests == []


def test_output_is_utf_8_whatever_the_locale(start: Start, tag: str) -> None:
    words = ["create", "tags", "--payload", tag, "--dry-run"]
    out, err = start(*words, PYTHONIOENCODING="ascii").communicate()
    wrong = start("get", "caf\u00e9", PYTHONIOENCODING="ascii").communicate()[1]

    assert err == b""
    assert json.loads(out)["request"]["body"] == {"tag": {"title": "caf\u00e9"}}
    assert "\u00e9".encode() in out
    assert "unknown entity 'caf\u00e9'".encode() in wrong


def test_the_client_pins_what_the_layer_pins() -> None:

    def pins(name: str) -> set[str]:
        lines = (LAYER / name).read_text().splitlines()
        return {line.partition(" ")[0] for line in lines if line and not line.startswith("#")}

    assert pins("requirements-client.txt") <= pins("requirements.txt")
