"""The error for each answer, without sending anything."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.errors import AnswerLost, NotFound, ServerError
from lightspeed.failures import Facts, first_words, is_page_timeout, retry_after_seconds

FACTS: Facts = {"method": "GET", "path": "/nl/orders.json"}
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SPENT = {
    "X-RateLimit-Limit": "300/3000/12000",
    "X-RateLimit-Remaining": "-1/0/10",
    "X-RateLimit-Reset": "42/1800/40000",
}
ROOM = {**SPENT, "X-RateLimit-Remaining": "5/5/5"}


def http(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "7", **SPENT}, 7),
        ({"Retry-After": http(NOW + timedelta(seconds=90)), "Date": http(NOW)}, 90),
        ({"Retry-After": http(NOW - timedelta(seconds=90)), "Date": http(NOW)}, 1),
        ({"Retry-After": http(NOW + timedelta(seconds=90)), **SPENT}, 90),
        ({"Retry-After": "7.5"}, 7.5),
        ({"Retry-After": "0.2"}, 1),
        ({"Retry-After": "1795413690"}, 90),
        ({"Retry-After": "1795413690000"}, 90),
        ({"Retry-After": "1795000000", **SPENT}, 1800),
        ({"Retry-After": "1000000000000", **SPENT}, 1800),
        ({"Retry-After": "86400"}, 86_400),
        ({"Retry-After": "86401"}, 1),
        ({"Retry-After": "9" * 500}, 1),
        ({"Retry-After": "nan"}, 1),
        ({"Retry-After": "inf"}, 1),
        ({"Retry-After": "2026-11-23T06:01:30Z"}, 90),
        ({"Retry-After": "2026-11-23T07:01:30+01:00", "Date": http(NOW)}, 90),
        ({"Retry-After": "2026-11-23 06:01:30"}, 90),
        ({"Retry-After": http(NOW + timedelta(seconds=90)), "Date": http(NOW + timedelta(days=365))}, 90),
        ({"Retry-After": http(NOW + timedelta(days=400)), **SPENT}, 1800),
        ({"X-RateLimit-Limit": "9" * 500, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, 1),
        ({"Retry-After": "Mon, 23 Nov 2026 06:01:30 -0000", "Date": http(NOW)}, 90),
        ({"Retry-After": "soon", **SPENT}, 1800),
        ({"Retry-After": "\xb2"}, 1),
        ({"Retry-After": "-5"}, 1),
        (SPENT, 1800),
        (ROOM, 1),
        ({}, 1),
    ],
)
def test_how_long_a_429_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_seconds(headers, NOW.timestamp()) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after_is_from_a_second_to_a_day(given_text: str, date: str) -> None:
    assert 1 <= retry_after_seconds({"Retry-After": given_text, "Date": date}, NOW.timestamp()) <= 86_400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b"<html></html>", "an empty body"),
        (b"<!DOCTYPE html>\n<title>502</title><h1>Bad\n gateway</h1>", "502 Bad gateway"),
        (b"<style>p{color:red}</style><script>alert(1)</script><p>Sorry &amp; bye</p>", "Sorry & bye"),
        (b"plain text", "plain text"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_the_first_words_of_a_body_are_shown_without_markup(body: bytes, words: str) -> None:
    assert first_words(body) == words


@given(st.binary(max_size=300))
def test_any_body_has_first_words(body: bytes) -> None:
    words = first_words(body)

    assert 0 < len(words) <= 200
    assert words == " ".join(words.split())


def test_a_page_is_too_large_when_the_shop_is_too_slow_for_it() -> None:
    assert is_page_timeout(AnswerLost("no answer in time", timed_out=True, **FACTS))
    assert is_page_timeout(ServerError("Gateway timeout", status=504, **FACTS))
    assert not is_page_timeout(AnswerLost("the connection broke", **FACTS))
    assert not is_page_timeout(ServerError("Bad gateway", status=502, **FACTS))
    assert not is_page_timeout(NotFound("gone", status=404, **FACTS))
