"""The tap against the simulated shop: its messages, its state, and what a second run loads."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import lightspeed.listing.reader
from lightspeed.cli.main import main
from lightspeed.tap.messages import STATE_RECORDS
from lightspeed.tap.streams import discover
from tests.integration.lightspeed.conftest import Run, problem, settings_of
from tests.shop import Fault, Shop
from tests.shop import Request as Seen
from tests.support.clock import FakeClock

Message = dict[str, Any]
Tap = Callable[..., tuple[list[Message], str]]
SCRIPT = Path(__file__).parents[3] / "layers" / "lightspeed" / "bin" / "tap-lightspeed-ecom"


@pytest.fixture
def config(shop: Shop, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings_of(shop)))
    return path


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def catalog_of(tmp_path: Path, *names: str) -> Path:
    entries = [entry for entry in discover()["streams"] if entry["stream"] in names]
    for entry in entries:
        entry["metadata"][0]["metadata"]["selected"] = True
    return write(tmp_path / "catalog.json", {"streams": entries})


@pytest.fixture
def tap(run: Run, config: Path, tmp_path: Path) -> Tap:
    """Run the tap on some streams; returns its messages and standard error."""

    def command(*names: str, state: object = None) -> tuple[list[Message], str]:
        words: list[object] = ["--config", config, "--catalog", catalog_of(tmp_path, *names)]
        if state is not None:
            words += ["--state", write(tmp_path / "state.json", state)]
        status, out, err = run("tap", *words)
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()], err

    return command


def records(messages: list[Message], stream: str = "orders") -> list[Message]:
    return [message["record"] for message in messages if message["type"] == "RECORD" and message["stream"] == stream]


def test_every_record_of_every_stream_comes_once_and_matches_its_schema(run: Run, config: Path, shop: Shop) -> None:
    status, out, _ = run("tap", "--config", config)

    assert status == 0
    messages = [json.loads(line) for line in out.splitlines()]
    schemas = {message["stream"]: message["schema"] for message in messages if message["type"] == "SCHEMA"}
    for stream, schema in schemas.items():
        validator = jsonschema_rs.validator_for(schema)
        found = records(messages, stream)
        assert all(validator.is_valid(record) for record in found), stream
        assert len({record["id"] for record in found}) == len(found), stream
    assert sorted(record["id"] for record in records(messages)) == sorted(shop.store.ids("orders"))
    assert len(records(messages, "variants_movements")) > 0


def test_the_old_state_follows_the_schema_and_the_new_one_comes_last(tap: Tap) -> None:
    old = {"bookmarks": {"products": {"replication_key": "updatedAt", "replication_key_value": "2026-01-01T00:00:00Z"}}}

    messages, _ = tap("orders", state=old)

    assert [message["type"] for message in messages[:3]] == ["SCHEMA", "STATE", "RECORD"]
    assert messages[1]["value"] == old
    assert messages[-1]["type"] == "STATE"
    assert messages[-1]["value"]["bookmarks"] == {
        **old["bookmarks"],
        "orders": {"replication_key": "updatedAt", "replication_key_value": "2026-11-23T05:59:55Z"},
    }


def test_a_stream_without_a_record_has_a_state_too(tap: Tap, shop: Shop) -> None:
    for identity in shop.store.ids("reviews"):
        shop.store.delete("reviews", identity)

    messages, _ = tap("reviews")

    assert [message["type"] for message in messages] == ["SCHEMA", "STATE", "STATE"]
    assert messages[-1]["value"]["bookmarks"]["reviews"]["replication_key_value"] == "2026-11-23T05:59:55Z"


def test_the_bookmark_goes_by_the_earliest_time_that_the_answers_give(tap: Tap, shop: Shop) -> None:
    shop.faults.next(Fault.changes_headers({"Date": ""}), times=9, path_contains="/count")
    shop.faults.next(
        Fault.changes_headers({"Date": "Mon, 23 Nov 2026 04:00:00 GMT"}), times=9, path_contains="orders.json"
    )

    messages, err = tap("orders")

    assert messages[-1]["value"]["bookmarks"]["orders"]["replication_key_value"] == "2026-11-23T03:59:55Z"
    assert "not verified" not in err  # a window without a date is read as one that rows may enter


def test_a_second_run_loads_what_changed_and_the_overlap_only(tap: Tap, shop: Shop, clock: FakeClock) -> None:
    first, second_newest = shop.store.ids("orders")[0], shop.store.ids("orders")[1]
    clock.advance(600)
    shop.store.update("orders", first, {"memo": "in the overlap"})
    clock.advance(30)
    one, _ = tap("orders")
    clock.advance(600)
    shop.store.update("orders", second_newest, {"memo": "changed"})
    clock.advance(30)

    two, _ = tap("orders", state=one[-1]["value"])
    three, _ = tap("orders", state=two[-1]["value"])

    assert len(records(one)) == len(shop.store.ids("orders"))
    assert sorted(record["id"] for record in records(two)) == sorted([first, second_newest])
    assert [record["id"] for record in records(three)] == [second_newest]


def test_records_of_a_nested_list_have_their_parents_id_and_time_of_change(tap: Tap, shop: Shop) -> None:
    messages, _ = tap("orders_products")

    assert messages[0]["key_properties"] == ["order_id", "id"]
    found = records(messages, "orders_products")
    orders = {row["id"]: row["updatedAt"] for row in shop.store.records("orders", "nl")}
    expected = [
        (order, changed, line["id"])
        for order, changed in orders.items()
        for line in shop.store.records("orders/products", "nl", order)
    ]
    assert sorted((row["order_id"], row["order_updatedAt"], row["id"]) for row in found) == sorted(expected)
    bookmark = messages[-1]["value"]["bookmarks"]["orders_products"]
    assert bookmark == {"replication_key": "order_updatedAt", "replication_key_value": "2026-11-23T05:59:55Z"}


def test_nested_records_are_read_again_for_parents_that_changed_only(tap: Tap, shop: Shop, clock: FakeClock) -> None:
    one, _ = tap("orders_products")
    clock.advance(600)
    changed = shop.store.ids("orders")[7]
    shop.store.update("orders", changed, {"memo": "changed"})
    clock.advance(30)
    shop.requests.clear()

    two, _ = tap("orders_products", state=one[-1]["value"])

    assert {row["order_id"] for row in records(two, "orders_products")} == {changed}
    assert len(shop.requests) == 5


def test_a_parent_with_many_nested_records_and_a_list_that_nothing_follows(tap: Tap, shop: Shop) -> None:
    order = shop.store.ids("orders")[3]
    line = shop.store.records("orders/products", "nl", order)[0]
    for _ in range(300):
        shop.store.add("orders/products", {"productTitle": line["productTitle"]}, parent=order)

    found = records(tap("orders_products")[0], "orders_products")
    assert sum(row["order_id"] == order for row in found) == len(shop.store.ids("orders/products", order)) > 300

    messages, _ = tap("shippingmethods_countries")
    countries = records(messages, "shippingmethods_countries")
    assert countries
    assert all(row["shippingmethod_id"] for row in countries)
    assert messages[-1] == {"type": "STATE", "value": {}}


def test_numbers_pass_as_the_shop_wrote_them(run: Run, config: Path, tmp_path: Path, shop: Shop) -> None:
    row = b'{"id":1,"updatedAt":"2026-11-20T00:00:00+00:00","priceIncl":12.50,"priceCost":12345678901234567890.12}'
    shop.faults.next(Fault.sends(b'{"count":1}'), times=9, path_contains="/orders/count")
    shop.faults.next(Fault.sends(b'{"orders":[%b]}' % row), path_contains="/orders.json")

    out = run("tap", "--config", config, "--catalog", catalog_of(tmp_path, "orders"))[1]

    assert f'"record":{row.decode()},"time_extracted"' in out


def test_a_record_without_a_key_is_left_out_and_named(tap: Tap, shop: Shop) -> None:
    rows = b'{"languages":[{"id":1},{"id":false},false]}'
    shop.faults.next(Fault.sends(b'{"count":3}'), times=9, path_contains="/languages/count")
    shop.faults.next(Fault.sends(rows), times=9, path_contains="/languages.json")

    messages, err = tap("languages")

    assert records(messages, "languages") == [{"id": 1}]
    assert "languages: left out a record whose id is no whole number, or that is nested too deep: None" in err
    assert "languages: left out a row that is no record: no JSON object but false" in err
    assert "not verified that these are all records" in err


def test_a_state_comes_after_at_most_a_thousand_records(run: Run, clock: FakeClock, tmp_path: Path) -> None:
    with Shop(orders=400, products=0, clock=clock) as shop:
        config = write(tmp_path / "config.json", settings_of(shop))
        out = run("tap", "--config", config, "--catalog", catalog_of(tmp_path, "events"))[1]

    messages = [json.loads(line) for line in out.splitlines()]
    kinds = "".join(message["type"][:2] for message in messages)
    assert len(records(messages, "events")) == 1_200
    assert max(len(stretch) // 2 for stretch in kinds.split("ST")) == STATE_RECORDS


def test_a_list_that_changes_its_order_is_read_again_in_parts(
    run: Run, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lightspeed.listing.reader, "THREADS", 1)
    with Shop(orders=600, products=0, clock=clock, rate_per_second=None) as shop:

        def turn(seen: Seen) -> None:
            if seen.path == "/nl/orders.json":
                shop.habits.orders["orders"] = "id" if seen.query.get("page") == "2" else "-id"

        shop.on_request(turn)
        config = write(tmp_path / "config.json", settings_of(shop))
        status, out, err = run("tap", "--config", config, "--catalog", catalog_of(tmp_path, "orders"))

        assert status == 0
        assert "the list was read again in parts, so records come twice" in err
        found = [record["id"] for record in records([json.loads(line) for line in out.splitlines()])]
        assert set(found) == set(shop.store.ids("orders"))


def test_metrics_go_to_standard_error(tap: Tap, shop: Shop) -> None:
    _, err = tap("orders")

    metrics = [json.loads(line.removeprefix("INFO METRIC: ")) for line in err.splitlines()]
    assert metrics[0] == {
        "type": "counter",
        "metric": "record_count",
        "value": len(shop.store.ids("orders")),
        "tags": {"endpoint": "orders"},
    }


def test_a_stream_that_the_key_may_not_read_leaves_the_others_complete(
    run: Run, config: Path, tmp_path: Path, shop: Shop
) -> None:
    shop.faults.next(Fault.answers(403), times=9, path_contains="/orders")

    status, out, err = run("tap", "--config", config, "--catalog", catalog_of(tmp_path, "orders", "products"))

    assert status == 1
    assert "lightspeed: the shop refuses orders; deselect what the key may not read" in err
    messages = [json.loads(line) for line in out.splitlines()]
    assert len(records(messages, "products")) == len(shop.store.ids("products"))
    assert list(messages[-1]["value"]["bookmarks"]) == ["products"]


def test_a_run_that_fails_leaves_the_old_bookmark_as_the_last_state(
    run: Run, config: Path, tmp_path: Path, shop: Shop
) -> None:
    shop.faults.next(Fault.answers(422), times=9, path_contains="/orders.json")

    status, out, err = run("tap", "--config", config, "--catalog", catalog_of(tmp_path, "orders"))

    assert (status, len(err.splitlines())) == (1, 1)
    assert json.loads(out.splitlines()[-1]) == {"type": "STATE", "value": {}}


class ClosedPipe(io.BytesIO):
    def write(self, _: object) -> int:
        raise BrokenPipeError


def test_a_target_that_closes_its_input_ends_the_tap_with_one_line(
    config: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(ClosedPipe()))

    status = main(["tap", "--config", str(config)], clock=clock)
    sys.stdout.detach()  # type: ignore[union-attr]

    assert problem((status, "", capsys.readouterr().err), 1).startswith("the target closed its input")


def test_discover_and_about_send_nothing(run: Run, shop: Shop) -> None:
    assert json.loads(run("tap", "--discover")[1]) == json.loads(json.dumps(discover()))
    about = json.loads(run("tap", "--about")[1])
    assert about["capabilities"] == ["catalog", "discover", "state", "about"]
    assert about["settings"]["properties"]["api_secret"]["secret"] is True
    assert shop.requests == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_date": "yesterday"}, "start_date must be a time such as"),
        ({"use_singer_decimal": "yes"}, "use_singer_decimal must be true or false"),
        ({"language": "dutch"}, "language must be the shop's two-letter code"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_sent(
    run: Run, shop: Shop, tmp_path: Path, change: Message, message: str
) -> None:
    path = write(tmp_path / "config.json", settings_of(shop, **change))

    assert message in problem(run("tap", "--config", path), 2)
    assert shop.requests == []


def test_a_setting_that_is_not_known_is_warned_of(run: Run, shop: Shop, tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", settings_of(shop, flattening_enabled=True))

    status, _, err = run("tap", "--config", path, "--catalog", catalog_of(tmp_path, "languages"))

    assert status == 0
    assert "warning: --config has the unknown setting 'flattening_enabled'" in err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--catalog", {"streams": [{"tap_stream_id": "nothing"}]}, "there is no stream 'nothing'"),
        ("--catalog", {"streams": []}, "selects no stream"),
        ("--state", [], "must be a JSON object"),
        ("--state", {"bookmarks": {"orders": 7}}, "the state of orders is no bookmark"),
    ],
)
def test_a_wrong_catalogue_or_state_is_refused_before_anything_is_sent(
    run: Run, shop: Shop, config: Path, tmp_path: Path, option: str, value: object, message: str
) -> None:
    path = write(tmp_path / "given.json", value)

    assert message in problem(run("tap", "--config", config, option, path), 2)
    assert shop.requests == []


def test_the_first_run_starts_at_the_start_date(run: Run, shop: Shop, tmp_path: Path, clock: FakeClock) -> None:
    clock.advance(3_600)
    changed = shop.store.ids("orders")[4]
    shop.store.update("orders", changed, {"memo": "changed"})
    clock.advance(60)
    path = write(tmp_path / "config.json", settings_of(shop, start_date="2026-11-23T06:30:00Z"))

    out = run("tap", "--config", path, "--catalog", catalog_of(tmp_path, "orders"))[1]

    assert [record["id"] for record in records([json.loads(line) for line in out.splitlines()])] == [changed]


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SCRIPT, "--about"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )

    assert json.loads(done.stdout)["name"] == SCRIPT.name
    assert os.access(SCRIPT, os.X_OK)
