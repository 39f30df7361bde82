"""Endless, slow, damaged and false answers end in time, in bounds, and in typed errors."""

import gzip
import itertools
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from lightspeed import (
    AnswerLost,
    BrokenResponse,
    Client,
    InvalidConnection,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    Parameters,
    RateLimited,
    ResponseTooLarge,
    UnexpectedResponse,
    UnknownLanguage,
    get_entity,
)
from lightspeed.connection import Connection
from lightspeed.errors import TRANSIENT_ERRORS
from lightspeed.failures import is_page_timeout
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.opening import SETTLING_LAG, open_window
from lightspeed.listing.reader import ListReader
from lightspeed.listing.shop_list import ShopList
from lightspeed.writing.ambiguous import may_have_acted
from tests.support.clock import FakeClock
from tests.unit.lightspeed.raw_server import SETTINGS, PacingClock, client_of, http, raw_server

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
PAGE = b'{"orders":[{"id":2},{"id":1}]}'
MEGABYTE = 1 << 20


def at(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def page(client: Client) -> list[bytes]:
    return client.page(client.build("orders", "list")).records


def count(client: Client) -> int:
    return client.count(client.build("orders", "count"))


def quote(client: Client) -> bytes:
    return client.record(client.build("quotes", "get", Parameters({"id": 7})))


def create(client: Client) -> object:
    return client.write(client.build("products", "create", Parameters(payload={"title": "Mug"})))


def update(client: Client) -> object:
    return client.write(client.build("products", "update", Parameters({"id": 7}, payload={"title": "Mug"})))


def delete(client: Client) -> object:
    return client.write(client.build("products", "delete", Parameters({"id": 7})))


CALLS: dict[str, Callable[[Client], object]] = {
    "page": page,
    "count": count,
    "record": quote,
    "create": create,
    "update": update,
    "delete": delete,
}


def always(answer: bytes) -> Callable[[int], Iterable[bytes]]:
    return lambda _: [answer]


def in_turn(*answers: bytes) -> Callable[[int], Iterable[bytes]]:
    return lambda number: [answers[min(number, len(answers) - 1)]]


def gzipped(body: bytes) -> bytes:
    return http(gzip.compress(body), Content_Encoding="gzip")


# Time and size


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRICKLES: dict[str, Iterable[bytes]] = {
    "body": (bytes([byte]) for byte in http(b" " * 500 + PAGE)),
    "headers": (bytes([byte]) for byte in http(PAGE, X_Filler="x" * 500)),
    "compressed body": (bytes([byte]) for byte in gzipped(random.Random(1).randbytes(600))),
    "provisional answers": itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": itertools.chain([CHUNKED], itertools.repeat(b"1\r\n \r\n")),
}


@pytest.mark.parametrize("kind", TRICKLES)
def test_a_trickling_answer_ends_at_the_deadline_of_its_request(kind: str) -> None:
    clock = PacingClock(step=0.5)
    start = clock.time()
    with raw_server(lambda _: clock.paced(TRICKLES[kind])) as server:
        with pytest.raises(AnswerLost) as caught:
            page(client_of(server, clock))
        clock.stop_pacing()

    assert caught.value.timed_out
    assert is_page_timeout(caught.value)
    assert len(server.requests) == 1
    assert 90 <= clock.time() - start <= 93


def test_the_deadline_is_a_second_before_the_caller_must_be_done() -> None:
    clock = PacingClock(step=0.5)
    end = clock.time() + 10
    with raw_server(lambda _: clock.paced(bytes([byte]) for byte in http(b" " * 500 + PAGE))) as server:
        with pytest.raises(AnswerLost):
            page(client_of(server, clock, remaining_seconds=lambda: end - clock.time()))
        clock.stop_pacing()

    assert end - 2 <= clock.time() <= end


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(gzipped(b" " * (3 * MEGABYTE)), id="bomb"),
        pytest.param(http(gzip.compress(b" " * MEGABYTE) * 3, Content_Encoding="gzip"), id="bomb of several members"),
        pytest.param(http(b" " * (3 * MEGABYTE)), id="plain"),
    ],
)
def test_an_answer_over_the_limit_is_not_read_to_its_end(answer: bytes) -> None:
    with (
        raw_server(always(answer)) as server,
        pytest.raises(ResponseTooLarge, match="more than 2,097,152 bytes") as caught,
    ):
        page(client_of(server, max_body_bytes=2 * MEGABYTE))

    assert is_page_timeout(caught.value)
    assert len(server.requests) == 1


