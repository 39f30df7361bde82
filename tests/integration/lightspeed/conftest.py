"""A simulated shop on loopback, and a client whose clock is the shop's, so that no test really waits."""

import io
import sys
from collections.abc import Callable, Iterator

import pytest

from lightspeed import Client, Connection, Parameters, Request, Transport
from lightspeed.cli.main import main
from tests.shop import Shop
from tests.support.clock import FakeClock

Connect = Callable[..., Client]
Output = tuple[int, str, str]
Run = Callable[..., Output]


def settings_of(shop: Shop, **changes: object) -> dict[str, object]:
    """Return the settings of a connection to the shop."""
    return {
        "base_url": shop.url,
        "api_key": shop.api_key,
        "api_secret": shop.api_secret,
        "language": "nl",
    } | changes


def product_request(client: Client, shop: Shop, operation: str) -> Request:
    """Build a request about products that would succeed."""
    path = {"id": shop.store.ids("products")[0]} if operation in ("get", "update", "delete") else {}
    payload = {"title": "Mug"} if operation in ("create", "update") else None
    return client.build("products", operation, Parameters(path, payload=payload))


def problem(output: Output, status: int) -> str:
    """Return the one line that a failed command prints."""
    assert output[0] == status
    assert output[1] == ""
    line = output[2]
    assert line.startswith("lightspeed: ")
    assert line.count("\n") == 1
    assert "Traceback" not in line
    return line.removeprefix("lightspeed: ").rstrip("\n")


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLUSTER", "BASE_URL", "API_KEY", "API_SECRET", "LANGUAGE"):
        monkeypatch.delenv(f"LIGHTSPEED_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shop(clock: FakeClock) -> Iterator[Shop]:
    with Shop(orders=30, products=20, clock=clock) as running:
        yield running


@pytest.fixture
def other(clock: FakeClock) -> Iterator[Shop]:
    """A second origin, which must never be called."""
    with Shop(orders=0, products=0, clock=clock) as running:
        yield running


@pytest.fixture
def connect(shop: Shop, clock: FakeClock) -> Connect:
    """Return a function that makes a client for the shop; settings and arguments of `Transport` may be changed."""

    def client(settings: dict[str, object] | None = None, **arguments: object) -> Client:
        connection = Connection.from_mapping(settings_of(shop, **(settings or {})))
        return Client(Transport(connection, **{"clock": clock, **arguments}))  # type: ignore[arg-type]

    return client


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def run(shop: Shop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command; returns its exit status, standard output and standard error."""
    for name, value in settings_of(shop).items():
        monkeypatch.setenv(f"LIGHTSPEED_{name.upper()}", str(value))

    def command(*words: object) -> Output:
        status = main([str(word) for word in words], clock=clock)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command
