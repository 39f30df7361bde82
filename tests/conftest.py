"""Gives every test an environment of its own, without settings of this machine and without caches of other tests."""

import itertools
import sys
from collections.abc import Iterator

import pytest

from tests.support.soak import Soak

_OF_THE_MACHINE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)
_OF_THE_FUNCTIONS = (
    "BUCKET",
    "SECRET_PREFIX",
    "SYNC_STATE_MACHINE_ARN",
    "PUBLISH_QUEUE_URL",
    "PUBLISH_FAILURE_QUEUE_URL",
    "WEBHOOK_QUEUE_URL",
    "STACK_NAME",
    "WEBHOOK_WINDOW_SECONDS",
    "WEBHOOK_BUSY_WINDOW_SECONDS",
    "WEBHOOK_BUSY_AFTER_RUNS",
    "IDEMPOTENCY_TABLE",
    "RESULTS_BUS",
    "QUOTA_RESERVE_PERCENT",
    "POWERTOOLS_METRICS_NAMESPACE",
    "LOG_LEVEL",
)
_KEPT = (
    ("subscribe.dependencies", "cached_dependencies"),
    ("subscribe.http", "_routes"),
    ("publish.dependencies", "cached_dependencies"),
    ("publish.triggers.http", "_routes"),
    ("webhook.app", "receiver"),
    ("webhook.app", "_client"),
    ("webhook.trigger", "scheduler"),
    ("connector.observability", "logger"),
)
_SERVICES = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the soak tests."""
    parser.addoption("--seed", type=int, help="the first seed of every soak test, instead of its own")
    parser.addoption("--minutes", type=float, help="minutes that the soak tests share, instead of their own seeds")


@pytest.fixture
def soak(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Soak:
    """Return what a soak test searches its seeds with; every chosen one gets the same share of `--minutes`."""
    minutes, tests = request.config.getoption("--minutes"), request.session.items
    sharing = sum("soak" in item.fixturenames for item in tests if isinstance(item, pytest.Function))

    def say(line: str) -> None:
        with capsys.disabled():
            print(line)

    return Soak(request.config.getoption("--seed"), None if minutes is None else 60 * minutes / sharing, say)


@pytest.fixture(autouse=True)
def _own_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set dummy AWS credentials and forget what the functions keep between invocations; not for the deployed stack."""
    if request.node.get_closest_marker("e2e") is not None:
        yield
        return
    for name in (*_OF_THE_MACHINE, *_OF_THE_FUNCTIONS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # a logger keeps the output of the time at which its service was first named
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"service-{next(_SERVICES)}")
    _forget()
    yield
    _forget()


def _forget() -> None:
    for module, name in _KEPT:
        cached = getattr(sys.modules.get(module), name, None)
        if cached is not None:
            cached.cache_clear()