MANY: dict[str, bytes] = {
    "rows": b'{"orders":[' + b"{}," * 1_000_000 + b"{}]}",
    "rows that are none": b"[" + b"0," * 1_500_000 + b"0]",
    "empty rows": b'{"orders":[' + b"," * 3_000_000 + b"]}",
    "members": b'{"quote":{' + b'"a":0,' * 600_000 + b'"a":0}}',
    "values in a record": b'{"product":{"id":7,"x":[' + b"{}," * 1_000_000 + b"{}]}}",
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY)
@pytest.mark.parametrize("call", ["page", "count", "record", "create", "update"])
def test_an_answer_of_too_many_values_is_not_decoded(call: str, body: bytes) -> None:
    with (
        raw_server(always(gzipped(body))) as server,
        pytest.raises(ResponseTooLarge, match="more than 500,000 values") as caught,
    ):
        CALLS[call](client_of(server))

    assert is_page_timeout(caught.value)
    assert len(server.requests) == 1


def test_an_error_of_too_many_values_is_not_decoded() -> None:
    with raw_server(always(http(b'{"error":[' + b"{}," * 1_000_000 + b"{}]}", 422))) as server:
        client = client_of(server)
        tracemalloc.start()
        try:
            with pytest.raises(InvalidRequest):
                create(client)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < 16 * MEGABYTE


def test_a_long_answer_of_few_values_is_read() -> None:
    row = b'{"id":1,"memo":"%b"}' % (b"x, " * 100_000)
    with raw_server(always(http(b'{"orders":[' + b",".join([row] * 4) + b"]}"))) as server:
        assert len(page(client_of(server))) == 4


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b" " * (64 * MEGABYTE), 5)
    with raw_server(always(http(bomb, Content_Encoding="gzip"))) as server:
        client = client_of(server, max_body_bytes=2 * MEGABYTE)
        tracemalloc.start()
        with pytest.raises(ResponseTooLarge):
            page(client)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 8 * MEGABYTE


def test_an_endless_chunked_body_ends() -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    script = lambda _: itertools.chain([CHUNKED], itertools.repeat(chunk))  # noqa: E731
    with raw_server(script) as server, pytest.raises(ResponseTooLarge):
        page(client_of(server, max_body_bytes=MEGABYTE))


def test_a_page_over_the_limit_is_asked_for_in_smaller_pages() -> None:
    rows = [json.dumps({"id": number, "filler": "x" * 2000}).encode() for number in range(8)]

    def script(number: int) -> Iterator[bytes]:
        line = server.requests[number]
        if "/count" in line:
            yield http(b'{"count":8}', Date=at(0))
        else:
            query = dict(part.split("=") for part in line.partition("?")[2].split("&"))
            limit, wanted = int(query["limit"]), int(query["page"])
            yield http(b'{"orders":[%b]}' % b",".join(rows[(wanted - 1) * limit : wanted * limit]), Date=at(0))

    with raw_server(script) as server:
        client = client_of(server, max_body_bytes=9000)
        reader: ListReader[list[Any]] = ListReader(
            ShopList(client, get_entity("orders"), Parameters(query={"limit": 8}), "nl", None),
            stable=True,
            checkpoint=ListCheckpoint(),
            process=list,
        )
        found = [record.id for records in reader.pages() for record in records]

    assert sorted(found) == list(range(8))
    assert reader.checkpoint.limit == 4


