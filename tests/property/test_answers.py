"""Whatever bytes a shop answers, every call of the client ends in a value or in an error of the client's own tree."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lightspeed import CATALOGUE, Client, Endpoint, LightspeedError, Parameters
from lightspeed.connection_check import check_connection
from lightspeed.json_text import parse
from lightspeed.listing.records import RecordParser
from lightspeed.listing.window import Window
from lightspeed.writing.natural_key import NaturalKey
from tests.support.soak import Soak
from tests.unit.lightspeed.raw_server import RawServer, client_of, http, raw_server

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "shop" / "samples").glob("*.json"))]
OWN = [
    b'{"count": 42}',
    b'{"orders":[{"id":3,"updatedAt":"2026-11-23T05:00:00+00:00"},{"id":2,"updatedAt":false},{"id":1}]}',
    b'{"variants":[{"id":3,"sku":"A"},{"id":2,"sku":"B"}]}',
    b'{"languages":[{"id":1,"code":"nl","isActive":true,"isDefault":true}]}',
    b'{"accountPermissions":{"products":{"read":true,"write":false}}}',
    b'{"error":{"code":404,"method":"GET","request":"x","message":"Not found"}}',
    b"",
]
PIECES = [
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud83d", b"\xff", b"\x00", b"\n", b"-", b"\xef\xbb\xbf"),
    *(b"null", b"false", b"NaN", b"1e999", b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b'"error":', b"0", b'"id":'),
]
HEADERS: dict[str, list[str]] = {
    "Date": ["", "soon", "Mon, 23 Nov 2026 06:00:00 GMT", "9" * 400, "Mon, 23 Nov 0000 06:00:00 +9999"],
    "Retry-After": ["", "5", "-1", "9" * 400, "nan", "2026-11-23T06:00:00Z", "1e308"],
    "X-RateLimit-Limit": ["300/3000/12000", "", "9" * 400, "a/b/c", "1", "0/0/0"],
    "X-RateLimit-Remaining": ["299/1/0", "-1/-1/-1", "1e5", "///"],
    "X-RateLimit-Reset": ["1/2/3", "inf/nan/-5", "9" * 400],
    "Content-Encoding": ["gzip", "br", "identity", "\xff"],
    "Content-Length": ["0", "-5", "x", "99999", "5, 5", "9" * 400],
    "Content-Type": ["text/html", "application/json; charset=utf-16"],
    "Location": ["https://elsewhere.example/", "\xff://", ""],
    "Transfer-Encoding": ["chunked", "gzip"],
    "X-Request-Id": ["r" * 9000, "\xff"],
}
STATUSES = [200] * 12 + [201, 204, 206, 299, 301, 304, 400, 401, 403, 404, 404, 410, 422, 429, 500, 503, 504, 599, 999]
WINDOW = Window("updated_at", None, datetime(2026, 11, 23, 6, 0, tzinfo=UTC))


def mutated(source: random.Random, text: bytes) -> bytes:
    """Return a text with a few pieces removed, repeated or replaced."""
    for _ in range(source.randint(0, 4)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.choice([0, 1, 1, 2, 5, 40, 400]))
        piece = source.choice([b"", text[start:end] * 2, source.randbytes(source.randint(1, 3)), *PIECES])
        text = text[:start] + piece + text[end:]
    return text


def answer(source: random.Random) -> bytes:
    """Return an answer: a damaged sample under a likely status, with a few odd headers."""
    body = mutated(source, source.choice(SAMPLES + OWN * 6))
    if source.random() < 0.3:
        body = b'{"orders":[%b]}' % body
    names = source.sample(sorted(HEADERS), source.choice([0, 0, 1, 2]))
    odd = {name.replace("-", "_"): source.choice(HEADERS[name]) for name in names}
    whole = http(body, source.choice(STATUSES), **odd)
    return mutated(source, whole) if source.random() < 0.1 else whole


def calls(client: Client, source: random.Random) -> Iterator[Callable[[], object]]:
    """Yield every call of the client, for an entity that has it."""

    def some(operation: str) -> Endpoint:
        return source.choice([row for row in CATALOGUE.values() if operation in row.operation_names])

    def path(row: Endpoint, operation: str) -> dict[str, object]:
        return dict.fromkeys(row.operation(operation).path_parameters, 7)

    def parsed() -> object:
        row = source.choice([some("list"), CATALOGUE["orders"]])
        page = client.page(client.build(row.name, "list", Parameters(path(row, "list"))))
        records = RecordParser(WINDOW, {"number": "7", "customer": "8"}).read(page)
        for record in records:
            if not record.reject_reason:
                assert isinstance(parse(record.text), dict)
            assert record.text.count(b"\n") == 0 or record.reject_reason
        return records

    row = some("get")
    get = client.build(row.name, "get", Parameters(path(row, "get")))
    counted = client.build(CATALOGUE["orders"].name, "count")
    yield parsed
    yield lambda: client.record(get)
    yield lambda: client.record_page(get)
    yield lambda: client.count(counted)
    yield lambda: [page.records for page, _ in zip(client.pages("orders", Parameters()), range(2), strict=False)]
    for operation in ("create", "update", "delete"):
        row = some(operation)
        payload = None if operation == "delete" else {"title": "Mug"}
        write = client.build(row.name, operation, Parameters(path(row, operation), payload=payload))
        yield lambda write=write: client.write(write)  # type: ignore[misc]
    yield lambda: client.write(client.build("quotes", "convert", Parameters({"id": 7})))
    yield lambda: check_connection(client)
    yield lambda: NaturalKey(client, CATALOGUE["variants"], ["sku"], Parameters(payload={"sku": "A"})).find()


def attempt(server: RawServer, seed: int) -> None:
    source = random.Random(seed)
    for call in calls(client_of(server), source):
        try:
            call()
        except LightspeedError as error:
            str(error).encode()


def fuzz(seeds: range) -> None:
    state = {"seed": seeds.start}
    with raw_server(lambda _: [answer(random.Random(f"{state['seed']} {len(server.requests)}"))]) as server:
        for seed in seeds:
            state["seed"] = seed
            server.requests.clear()
            attempt(server, seed)


def test_any_answer_ends_in_a_value_or_a_typed_error() -> None:
    fuzz(range(1, 31))


@pytest.mark.soak
def test_any_of_many_answers_ends_in_a_value_or_a_typed_error(soak: Soak) -> None:
    soak(fuzz, range(1000, 2500))
