"""Each mistake in a command gives one plain line and the right exit status."""

import signal
from pathlib import Path
from threading import Thread

import pytest

from lightspeed.cli.main import main
from tests.integration.lightspeed.conftest import Run, problem, standard_input
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"{", "is not JSON (Expecting property name"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b"null", "holds null, not an object"),
        (b"[]", "must be a JSON object with cluster or base_url"),
        (b'{"cluster":"eu1","language":"nl","api_key":"k"}', "api_secret is required"),
        (b"[" * 200_000, "is not JSON"),
    ],
    ids=["missing", "cut", "bytes", "null", "list", "incomplete", "deep"],
)
def test_a_connection_file_that_is_none(
    run: Run, shop: Shop, tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "north.json"
    if content is not None:
        file.write_bytes(content)

    assert message in problem(run("count", "orders", "--connection", file), 2)
    assert shop.requests == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND (python -m lightspeed --help explains it)"),
        (["fetch", "orders"], "argument COMMAND: invalid choice: 'fetch'"),
        (["get"], "the following arguments are required: ENTITY (python -m lightspeed get --help explains it)"),
        (["get", "order", "--path", "id=7"], "unknown entity 'order'. Did you mean orders, "),
        (["get", "quotes/convert"], "unknown entity 'quotes/convert'. It is an action: use entity 'quotes' with "),
        (["entities", "ordres"], "unknown entity 'ordres'. Did you mean orders"),
        (["action", "ordres", "credit"], "unknown entity 'ordres'"),
        (["action", "orders", "convert"], "orders has no action convert; its actions: credit"),
        (["action", "checkouts"], "the action is missing; its actions: order, validate"),
        (["action", "brands", "convert"], "brands has no action convert; it has no actions"),
        (["action", "orders", "list"], "list is a command: list orders"),
        (["action", "quotes", "convert", "--path", "id=7", "--match", "x"], "unrecognized arguments: --match x"),
        (["create", "orders"], "orders has no create; it has: list, get, count, update, credit. An order comes from"),
        (["get", "quotes"], 'quotes get: path lacks id; for example {"id": 7}'),
        (["get", "quotes", "--path", "7"], "--path takes NAME=VALUE, such as id=7, not '7'; ENTITY comes before it"),
        (["get", "quotes", "--path", "=7"], "--path takes NAME=VALUE"),
        (["get", "quotes", "--path", "id=7", "id=8"], "--path id is given twice"),
        (["get", "quotes", "--path", "id="], "quotes get: path parameter id must be an id such as 7, not ''"),
        (["list", "orders", "--query", "limit=many"], "orders list: query limit must be a whole number, not 'many'"),
        (["list", "orders", "--all", "--query", "limit=many"], "orders list: query limit must be a whole number"),
        (["list", "orders", "--query", "updated_at_min=now"], "orders list: query updated_at_min must be a time"),
        (["list", "orders", "--all", "--query", "page=2"], "--all reads every page; leave out --query page"),
        (["list", "account", "--all"], "account has no list; it has: get"),
        (["get", "quotes", "--path", "id=7", "--dry-run"], "unrecognized arguments: --dry-run"),
        (["delete", "products", "--dry-run"], "products delete: path lacks id"),
        (["update", "products", "--path", "id=7", "--match", "title"], "unrecognized arguments: --match title"),
        (["create", "products", "--match"], "argument --match: expected one argument"),
        (["list", "orders", "--language", "nld"], "--language must be the shop's two-letter code"),
        (["get", "quotes", "1016615295"], "unrecognized arguments: 1016615295 (give it as --path id=1016615295)"),
        (["list", "orders", "--limit", "5"], "unrecognized arguments: --limit 5 (give it as --query limit=5)"),
        (["count", "orders", "--status=on_hold"], "--status=on_hold (give it as --query status=on_hold)"),
        (["create", "tags", "--payload", '{"title": "a"}'], "No such file or directory; to give the JSON itself, pipe"),
        (["list", "orders/products", "--path", "order_id=*"], "the id * reads the records of every parent: add --all"),
        (["list", "orders", "--all", "--path", "id=*"], "the id * is for the parent of a nested entity, such as"),
        (["get", "x" * 5000], f"unknown entity '{'x' * 99}. "),
        (["get", "orders", "--path", "y" * 5000], f"not '{'y' * 99};"),
        (["z" * 5000], f"invalid choice: '{'z' * 99}…"),
        (["create", "products"], "products create: payload is missing"),
        (["create", "products", "--payload", "missing.json"], "--payload missing.json: No such file or directory"),
        (["list", "orders", "--out"], "argument --out: expected one argument"),
        (["delete", "products", "--path", "id=7", "--payload", "x"], "unrecognized arguments: --payload x"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_told_in_one_line_and_sends_nothing(
    run: Run, shop: Shop, words: list[str], message: str
) -> None:
    assert message in problem(run(*words), 2)
    assert shop.requests == []


@pytest.mark.parametrize("payload", [b"{", b"[]", b'"x"', b"{}", b"null", b'{"a": NaN}', b""], ids=bytes.decode)
def test_a_payload_that_is_no_record_is_refused(
    run: Run, shop: Shop, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard_input(monkeypatch, payload)

    assert "payload" in problem(run("create", "products", "--payload", "-"), 2)
    assert shop.requests == []


def test_without_any_connection_the_variables_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BASE_URL", "API_KEY", "API_SECRET", "LANGUAGE"):
        monkeypatch.setenv(f"LIGHTSPEED_{name}", "")

    message = problem(run("count", "orders"), 2)
    assert message.startswith("no connection: set LIGHTSPEED_CLUSTER, LIGHTSPEED_BASE_URL, LIGHTSPEED_API_KEY")


def test_an_incomplete_environment_says_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTSPEED_API_SECRET")
    monkeypatch.setenv("LIGHTSPEED_CLUSTER", "eu1")

    message = problem(run("count", "orders"), 2)
    assert "give exactly one of LIGHTSPEED_CLUSTER (eu1 or us1) and LIGHTSPEED_BASE_URL" in message
    assert "LIGHTSPEED_API_SECRET is required" in message


def test_a_key_that_a_payload_has_twice_is_refused(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b'{"title": "a", "title": "b"}')

    assert (
        problem(run("create", "tags", "--payload", "-"), 2) == "--payload -: key 'title' is there twice in one object"
    )
    assert shop.requests == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.answers(404), "GET /nl/products/7.json: 404 Not found"),
        (Fault.answers(422, "Two\nlines\x1b[31m"), "GET /nl/products/7.json: 422 Two lines [31m"),
        (Fault.html(501), "GET /nl/products/7.json: 501 501 Maintenance Maintenance"),
        (Fault.html(200), "expected JSON, got: 200 Maintenance Maintenance"),
        (
            Fault.answers(429, headers={"Retry-After": "60"}),
            "429 Too many requests in this time period. Try again later; try again in 60 s",
        ),
    ],
    ids=["404", "422", "page 501", "page 200", "429"],
)
def test_what_the_shop_refuses_is_one_plain_line(run: Run, shop: Shop, fault: Fault, message: str) -> None:
    shop.faults.next(fault, times=4)

    assert message in problem(run("get", "products", "--path", "id=7"), 1)


