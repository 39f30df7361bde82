"""The command line, run in this process against the simulated shop."""

import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest

from lightspeed import CATALOGUE
from lightspeed.cli.main import main
from tests.integration.lightspeed.conftest import Run, problem, settings_of
from tests.shop import Fault, Shop
from tests.shop import Request as Seen
from tests.support.clock import MONDAY_SIX, FakeClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_catalogue_has_a_line_for_each_entity(run: Run, shop: Shop) -> None:
    status, out, err = run("entities")

    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(CATALOGUE)
    assert "list get count update credit" in out
    assert err == ""
    assert shop.requests == []


def test_the_catalogue_as_json(run: Run) -> None:
    described = json.loads(run("entities", "--json")[1])

    assert [row["entity"] for row in described] == list(CATALOGUE)


def test_one_entity_shows_what_it_can_do(run: Run) -> None:
    out = run("entities", "orders")[1]

    assert "get       GET    orders/{id}" in out
    assert "credit    POST   orders/{id}/credit  payload optional" in out
    assert "no create: An order comes from a checkout" in out
    assert "updated_at_min (time)" in out
    assert "incremental: updated_at_min" in out
    assert "filters: none known" in run("entities", "account")[1]
    assert json.loads(run("entities", "orders", "--json")[1])["entity"] == "orders"


def test_get_prints_the_record_as_the_shop_sent_it(run: Run, shop: Shop) -> None:
    quote = shop.store.ids("quotes")[0]
    status, out, err = run("get", "quotes", "--path", f"id={quote}")

    assert (status, err) == (0, "")
    assert '{"quote":' + out.rstrip("\n") + "}" == shop.answer("GET", f"/nl/quotes/{quote}.json")[2].decode()


def test_the_key_of_the_account_is_not_shown(run: Run, shop: Shop) -> None:
    out = run("get", "account")[1]

    assert shop.api_key not in out
    assert json.loads(out)["apiKey"] == "***"


def test_list_prints_a_page_as_json_lines(run: Run, shop: Shop) -> None:
    status, out, err = run("list", "orders", "--query", "limit=3", "page=2", "--query", "fields=id,number")

    assert (status, err) == (0, "")
    assert [json.loads(line)["id"] for line in out.splitlines()] == shop.store.ids("orders")[3:6]
    assert len(shop.requests) == 1


def test_list_all_prints_every_record_the_last_page_first(run: Run, shop: Shop) -> None:
    status, out, err = run("list", "orders", "--all", "--query", "limit=7")

    ids = shop.store.ids("orders")
    assert (status, err) == (0, "")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [
        identity for start in (28, 21, 14, 7, 0) for identity in ids[start : start + 7]
    ]
    assert [seen.path for seen in shop.requests].count("/nl/orders.json") == 5


def test_list_all_misses_nothing_and_repeats_nothing_while_the_shop_changes(run: Run, shop: Shop) -> None:
    before, gone = shop.store.ids("orders"), shop.store.ids("orders")[:3]

    def change(seen: Seen) -> None:
        if seen.query.get("page") == "3" and gone:
            shop.store.delete("orders", gone.pop())

    shop.on_request(change)
    status, out, err = run("list", "orders", "--all", "--query", "limit=7")

    ids = [json.loads(line)["id"] for line in out.splitlines()]
    assert status == 0
    assert err.startswith("lightspeed: not verified that these are all records: rows left the list while it was read")
    assert len(set(ids)) == len(ids)
    assert set(shop.store.ids("orders")) <= set(ids) <= set(before)


def test_list_all_says_if_it_cannot_be_sure(run: Run, shop: Shop) -> None:
    shop.ignore_filter("created_at_max")
    shop.store.update("orders", shop.store.ids("orders")[0], createdAt=MONDAY_SIX)
    status, out, err = run("list", "orders", "--all")

    assert status == 0
    assert len(out.splitlines()) == 30
    assert err.startswith("lightspeed: not verified that these are all records: the shop ignores its filter created_at")
    assert err.count("\n") == 1


def test_list_all_says_if_nobody_knows_a_filter(run: Run) -> None:
    known = run("list", "orders", "--all", "--query", "status=completed_shipped")
    status, out, err = run("list", "orders", "--all", "--query", "limt=5")

    assert (known[0], known[2]) == (0, "")
    assert known[1]
    assert (status, len(out.splitlines())) == (0, 30)
    assert err == (
        "lightspeed: warning: orders has no known filter 'limt', and the shop may ignore it; did you mean limit?\n"
    )