# Encodings


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(gzipped(PAGE), id="gzip"),
        pytest.param(http(gzip.compress(PAGE[:9]) + gzip.compress(PAGE[9:]), Content_Encoding="x-gzip"), id="members"),
        pytest.param(http(gzip.compress(PAGE) + b"\0\0\0", Content_Encoding="gzip"), id="padded"),
        pytest.param(http(PAGE, Content_Encoding="identity"), id="identity"),
    ],
)
def test_usual_encodings_are_read(answer: bytes) -> None:
    with raw_server(always(answer)) as server:
        assert page(client_of(server)) == [b'{"id":2}', b'{"id":1}']


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("pack", [http, gzipped])
@pytest.mark.parametrize("before", [BOM, BOM + b" \n", BOM + b"\r\n" + BOM, b"\n" + BOM], ids=repr)
@pytest.mark.parametrize("call", CALLS)
def test_byte_order_marks_in_front_of_json_are_skipped(
    call: str, before: bytes, pack: Callable[[bytes], bytes]
) -> None:
    good = {"page": PAGE, "count": b'{"count":2}', "record": b'{"quote":{"id":7}}'}.get(call, b'{"product":{"id":7}}')
    with raw_server(always(pack(before + good))) as server:
        CALLS[call](client_of(server))

    assert len(server.requests) == 1


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_an_encoding_that_was_not_asked_for_is_an_error(encoding: str) -> None:
    answer = http(zlib.compress(PAGE), Content_Encoding=encoding)
    with raw_server(always(answer)) as server, pytest.raises(UnexpectedResponse, match="in an unknown way"):
        page(client_of(server))


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(PAGE)[:-9],
        gzip.compress(PAGE)[:12] + b"\xff" * 9,
        b"no gzip",
        b"\x1f\x8b",
        gzip.compress(b"") * 100_000,
    ],
    ids=["cut", "damaged", "text", "two bytes", "many members"],
)
def test_a_damaged_compressed_body_is_a_lost_answer(body: bytes) -> None:
    with raw_server(always(http(body, Content_Encoding="gzip"))) as server:
        with pytest.raises(AnswerLost, match="damaged or cut"):
            page(client_of(server))
        assert len(server.requests) == 4
        with pytest.raises(AnswerLost):
            create(client_of(server))
        assert len(server.requests) == 5


# Bodies that are no word of the shop

NO_JSON = {
    "cut": PAGE[:-4],
    "html": b"<!DOCTYPE html><title>Maintenance</title><h1>Back soon</h1>",
    "empty": b"",
    "blank": b" \r\n",
    "text": b"upstream timeout",
    "two": PAGE + PAGE,
    "deep": b'{"a":' + b"[" * 100_000,
    "no utf-8 name": b'{"\xff":[{"id":1',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("call", ["page", "count", "record"])
def test_a_read_whose_body_is_no_json_is_sent_again(call: str, body: bytes) -> None:
    good = {"page": PAGE, "count": b'{"count":2}', "record": b'{"quote":{"id":7}}'}[call]
    clock = FakeClock()
    with raw_server(in_turn(http(body), http(body), http(good))) as server:
        CALLS[call](client_of(server, clock))

    assert len(server.requests) == 3
    assert [0.5 <= clock.slept[0] <= 0.75, 1 <= clock.slept[1] <= 1.5] == [True, True]


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("call", ["page", "count", "record"])
def test_a_read_whose_body_stays_no_json_ends_in_an_error_that_may_pass(call: str, body: bytes) -> None:
    with raw_server(always(http(body))) as server, pytest.raises(BrokenResponse, match="expected JSON") as caught:
        CALLS[call](client_of(server))

    assert isinstance(caught.value, TRANSIENT_ERRORS)
    assert len(server.requests) == 4


def test_the_error_names_page_and_place() -> None:
    with raw_server(always(http(b'{"orders":[{"id":1},{"id":2 x'))) as server:
        client = client_of(server)
        request = client.build("orders", "list", Parameters(query={"page": 3}))
        with pytest.raises(BrokenResponse) as caught:
            client.page(request)

    assert str(caught.value).startswith("GET /nl/orders.json: page 3: JSON is malformed: ")
    assert "(byte 28)" in str(caught.value)


def test_a_body_without_time_left_is_not_asked_for_again() -> None:
    with raw_server(always(http(b""))) as server, pytest.raises(BrokenResponse):
        page(client_of(server, remaining_seconds=lambda: 1.2))

    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [*NO_JSON.values(), b'{"product":7}', b'{"product":[1,2]}', b"{}x"], ids=repr)
