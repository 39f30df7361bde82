"""The tap passes singer-sdk's own tests of taps, and runs with the real target-jsonl."""

import contextlib
import io
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.testing import SuiteConfig, get_tap_test_class, pytest_plugin
from singer_sdk.testing.suites import SingerTestSuite, tap_stream_tests, tap_tests
from singer_sdk.testing.tap_tests import (
    AttributeIsIntegerTest,
    AttributeNotNullTest,
    StreamCatalogSchemaMatchesRecordTest,
    StreamRecordSchemaMatchesCatalogTest,
)

from lightspeed.catalogue.sample_schemas import load_sample_schemas
from lightspeed.cli.main import main
from lightspeed.cli.tap import about
from lightspeed.tap.streams import discover
from tests.integration.lightspeed.conftest import Run, settings_of
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock

ROOT = Path(__file__).parents[3]
TARGET = ROOT / ".tools/target/bin/target-jsonl"
ENTRIES = {entry["stream"]: entry for entry in discover()["streams"]}
SAMPLES = {name.replace("/", "_") for name in load_sample_schemas()}

pytest_generate_tests = pytest_plugin.pytest_generate_tests


def catalog_of(*names: str) -> dict[str, Any]:
    """Return a catalogue with these streams selected."""
    entries = [json.loads(json.dumps(ENTRIES[name])) for name in names]
    for entry in entries:
        entry["metadata"][0]["metadata"]["selected"] = True
    return {"streams": entries}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The messages of one run of all streams, by stream."""
    folder, clock = tmp_path_factory.mktemp("tap"), FakeClock()
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with Shop(orders=8, products=5, clock=clock, quota=None, rate_per_second=None) as shop:
        shop.store.add("returns", {"status": "open"})
        (folder / "config.json").write_text(json.dumps(settings_of(shop)))
        (folder / "catalog.json").write_text(json.dumps(catalog_of(*ENTRIES)))
        words = ["--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
        with contextlib.redirect_stdout(out):
            assert main(["tap", *words], clock=clock) == 0
    found: dict[str, list[str]] = defaultdict(list)
    name = ""
    for line in out.buffer.getvalue().decode().splitlines():
        name = json.loads(line).get("stream", name)
        found[name].append(line)
    OurTap.messages = found
    return found


class OurStream(Stream):
    """A stream for singer-sdk. It writes the messages that our tap wrote."""

    def __init__(self, tap: Tap, entry: dict[str, Any]) -> None:
        super().__init__(tap, schema=entry["schema"], name=entry["stream"])
        self.primary_keys = entry["key_properties"]
        self.replication_key = entry.get("replication_key")

    def get_records(self, context: object) -> Iterator[dict[str, Any]]:
        raise AssertionError(f"our tap reads {self.name}, not {context!r}")

    def sync(self, context: object = None) -> None:  # type: ignore[misc]
        assert context is None
        sys.stdout.writelines(f"{line}\n" for line in OurTap.messages[self.name])


class OurTap(Tap):
    """Our tap as singer-sdk sees it, with some of its streams."""

    name = "tap-lightspeed-ecom"
    config_jsonschema: ClassVar[dict[str, Any]] = about()["settings"]
    messages: ClassVar[dict[str, list[str]]]
    names: ClassVar[set[str]]

    def discover_streams(self) -> Sequence[Stream]:
        return [OurStream(self, entry) for name, entry in ENTRIES.items() if name in self.names]


class KnownFields(OurTap):
    """The streams of entities with a sample."""

    names = SAMPLES


class UnknownFields(OurTap):
    """The others: their schemas name the key and times, and their records have more."""

    names = set(ENTRIES) - SAMPLES


def suite_of(kind: Any, tests: Sequence[Any]) -> Any:
    # a record of the shop need not have every field of the samples, which that test warns of
    return SingerTestSuite(
        kind=kind, tests=[test for test in tests if test is not StreamCatalogSchemaMatchesRecordTest]
    )


def standard_tests(tap: type[Tap], *without: Any) -> Any:
    """Return singer-sdk's standard tests. Of those for a field, those for fields that have one type."""
    stream_tests = [test for test in tap_stream_tests.tests if test not in without]
    return get_tap_test_class(
        tap,
        config={"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"},
        suite_config=SuiteConfig(max_records_limit=None),
        include_tap_tests=False,
        include_stream_tests=False,
        include_stream_attribute_tests=False,
        custom_suites=[
            tap_tests,
            suite_of("tap_stream", stream_tests),
            suite_of("tap_stream_attribute", [AttributeIsIntegerTest, AttributeNotNullTest]),
        ],
    )


