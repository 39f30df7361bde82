"""A number keeps its text from the event to the shop, on every way through publish."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_files import PublishFile
from tests.shop import Fault

EDGES = ["12345678901234567890.12", "1.10", "-0", "-0.0", "0.10", "1E+2", "1e-7", "100000000000000000000", "5.0"]
BEYOND = ["1e9999999999999999999", "-1E-9999999999999999999", "9" * 4200]
"""Numbers that neither a float nor a `Decimal` holds, or `msgspec` does not read."""


def number_texts(seed: int) -> Iterator[str]:
    """Yield number texts of JSON: edges first, then random ones."""
    yield from EDGES
    rng = random.Random(seed)
    while True:
        whole = str(rng.randrange(10 ** rng.randrange(1, 30)))
        fraction = "".join(rng.choices("0123456789", k=rng.randrange(6)))
        exponent = rng.choice(["", "", "", "e5", "E-3", "e+02"])
        yield rng.choice(["", "-"]) + whole + (f".{fraction}" if fraction else "") + exponent


def with_numbers(update: dict[str, Any], texts: list[str]) -> str:
    """Return an event's text whose values `"#0"`, `"#1"`, … are replaced by number texts."""
    found = json.dumps(update)
    for position, text in enumerate(texts):
        found = found.replace(f'"#{position}"', text)
    return found


def updates(texts: list[str], ids: list[int], fields: tuple[str, str]) -> list[str]:
    """Return the texts of updates with two numbers each."""
    payload = dict(zip(fields, ("#0", "#1"), strict=True))
    return [
        with_numbers(event("variants", "update", payload, path={"id": identity}), [first, second])
        for identity, first, second in zip(ids, texts[::2], texts[1::2], strict=True)
    ]


@pytest.fixture(params=[("priceIncl", "weight"), ("priceExcl", "priceIncl")], ids=["alone", "in bulk"])
def fields(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two fields of a variant: ones that are sent alone, and ones that the bulk route takes."""
    found: tuple[str, str] = request.param
    return found


@pytest.mark.parametrize("way", ["messages", "batch", "file"])
@pytest.mark.parametrize("seed", range(3))
def test_number_texts_reach_the_shop_unchanged(
    publisher: Publisher, way: str, seed: int, fields: tuple[str, str]
) -> None:
    ids = publisher.shop.store.ids("variants")[:20]
    texts = [text for text, _ in zip(number_texts(seed), range(2 * len(ids)), strict=False)]
    lines = updates(texts, ids, fields)

    if way == "messages":
        publisher.failed(*(message(number, line) for number, line in enumerate(lines)))
    elif way == "batch":
        publisher.http(f'{{"items": [{", ".join(lines)}]}}')
    else:
        machine = PublishFile(publisher)
        machine.put("publish/in/numbers.jsonl", *lines)
        machine.run("publish/in/numbers.jsonl")

    sent = [request.body.decode() for request in publisher.shop.requests if request.method == "PUT"]
    for first, second in zip(texts[::2], texts[1::2], strict=True):
        written = f'"{fields[0]}":{first},"{fields[1]}":{second}'
        assert any(written + end in body for body in sent for end in ("}", ",")), written


@pytest.mark.parametrize("text", BEYOND, ids=lambda text: text[:9])
@pytest.mark.parametrize("transformer", [None, '{"payload": $merge([payload])}'])
def test_a_number_beyond_any_bound_is_sent_once_and_answered(
    publisher: Publisher, text: str, transformer: str | None
) -> None:
    more = {"request_transformer": transformer} if transformer else {}
    path = {"id": publisher.shop.store.ids("variants")[0]}
    body = f'{{"variant":{{"id":{path["id"]},"hs":{text}}}}}'.encode()
    publisher.shop.faults.next(Fault("answer", 200, body, (("Content-Type", "application/json"),)), method="PUT")
    call = with_numbers(event("variants", "update", {"hs": "#0"}, path=path, idempotency_key="k", **more), [text])
    for _ in range(2):
        answer = publisher.http(call)
        assert (answer["statusCode"], answer["body"]["status"]) == (200, "updated")
        assert "ignored" not in answer["body"]
    assert [request.body.decode() for request in publisher.shop.requests] == [f'{{"variant":{{"hs":{text}}}}}']
    assert publisher.http(call.replace(text, text[:-1]))["statusCode"] == 409
