"""The shop on a socket and as a command: keep-alive, speed, recording, clean ends, a taken port."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shop import Clock, Request, Shop

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop(quota=None, rate_per_second=None) as shop:
        yield shop


def connected(shop: Shop) -> http.client.HTTPConnection:
    host, port = shop.url.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=60)


def ask(
    connection: http.client.HTTPConnection, shop: Shop, target: str, method: str = "GET", body: bytes = b""
) -> bytes:
    connection.request(method, target, body, {"Authorization": shop.authorization, "X-Mine": "1"})
    return connection.getresponse().read()


def test_one_connection_serves_many_requests(shop: Shop) -> None:
    connection = connected(shop)
    ask(connection, shop, "/nl/orders/count.json")
    socket_before = connection.sock

    ask(connection, shop, "/nl/tags.json", "POST", b'{"tag":{"title":"x"}}')
    ask(connection, shop, f"/nl/tags/{shop.store.ids('tags')[0]}.json", "DELETE")
    answer = ask(connection, shop, "/nl/orders/count.json")

    assert connection.sock is socket_before
    assert json.loads(answer) == {"count": 300}
    connection.close()


def test_requests_are_recorded_as_sent(shop: Shop) -> None:
    connection = connected(shop)

    ask(connection, shop, "/nl/orders.json?limit=2&status=on%20hold", "GET")

    request = shop.requests[-1]
    assert (request.method, request.path, request.status) == ("GET", "/nl/orders.json", 200)
    assert request.query == {"limit": "2", "status": "on hold"}
    assert request.headers["x-mine"] == "1"
    connection.close()


def test_answers_over_a_socket_are_those_without(shop: Shop) -> None:
    connection = connected(shop)

    over_socket = ask(connection, shop, "/nl/orders.json?limit=3")

    assert over_socket == shop.answer("GET", "/nl/orders.json?limit=3")[2]
    assert shop.url in over_socket.decode()
    connection.close()


def test_the_shop_can_be_changed_between_pages() -> None:
    shop = Shop(orders=3, products=0)
    removed: list[int] = []

    def change(request: Request) -> None:
        if request.query.get("page") == "2":
            removed.append(shop.store.ids("orders")[0])
            shop.store.delete("orders", removed[0])

    shop.on_request(change)
    first = json.loads(shop.answer("GET", "/nl/orders.json?limit=1&page=1")[2])["orders"]
    second = json.loads(shop.answer("GET", "/nl/orders.json?limit=1&page=2")[2])["orders"]

    assert [row["id"] for row in first] == removed
    assert [row["id"] for row in second] == [min(shop.store.ids("orders"))]


def test_closing_cuts_open_connections_and_ends_all_threads() -> None:
    before = threading.active_count()
    with Shop(orders=1, products=1) as shop:
        connection = connected(shop)
        ask(connection, shop, "/nl/orders/count.json")

    assert threading.active_count() <= before
    with pytest.raises(RuntimeError, match="not started"):
        _ = shop.url
    connection.close()


def test_header_names_may_be_in_lower_case_and_connections_end_after_each_answer(shop: Shop) -> None:
    shop.habits.lower_case_headers = shop.habits.close_connections = True
    connection = connected(shop)

    connection.request("GET", "/nl/orders/count.json", headers={"Authorization": shop.authorization})
    response = connection.getresponse()

    assert [name for name, _ in response.getheaders() if name != name.lower()] == []
    assert (response.getheader("connection"), json.loads(response.read())) == ("close", {"count": 300})
    assert response.will_close
    connection.close()


def test_a_body_may_come_in_chunks(shop: Shop) -> None:
    connection = connected(shop)
    headers = {"Authorization": shop.authorization}

    connection.request("POST", "/nl/tags.json", iter([b'{"tag":', b'{"title":"x"}}']), headers, encode_chunked=True)

    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["tag"]["title"]) == (201, "x")
    connection.close()


def test_the_same_seed_gives_the_same_shop_and_another_seed_another() -> None:
    def text(seed: int) -> bytes:
        return Shop(seed=seed, orders=20, products=20).answer("GET", "/nl/orders.json")[2]

    assert text(3) == text(3)
    assert text(3) != text(4)


def test_nothing_is_younger_than_the_clock() -> None:
    shop = Shop(orders=50, products=20, clock=Clock(frozen_at=1_600_000_000))

    assert (
        max(row["updatedAt"] for name in ("orders", "products", "variants") for row in shop.store.rows(name))
        <= 1_600_000_000
    )


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        (1_774_745_999, "2026-03-29T01:59:59+01:00"),
        (1_774_746_000, "2026-03-29T03:00:00+02:00"),
        (1_792_889_999, "2026-10-25T02:59:59+02:00"),
        (1_792_890_000, "2026-10-25T02:00:00+01:00"),
    ],
)
def test_times_are_told_in_the_shops_zone(epoch: int, text: str) -> None:
    shop = Shop(orders=0, products=0)
    order = shop.store.add("orders", at=epoch)

    assert json.loads(shop.answer("GET", f"/nl/orders/{order}.json")[2])["order"]["createdAt"] == text


def test_many_threads_are_served_at_once(shop: Shop) -> None:
    def read(page: int) -> None:
        connection = connected(shop)
        for _ in range(10):
            found.extend(
                row["id"]
                for row in json.loads(ask(connection, shop, f"/nl/orders.json?limit=30&page={page}"))["orders"]
            )
        connection.close()

    found: list[int] = []
    threads = [threading.Thread(target=read, args=(page,)) for page in range(1, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == sorted(shop.store.ids("orders") * 10)


def test_a_million_orders_open_at_once_and_page_alike() -> None:
    shop = Shop(orders=1_000_000, products=100, quota=None, rate_per_second=None)

    last = json.loads(shop.answer("GET", "/nl/orders.json?limit=250&page=4000")[2])["orders"]

    assert (len(last), last[-1]["id"]) == (250, 315_967_958)
    assert json.loads(shop.answer("GET", "/nl/orders.json?limit=250&page=4001")[2])["orders"] == []
    assert json.loads(shop.answer("GET", "/nl/orders/count.json")[2]) == {"count": 1_000_000}


def test_an_order_of_a_list_is_as_large_as_a_real_one(shop: Shop) -> None:
    _, _, body = shop.answer("GET", "/nl/orders.json?limit=250")

    assert 3_300 < len(body) / 250 < 4_300


def command(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.shop", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with command("--port", "0", "--orders", "7", "--languages", "en,nl") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"shop http://127\.0\.0\.1:(\d+) key (\S{32}) secret (\S{32}) language en\n", line)
        assert match, line
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=60)
        connection.request("GET", "/en/orders/count.json", headers={"Authorization": Shop().authorization})
        assert json.loads(connection.getresponse().read()) == {"count": 7}
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        connection.close()

    assert (process.returncode, out, err) == (0, "", "")


def test_a_taken_port_gets_one_line_and_status_2(shop: Shop) -> None:
    port = shop.url.rpartition(":")[2]

    with command("--port", port) as process:
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (2, "", f"port {port} is already in use\n")


def test_the_command_explains_itself_and_its_mistakes() -> None:
    with command("--help") as process:
        out, _ = process.communicate(timeout=60)
    with command("--quota", "many") as wrong:
        _, err = wrong.communicate(timeout=60)

    assert (process.returncode, wrong.returncode) == (0, 2)
    assert "--no-limits" in out
    assert "300/3000/12000" in err