@pytest.mark.parametrize("call", ["create", "update", "delete"])
def test_a_write_with_an_odd_answer_was_sent_once_and_may_have_been_done(call: str, body: bytes) -> None:
    empty = not body.strip()
    with raw_server(always(http(body))) as server:
        client = client_of(server)
        if empty:
            CALLS[call](client)
        else:
            with pytest.raises(UnexpectedResponse) as caught:
                CALLS[call](client)

    assert len(server.requests) == 1
    post = client.build("products", "create", Parameters(payload={"title": "Mug"}))
    assert empty or may_have_acted(post, caught.value)


CREATED = b"HTTP/1.1 201 Created\r\n"
NO_HTTP = {
    "nothing": b"",
    "garbage": b"\x00\xff\xfe" * 100,
    "no status": b"HTTP/1.1 abc\r\n\r\n",
    "status of four digits": b"HTTP/1.1 1000 OK\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "only provisional": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "length beyond the body": CREATED + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "two lengths": CREATED + b"Content-Length: 9\r\nContent-Length: 5\r\n\r\n{}",
    "chunk of less than nothing": CREATED + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}",
    "chunk without length": CREATED + b"Transfer-Encoding: chunked\r\n\r\n\r\n{}",
    "chunk of 5,000 digits": CREATED + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n{}",
    "cut chunk": CREATED + b"Transfer-Encoding: chunked\r\n\r\n22\r\n{}",
    "many headers": CREATED + b"X: y\r\n" * 500 + b"\r\n{}",
    "long header": CREATED + b"X: " + b"y" * 70_000 + b"\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", NO_HTTP.values(), ids=NO_HTTP)
@pytest.mark.parametrize(("call", "sent"), [("page", 4), ("record", 4), ("create", 1), ("update", 4), ("delete", 4)])
def test_what_is_no_answer_of_http_is_a_lost_answer_whatever_was_asked(call: str, sent: int, answer: bytes) -> None:
    with raw_server(always(answer)) as server, pytest.raises(AnswerLost):
        CALLS[call](client_of(server))

    assert len(server.requests) == sent


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_provisional_answers_come_before_the_answer(status: int) -> None:
    provisional = f"HTTP/1.1 {status} Any\r\nLink: </x>\r\n\r\n".encode()
    with raw_server(always(provisional * 3 + http(b'{"product":{"id":7}}', 201))) as server:
        create(client_of(server))

    assert len(server.requests) == 1