@pytest.mark.parametrize("words", [["list", "orders"], ["count", "orders"], ["get", "shop"]], ids=" ".join)
def test_an_unknown_filter_is_one_line_and_the_command_goes_on(run: Run, words: list[str]) -> None:
    status, out, err = run(*words, "--query", "nosuch=1")

    assert status == 0
    assert out
    assert err.startswith(f"lightspeed: warning: {words[1]} has no known filter 'nosuch', and the shop may ignore it")
    assert err.count("\n") == 1


def test_the_children_of_every_parent_are_read(run: Run, shop: Shop) -> None:
    status, out, err = run("list", "orders/products", "--all", "--path", "order_id=*", "--query", "limit=2")

    assert (status, err) == (0, "")
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == sorted(shop.store.ids("orders/products"))


def test_a_parent_that_is_gone_has_no_children(run: Run, shop: Shop) -> None:
    shop.faults.next(Fault.answers(404), times=99, path_contains=f"orders/{shop.store.ids('orders')[0]}")
    status, out, _ = run("list", "orders/metafields", "--all", "--path", "order_id=*")

    left = [i for order in shop.store.ids("orders")[1:] for i in shop.store.ids("orders/metafields", order)]
    assert status == 0
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == sorted(left)


def test_a_parent_whose_children_the_shop_denies_ends_the_command_with_an_error(run: Run, shop: Shop) -> None:
    shop.faults.next(Fault.answers(404), times=9, path_contains=f"orders/{shop.store.ids('orders')[0]}/")
    status, _, err = run("list", "orders/metafields", "--all", "--path", "order_id=*")

    assert status == 1
    assert "the shop has the parent" in err


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (["tags"], "tags.json", b'{"tags": [7]}'),
        (["orders/metafields", "--path", "order_id=*"], "/metafields.json", b'{"orderMetafields": [7]}'),
    ],
    ids=["of a list", "of a parent"],
)
def test_list_all_says_which_rows_are_no_records(
    run: Run, shop: Shop, words: list[str], path: str, body: bytes
) -> None:
    shop.faults.next(Fault.sends(body), path_contains=path)
    status, _, err = run("list", *words, "--all")

    assert status == 0
    assert "no record: no JSON object but 7" in err


def test_nothing_found_is_said(run: Run, tmp_path: Path) -> None:
    no_match = "lightspeed: no orders match status=completed\n"
    target = tmp_path / "orders.jsonl"

    assert run("list", "orders", "--query", "status=completed") == (0, "", no_match)
    assert run("list", "orders", "--all", "--query", "status=completed", "--out", target) == (
        0,
        "",
        f"{no_match}lightspeed: wrote 0 records to {target}\n",
    )


def test_list_all_says_if_records_could_not_be_told_apart(run: Run) -> None:
    status, out, err = run("list", "orders", "--all", "--query", "fields=number", "limit=7")

    assert (status, len(out.splitlines())) == (0, 30)
    assert "records carry no id" in err


@pytest.mark.parametrize(
    ("limit", "requests"),
    [
        (31, ["count", "page 1"]),
        (30, ["count", "page 2", "page 1"]),
        (29, ["count", "page 2", "page 1", "count"]),
    ],
    ids=["one page", "one full page", "two pages"],
)
def test_list_all_sends_no_request_more_than_it_needs(run: Run, shop: Shop, limit: int, requests: list[str]) -> None:
    assert run("list", "orders", "--all", "--query", "fields=id", f"limit={limit}")[0] == 0

    sent = [f"page {seen.query['page']}" if "page" in seen.query else "count" for seen in shop.requests]
    assert sorted(sent) == sorted(requests)


def test_list_all_goes_by_the_clock_of_the_shop(run: Run, shop: Shop, clock: FakeClock) -> None:
    ours = FakeClock(clock.now())
    ours.ahead = -3600
    shop.store.add("orders", at=clock.now() - 60)  # a record between both times shows which one is right
    words = ["list", "orders", "--all", "--query", "fields=id"]

    assert main(words, clock=ours) == 0
    assert run(*words)[0] == 0
    pages = [seen.query for seen in shop.requests if seen.path == "/nl/orders.json" and seen.query["limit"] != "1"]
    first, second = (query["created_at_max"] for query in pages)
    assert first == second == "2026-11-23 05:59:55"


def test_several_path_parameters(run: Run, shop: Shop) -> None:
    image = shop.store.rows("products/images")[0]
    out = run("get", "products/images", "--path", f"product_id={image['parent_id']}", "--path", f"id={image['id']}")[1]

    assert json.loads(out)["id"] == image["id"]