def test_no_message_shows_a_credential(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.faults.next(Fault.answers(400, f"bad key {shop.api_key}:{shop.api_secret}"))
    shown = problem(run("get", "products", "--path", "id=7"), 1)
    monkeypatch.setenv("LIGHTSPEED_BASE_URL", f"https://{shop.api_key}:{shop.api_secret}@127.0.0.1")
    shown += problem(run("get", "products", "--path", "id=7"), 2)

    assert shop.api_key not in shown
    assert shop.api_secret not in shown


@pytest.mark.usefixtures("run")
def test_an_interrupted_command_ends_quietly() -> None:
    class Interrupted(FakeClock):
        def monotonic(self) -> float:
            raise KeyboardInterrupt

    assert main(["count", "orders"], clock=Interrupted()) == 130


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
def test_what_sigterm_does_is_afterwards_what_it_was_before(clock: FakeClock, before: signal.Handlers) -> None:
    seen = []

    class Looking(FakeClock):
        def monotonic(self) -> float:
            seen.append(signal.getsignal(signal.SIGTERM))
            return super().monotonic()

    looking = Looking(clock.now())
    previous = signal.signal(signal.SIGTERM, before)
    try:
        status = main(["count", "orders"], clock=looking)
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, previous)

    assert (status, after) == (0, before)
    assert all((handler == signal.SIG_IGN) == (before == signal.SIG_IGN) for handler in seen)
    assert signal.SIG_DFL not in seen


def test_a_command_runs_in_a_thread_too(run: Run) -> None:
    outputs = []
    thread = Thread(target=lambda: outputs.append(run("count", "orders")))
    thread.start()
    thread.join()

    assert outputs == [(0, "30\n", "")]


@pytest.mark.usefixtures("run")
def test_the_help_of_the_tap_says_that_the_last_records_come_again(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tap", "--help"])

    said = " ".join(capsys.readouterr().out.split())
    assert "is read from a minute before it, so the last records of a run come again in the next one" in said


@pytest.mark.usefixtures("run")
def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])

    out = capsys.readouterr().out
    assert caught.value.code == 0
    for command in ("entities", "get", "list", "count", "estimate", "create", "update", "delete", "action", "check"):
        assert f"\n    {command} " in out
    assert "LIGHTSPEED_CLUSTER" in out
