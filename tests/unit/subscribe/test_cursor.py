"""The cursor: what goes in comes out, and nothing else is taken."""

import base64
import json
import zlib

import pytest

from connector.errors import RequestError
from lightspeed.listing.checkpoint import ListCheckpoint
from subscribe.run import cursor
from subscribe.run.cursor import RunState
from subscribe.storage.bucket import Part

STATE = RunState(
    "run-1",
    "2026-11-23T06:00:00Z",
    window_end="2026-11-23T05:59:55Z",
    etag='"0af"',
    position=1,
    progress=ListCheckpoint(
        rows_left=250, count_before=600, count_after=600, read=350, tail=[1, 2, "a"], marks=[(0, 0), (250, 3)]
    ),
    parts={"nl": [Part(350, 1000, "ab" * 32)]},
    records=350,
    requests=4,
    recent={"7": "2026-11-23T05:59:50+00:00"},
)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(value).encode())).decode()


def test_a_state_survives_the_way() -> None:
    assert cursor.decode(cursor.encode(STATE, "f" * 16), "f" * 16) == STATE


def test_a_second_pass_survives_the_way() -> None:
    state = RunState("run-1", "2026-11-23T06:00:00Z", progress=ListCheckpoint(check=ListCheckpoint(rows_left=3)))

    assert cursor.decode(cursor.encode(state, "f"), "f") == state


def test_a_cursor_fits_into_the_input_of_a_state_machine() -> None:
    ids: list[int | str] = [10**12 + 7 * number for number in range(4000)]
    parts = {"nl": [Part(30_000, 10**7, f"{number:064x}") for number in range(200)]}
    state = RunState("run-1", "2026-11-23T06:00:00Z", progress=ListCheckpoint(tail=ids), parts=parts)

    assert len(cursor.encode(state, "f")) < 128 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "not a cursor",
        "aGVsbG8=",
        "é",
        packed([]),
        packed({"a": 1}),
        packed([cursor.VERSION, "f"]),
        packed([cursor.VERSION, "f", [1]]),
    ],
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="cursor is not one that a partial result gave"):
        cursor.decode(text, "f")


def test_a_cut_cursor_is_refused() -> None:
    with pytest.raises(RequestError, match="cursor is not one"):
        cursor.decode(cursor.encode(STATE, "f")[:-9], "f")


def test_a_cursor_of_another_version_is_refused_with_both() -> None:
    whole = zlib.decompress(base64.urlsafe_b64decode(cursor.encode(STATE, "f")))
    value = json.loads(whole)
    value[0] = cursor.VERSION + 1

    with pytest.raises(RequestError, match=rf"cursor has version {cursor.VERSION + 1}, this is version"):
        cursor.decode(packed(value), "f")


def test_a_cursor_of_another_version_may_have_another_form() -> None:
    with pytest.raises(RequestError, match="cursor has version 0, this is version"):
        cursor.decode(packed([0, "f", {"another": "form"}]), "f")


def test_a_cursor_of_another_request_is_refused() -> None:
    with pytest.raises(RequestError, match="cursor belongs to another request; pass it back in the same event"):
        cursor.decode(cursor.encode(STATE, "f"), "g")