@pytest.mark.usefixtures("messages")
class TestKnownFields(standard_tests(KnownFields)):  # type: ignore[misc]
    pass


@pytest.mark.usefixtures("messages")
class TestUnknownFields(standard_tests(UnknownFields, StreamRecordSchemaMatchesCatalogTest)):  # type: ignore[misc]
    pass


def load(run: Run, shop: Shop, folder: Path, *names: str, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run tap and target once; return the state that the target gives back. The records are files in `loaded`."""
    for name, content in {
        "config": settings_of(shop),
        "catalog": catalog_of(*names),
        "state": state or {},
        "target": {"destination_path": str(folder / "loaded"), "do_timestamp_file": False},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    files = [word for name in ("config", "catalog", "state") for word in (f"--{name}", folder / f"{name}.json")]
    status, out, err = run("tap", *files)
    assert status == 0, err
    done = subprocess.run(  # noqa: S603 - the target that the tests install
        [TARGET, "--config", folder / "target.json"], input=out.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def loaded(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the records of a stream that the target stored since the last call."""
    path = folder / "loaded" / f"{name}.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return [json.loads(line) for line in lines]


def test_the_second_run_with_the_real_target_loads_the_overlap_only(
    run: Run, shop: Shop, clock: FakeClock, tmp_path: Path
) -> None:
    orders = shop.store.ids("orders")
    clock.advance(600)
    shop.store.update("orders", orders[0], {"memo": "in the overlap"})
    clock.advance(30)

    state = load(run, shop, tmp_path, "orders", "orders_products", "languages")
    lines = sum(len(shop.store.ids("orders/products", order)) for order in orders)
    assert sorted(row["id"] for row in loaded(tmp_path, "orders")) == sorted(orders)
    assert len(loaded(tmp_path, "orders_products")) == lines
    languages = len(loaded(tmp_path, "languages"))

    clock.advance(600)
    again = load(run, shop, tmp_path, "orders", "orders_products", "languages", state=state)
    assert [row["id"] for row in loaded(tmp_path, "orders")] == [orders[0]]
    assert {row["order_id"] for row in loaded(tmp_path, "orders_products")} == {orders[0]}
    assert len(loaded(tmp_path, "languages")) == languages  # a list without times is read as a whole each time

    shop.store.update("orders", orders[1], {"memo": "changed"})
    clock.advance(30)
    load(run, shop, tmp_path, "orders", "orders_products", state=again)
    assert [row["id"] for row in loaded(tmp_path, "orders")] == [orders[1]]
    assert {row["order_id"] for row in loaded(tmp_path, "orders_products")} == {orders[1]}


def test_cents_arrive_in_the_real_target(run: Run, shop: Shop, tmp_path: Path) -> None:
    row = b'{"id":1,"updatedAt":"2026-11-20T00:00:00+00:00","priceIncl":12.50,"priceCost":false,"customer":false}'
    shop.faults.next(Fault.sends(b'{"count":1}'), times=9, path_contains="/orders/count")
    shop.faults.next(Fault.sends(b'{"orders":[%b]}' % row), path_contains="/orders.json")

    load(run, shop, tmp_path, "orders")

    text = (tmp_path / "loaded/orders.jsonl").read_text(encoding="utf-8")
    assert '"priceIncl": 12.50, "priceCost": false, "customer": false' in text