ODD_HEADERS = {
    "cookie": {"Set_Cookie": "a=b; Expires=Thu, 99 Foo 99999 99:99:99 GMT; Max-Age=99999999999999999999; Domain=\xff"},
    "empty cookie": {"Set_Cookie": "=;;;"},
    "date": {"Date": "Mon, 99 Xxx 0000 25:61:61 +99999999999999999999"},
    "last date": {"Date": "Fri, 31 Dec 9999 23:59:59 -2359"},
    "first date": {"Date": "Mon, 01 Jan 0001 00:00:00 +2359"},
    "digits": {"X_RateLimit_Limit": "9" * 500, "X_RateLimit_Remaining": "nan/inf/1e9", "X_RateLimit_Reset": "1e400"},
    "no letters": {"X_\xff": "\xff\x00\x01", "X_Request_Id": "\xff" * 3000},
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_odd_headers_never_hide_the_answer_of_a_write(headers: dict[str, str]) -> None:
    with raw_server(always(http(b'{"product":{"id":7}}', 201, **headers))) as server:
        create(client_of(server))

    assert len(server.requests) == 1


@pytest.mark.parametrize("nothing", ["false", "null", '""', "[]"])
def test_a_record_that_is_false_is_not_found(nothing: str) -> None:
    with raw_server(always(http(f'{{"quote": {nothing}}}'.encode()))) as server:
        with pytest.raises(NotFound) as caught:
            quote(client_of(server))
        assert caught.value.status == 404


def test_a_404_that_is_not_in_the_shops_words_is_no_word_of_the_shop() -> None:
    for body in (b"", b"<h1>404</h1>", b'{"message":"no route"}', b'{"error":"x"}'):
        with raw_server(always(http(body, 404))) as server:
            with pytest.raises(BrokenResponse, match="404 without the shop's error message"):
                quote(client_of(server))
            assert len(server.requests) == 4
            with pytest.raises(BrokenResponse):
                delete(client_of(server))
            assert len(server.requests) == 5


def test_a_404_in_the_shops_words_is_one() -> None:
    message = b'{"error":{"code":404,"method":"GET","request":"x","message":"%b"}}'
    with raw_server(always(http(message % b"Not found", 404))) as server, pytest.raises(NotFound):
        quote(client_of(server))
    language = http(message % b"Unknown or inactive language.", 404)
    with raw_server(always(language)) as server, pytest.raises(UnknownLanguage):
        quote(client_of(server))


def test_a_deleted_record_may_be_answered_with_410() -> None:
    with raw_server(always(http(b"", 410))) as server, pytest.raises(NotFound):
        delete(client_of(server))


# The shop's clock


@pytest.mark.parametrize(
    ("dates", "believed"),
    [
        ([0, 1], 1),
        ([-50], -50),
        ([3600], 0),
        ([3600, 3601], 3601),
        ([3600, 3601, 3590], 3590),
        ([86_400 * 365], 0),
        ([1, 86_400 * 365], 1),
        ([1, 86_400 * 365, 2], 2),
        ([-600, -601, 86_400 * 365], -601),
        ([-600, -601, 86_400 * 365, -602], -602),
        ([-600, 86_400 * 365, -600, -600], -600),
    ],
)
def test_a_date_minutes_off_is_believed_once_another_answer_agrees(dates: list[float], believed: float) -> None:
    answers = [http(b'{"count":1}', Date=at(seconds)) for seconds in dates]
    with raw_server(in_turn(*answers)) as server:
        client = client_of(server)
        for _ in answers:
            count(client)

    assert client.transport.shop_clock.skew_seconds == believed
    assert client.transport.shop_clock.latest_skew_seconds == dates[-1]


@pytest.mark.parametrize("date", ["", "soon", "Mon, 99 Nov 2026 06:00:00 GMT", "9" * 5000, "0001-01-01T00:00:00+23:59"])
def test_a_date_that_is_none_tells_nothing(date: str) -> None:
    with raw_server(always(http(b'{"count":1}', Date=date))) as server:
        client = client_of(server)
        assert count(client) == 1

    assert client.transport.shop_clock.skew_seconds == 0


def window_ends(dates: list[float]) -> tuple[list[float], int]:
    """Return the ends of the windows of which counts were taken, in seconds from now, and how many counts."""
    ends: list[float] = []
    clock = FakeClock()
    with raw_server(in_turn(*(http(b'{"count":1}', Date=at(seconds)) for seconds in dates))) as server:
        client = client_of(server, clock)

        def read_to(end: datetime, closed: bool) -> ListReader[int]:
            ends.append((end - NOW).total_seconds())
            return ListReader(
                ShopList(client, get_entity("orders"), Parameters(), "nl", None),
                stable=closed,
                checkpoint=ListCheckpoint(),
                process=len,
            )

        open_window(client, NOW - SETTLING_LAG, read_to)
    return ends, len(server.requests)


@pytest.mark.parametrize(
    ("dates", "end", "counts"),
    [
        ([0], -5, 1),
        ([1], -5, 1),
        ([-600], -605, 2),
        ([600], 595, 3),
        ([600, 600, 0], -5, 4),
        ([600, 0, 600], -5, 4),
        ([-600, 0], -5, 3),
        ([0, 600, 600], -5, 1),
        ([86_400 * 365, 0], -5, 3),
        ([86_400 * 365, -600], -605, 3),
        ([0, 86_400 * 365], -5, 1),
        ([-40, 3600], -45, 3),
    ],
)
def test_a_window_ends_by_a_time_that_two_answers_agree_on(dates: list[float], end: float, counts: int) -> None:
    ends, sent = window_ends(dates)

    assert ends[-1] == end
    assert sent == counts


@pytest.mark.parametrize(("date", "closed", "counts"), [("", False, 2), (at(0), True, 1), (at(-40), True, 2)])
def test_a_window_is_open_if_the_shop_gives_no_date(date: str, closed: bool, counts: int) -> None:
    clock = FakeClock()
    with raw_server(always(http(b'{"count":1}', Date=date))) as server:
        client = client_of(server, clock)

        def read_to(_: datetime, closed: bool) -> ListReader[int]:
            shop_list = ShopList(client, get_entity("orders"), Parameters(), "nl", None)
            return ListReader(shop_list, stable=closed, checkpoint=ListCheckpoint(), process=len)

        opening = open_window(client, NOW - SETTLING_LAG, read_to)

    assert opening.closed is closed
    assert len(server.requests) == counts


def test_an_error_tells_the_shops_time_too() -> None:
    answers = http(b"{}", 429, Date=at(-90), Retry_After="60"), http(b'{"count":1}', Date=at(-90))
    with raw_server(in_turn(*answers)) as server:
        client = client_of(server)
        with pytest.raises(RateLimited):
            count(client)
        assert client.transport.shop_clock.latest_skew_seconds == -90
        count(client)

    assert client.transport.shop_clock.skew_seconds == -90


@pytest.mark.parametrize("after", ["1795000000", "1000000000000", "9" * 500, "-1", "nan", "inf", "soon", "1e9"])
def test_an_absurd_wait_is_not_believed(after: str) -> None:
    with raw_server(always(http(b"", 429, Retry_After=after))) as server, pytest.raises(RateLimited) as caught:
        count(client_of(server, patience_seconds=0))

    assert caught.value.retry_after_seconds == 1


def test_absurd_quota_headers_of_a_good_answer_do_no_harm() -> None:
    absurd = "9" * 500
    headers: dict[str, Any] = {
        "X_RateLimit_Limit": f"{absurd}/300/nan",
        "X_RateLimit_Remaining": "1/2/3",
        "X_RateLimit_Reset": absurd,
    }
    with raw_server(always(http(b'{"count":1}', **headers))) as server:
        client = client_of(server)
        assert count(client) == 1

    assert client.transport.quota is None


# Addresses

REFUSED = [
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "025177524776",
    "169.254.43518",
    "169.16689662",
    "169.254.169.254.",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[::ffff:0:a9fe:a9fe]",
    "[2001:db8::5efe:169.254.169.254]",
    "[2001:0:a9fe:a9fe::1]",
    "[::ffff:100.100.100.200]",
    "[::ffff:224.0.0.1]",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
    "[fe80::1%25eth0]",
    "100.100.100.200",
    "0.0.0.0",  # noqa: S104 - refused
    "[::]",
    "metadata.google.internal",
    "METADATA.google.internal",
    "instance-data",
    "user@169.254.169.254",
    "user:password@shop.example",
    "\uff11\uff16\uff19.254.169.254",
    "169\u3002254\u3002169\u3002254",
    "169.254.169.254%2eexample",
    "1.2.3",
    "0x7f.1",
]


@pytest.mark.parametrize("host", REFUSED)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_no_spelling_of_a_link_local_or_metadata_address_is_a_shop(scheme: str, host: str) -> None:
    for port in ("", ":443", ":80"):
        with pytest.raises(InvalidConnection, match="base_url"):
            Connection.from_mapping({"base_url": f"{scheme}://{host}{port}", **SETTINGS})


@pytest.mark.parametrize(
    "host", ["10.0.0.7", "api.webshopapp.com", "shop-1.example", "[2001:db8::1]", "[::ffff:10.1.2.3]", "127.0.0.1"]
)
def test_other_addresses_may_be_a_shop(host: str) -> None:
    assert Connection.from_mapping({"base_url": f"https://{host}", **SETTINGS}).origin == f"https://{host}"


def test_a_refused_peer_was_surely_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightspeed.http_session.is_refused_address", lambda _: True)
    with raw_server(always(http(b'{"count":1}'))) as server, pytest.raises(NotSent, match="link-local address"):
        count(client_of(server))

    assert server.requests == []


# Credentials


def spellings(secret: str) -> list[str]:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in secret)
    return [
        secret,
        secret.upper(),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        escaped,
        "".join(f"&#{ord(letter)};" for letter in secret),
        "".join(f"%{ord(letter):02x}" for letter in secret),
    ]