def test_another_language(run: Run, shop: Shop) -> None:
    assert run("list", "products", "--language", "en")[0] == 0
    assert shop.requests[0].path == "/en/products.json"


@pytest.mark.parametrize("name", ["orders.jsonl", "orders.jsonl.gz"])
def test_a_list_goes_into_a_file(run: Run, shop: Shop, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    status, out, err = run("list", "orders", "--all", "--out", target)

    text = gzip.decompress(target.read_bytes()) if name.endswith(".gz") else target.read_bytes()
    assert (status, out, err) == (0, "", f"lightspeed: wrote 30 records to {target}\n")
    assert [json.loads(line)["id"] for line in text.splitlines()] == shop.store.ids("orders")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("limit", "is_full"), [("29", True), ("30", True), ("31", False)])
def test_a_full_page_in_a_file_is_not_taken_for_the_whole_list(
    run: Run, tmp_path: Path, limit: str, is_full: bool
) -> None:
    err = run("list", "orders", "--query", f"limit={limit}", "--out", tmp_path / "orders.jsonl")[2]

    assert ("lightspeed: this is one page; --all reads every record\n" in err) == is_full


def test_a_file_of_the_same_records_is_the_same_file(run: Run, tmp_path: Path) -> None:
    run("list", "brands", "--out", tmp_path / "a.gz")
    run("list", "brands", "--out", tmp_path / "b.gz")

    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
def test_a_list_goes_through_a_named_pipe_that_stays_one(run: Run, tmp_path: Path, name: str) -> None:
    expected = run("list", "brands", "--query", "fields=id")[1]
    pipe = tmp_path / name
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output = run("list", "brands", "--query", "fields=id", "--out", pipe)
    text = os.read(reader, 65_536)
    os.close(reader)

    assert output[:2] == (0, "")
    assert output[2].startswith("lightspeed: wrote ")
    assert (gzip.decompress(text) if name.endswith(".gz") else text).decode() == expected
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("before", ["of yesterday\n", None], ids=["there", "not there yet"])
def test_a_list_goes_into_the_file_that_a_link_leads_to(run: Run, tmp_path: Path, before: str | None) -> None:
    (tmp_path / "disk").mkdir()
    file, link = tmp_path / "disk" / "brands.jsonl", tmp_path / "brands.jsonl"
    if before is not None:
        file.write_text(before)
    link.symlink_to(file)
    expected = run("list", "brands")[1]

    assert run("list", "brands", "--out", link)[:2] == (0, "")
    assert link.is_symlink()
    assert file.read_text() == expected
    assert list(file.parent.iterdir()) == [file]


def test_a_dash_is_standard_output(run: Run) -> None:
    assert run("list", "brands", "--out", "-") == run("list", "brands")


def test_a_list_that_breaks_off_leaves_no_file_and_keeps_the_old_one(run: Run, shop: Shop, tmp_path: Path) -> None:
    target = tmp_path / "orders.jsonl"
    target.write_text("of yesterday\n")
    shop.faults.next(Fault.answers(501), after=2)

    message = problem(run("list", "orders", "--all", "--query", "limit=7", "--out", target), 1)

    assert message == "GET /nl/orders.json: 501 Error"
    assert target.read_text() == "of yesterday\n"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("run")
def test_an_interrupted_list_leaves_no_file(shop: Shop, tmp_path: Path) -> None:
    class InterruptedClock(FakeClock):
        def monotonic(self) -> float:
            if len(shop.requests) >= 3:
                raise KeyboardInterrupt
            return super().monotonic()

    status = main(
        ["list", "orders", "--all", "--query", "limit=7", "--out", str(tmp_path / "orders.jsonl")],
        clock=InterruptedClock(),
    )

    assert status == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing/orders.jsonl", "No such file or directory"),
        (".", "it is a directory"),
        ("file/x", "Not a directory"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_before_any_request(
    run: Run, shop: Shop, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "file").touch()

    assert (
        problem(run("list", "orders", "--out", tmp_path / target), 2) == f"cannot write {tmp_path / target}: {reason}"
    )
    assert shop.requests == []


@pytest.mark.usefixtures("run")
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def writelines(self, _lines: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full()))

    assert main(["list", "brands"]) == 1


@pytest.mark.usefixtures("run")
def test_progress_is_shown_on_a_terminal_beside_a_file(
    shop: Shop, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("time.sleep", clock.sleep)
    shop.faults.next(Fault.answers(429, headers={"Retry-After": "30"}), after=2)
    status = main(["list", "orders", "--all", "--query", "limit=10", "--out", str(tmp_path / "orders.jsonl")])

    shown = [text.removeprefix("\x1b[K") for text in terminal.getvalue().split("\r")]
    assert status == 0
    assert shown[1] == "orders (waiting 30 s)"
    assert shown[2] == "orders [========                ]  33% 10 of 30 records"
    bar, said, end = shown[-1].split("\n")
    assert bar == "orders [========================] 100% 30 of 30 records"
    assert (said.startswith("lightspeed: wrote 30 records to "), end) == (True, "")
    assert "count" in shop.requests[0].path


@pytest.mark.usefixtures("run")
def test_progress_of_a_list_that_cannot_be_counted(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    checkout = shop.store.add("checkouts")
    words = ["list", "checkouts/payment_methods", "--path", f"checkout_id={checkout}", "--all"]
    status = main([*words, "--out", str(tmp_path / "methods.jsonl")])

    assert status == 0
    assert "checkouts/payment_methods " in terminal.getvalue()
    assert " records\nlightspeed: wrote " in terminal.getvalue()


@pytest.mark.usefixtures("run")
def test_records_on_a_terminal_are_not_mixed_with_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    assert main(["list", "brands"]) == 0
    assert terminal.getvalue() == ""


def test_the_five_minute_window_is_waited_out_but_no_longer_one(run: Run, shop: Shop, clock: FakeClock) -> None:
    shop.limits.quota = (4, 3000, 12000)
    assert run("list", "orders", "--all", "--query", "limit=10")[0] == 0
    assert clock.slept == [300]

    shop.limits.quota = (300, 1, 12000)
    run("count", "orders")
    message = problem(run("list", "orders", "--all"), 1)
    assert (
        message
        == "GET /nl/orders/count.json: 429 Too many requests in this time period. Try again later; try again in 3300 s"
    )


def test_count(run: Run) -> None:
    assert run("count", "orders") == (0, "30\n", "")
    assert run("count", "orders", "--query", "updated_at_min=2030-01-01") == (
        0,
        "0\n",
        "lightspeed: no orders match updated_at_min=2030-01-01\n",
    )


def test_check(run: Run, shop: Shop) -> None:
    shop.permissions["content"] = (True, False)
    shop.permissions["tracking"] = (False, False)
    status, out, _ = run("check")

    assert status == 0
    assert out.splitlines() == [
        f"connected    {shop.url}",
        "language     nl (active in the shop: nl, de, en)",
        "permissions  content read, products read and write, customers read and write, orders read and write, "
        "settings read and write, tracking none",
        "times        in UTC, for filters",
        "quota        296 of 300 requests left of the 5 minutes window, which resets in 300 s",
        "quota        2,996 of 3,000 requests left of the hour window, which resets in 3,600 s",
        "quota        11,996 of 12,000 requests left of the day window, which resets in 64,800 s",
    ]


def test_check_of_a_key_that_may_read_little(run: Run, shop: Shop) -> None:
    shop.faults.next(Fault.answers(403), times=2)
    out = run("check")[1]

    assert "permissions  not readable with this key" in out
    assert "language     nl (active in the shop: not readable with this key)" in out


def test_check_as_json(run: Run, shop: Shop) -> None:
    report = json.loads(run("check", "--json")[1])

    assert report["origin"] == shop.url
    assert report["permissions"]["orders"] == {"read": True, "write": True}


def test_three_mistakes_have_three_messages(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    language = problem(run("check", "--language", "fr"), 1)
    monkeypatch.setenv("LIGHTSPEED_API_SECRET", "not-the-secret")
    credentials = problem(run("check"), 1)
    address = shop.url
    shop.close()
    nobody = problem(run("check"), 1)

    assert language.startswith("wrong language: the shop has no active language 'fr'")
    assert credentials.startswith("wrong credentials: ")
    assert nobody.startswith(f"wrong cluster or base URL, or no network: nothing answers at {address}")


def test_a_connection_file(run: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BASE_URL", "API_KEY", "API_SECRET", "LANGUAGE"):
        monkeypatch.delenv(f"LIGHTSPEED_{name}")
    file = tmp_path / "north.json"
    file.write_text(json.dumps(settings_of(shop)))

    assert run("count", "orders", "--connection", file) == (0, "30\n", "")
    assert run("count", "orders", "--connection", file, "--language", "en") == (0, "30\n", "")
    assert [seen.path for seen in shop.requests] == ["/nl/orders/count.json", "/en/orders/count.json"]