def echoes(text: str) -> dict[str, bytes]:
    plain = text if "\\" not in text else json.loads(f'"{text}"')
    return {
        "member name": http(b'{"%b":1,"b":2}' % text.encode()),
        "nested name": http(b'{"quote":{"%b":1}, "x" }' % text.encode()),
        "value": http(b'{"quote":"%b"}' % text.encode()),
        "list name": http(b'{"%b":[],"b":[]}' % text.encode()),
        "count": http(b'{"count":"%b"}' % text.encode()),
        "message": http(b'{"error":{"code":400,"message":"bad %b"}}' % text.encode(), 400),
        "inside": http(b'{"error":{"code":400,"message":"bad %b"}}' % text.encode()),
        "inside text": http(b'{"error":"%b"}' % text.encode()),
        "details": http(b'{"error":{"code":422,"message":"x","errors":{"%b":1}}}' % text.encode(), 422),
        "page": http(f"<h1>{plain}</h1>".encode(), 502),
        "404": http(plain.encode(), 404),
        "cut": http(b'{"quote":{"%b":1' % text.encode()),
        "at the end of the words": http(b"x" * 190 + text.encode()),
        "encoding": http(b"", Content_Encoding=plain),
        "location": http(b"", 302, Location=f"https://{plain}.example/"),
    }


@pytest.mark.parametrize("secret", [SETTINGS["api_key"], SETTINGS["api_secret"]])
@pytest.mark.parametrize("spelling", range(6))
def test_a_shop_that_repeats_credentials_does_not_get_them_into_an_error(secret: str, spelling: int) -> None:
    text = spellings(secret)[spelling]
    for place, answer in echoes(text).items():
        with raw_server(always(answer)) as server:
            client = client_of(server)
            for call in (page, count, quote, create):
                with pytest.raises(LightspeedError) as caught:
                    call(client)
                errors: list[BaseException | None] = [caught.value]
                while errors[-1] is not None:
                    errors.append(errors[-1].__cause__ or errors[-1].__context__)
                for error in errors[:-1]:
                    shown = f"{error!s} {error!r} {vars(error)}".lower()
                    assert text.lower() not in shown, place
                    assert secret.lower() not in shown, place
