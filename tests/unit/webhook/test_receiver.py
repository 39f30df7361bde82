"""The answers to calls, and the stored webhooks."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from connector.errors import AwsUnavailable
from webhook.receiver import MAX_BYTES, Answer, Call, Receiver
from webhook.signature import Signers

SECRET = "s"
AS_TEXT = ("text/plain", "application/json", "application/xml", "application/javascript", "text/xml; charset=utf-8")
AS_BASE64 = (None, "application/x-www-form-urlencoded", "text/plain; charset=iso-8859-1")
BODIES = {
    "UTF-8": '{"order":{"id":7,"x":"é"}}'.encode(),
    "Latin-1": "é".encode("latin-1"),
    "empty": b"",
    "absent": None,
}


@dataclass
class Kept:
    """Storage that keeps everything, or fails at a call."""

    fails: str = ""
    calls: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)

    def queue(self, message: str) -> None:
        self._reach("queue")
        self.messages.append(message)

    def store(self, key: str, body: bytes) -> bool:
        self._reach("store")
        new = key not in self.objects
        self.objects.setdefault(key, body)
        return new

    def _reach(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fails:
            raise AwsUnavailable(call)


def receiver(kept: Kept, secret: dict[str, Any] | None = None) -> Receiver:
    text = json.dumps(secret or {"api_secret": SECRET})
    return Receiver(Signers(lambda name: text if name == "default" else None), kept)


def call(body: str = "{}", *, is_base64: bool = False, sent: bytes | None = None, **changes: Any) -> Call:
    raw = body.encode() if sent is None else sent
    signature = hashlib.md5(raw + SECRET.encode()).hexdigest()  # noqa: S324 - the shop's own scheme
    headers = {"x-event": "orders/updated", "x-order-id": "7", "x-signature": signature, **changes.pop("headers", {})}
    given: dict[str, Any] = {
        "method": "POST",
        "connection": "default",
        "received": 1_795_413_600_000,
        "request_id": "r",
    }
    return Call(body=body, is_base64=is_base64, headers=headers, **{**given, **changes})


def counted(answer: Answer) -> dict[str, object]:
    """Return the counts among an answer's fields."""
    return {name: count for name, count in answer.fields.items() if name.startswith("Webhooks")}


@pytest.mark.parametrize("body", BODIES, ids=str)
@pytest.mark.parametrize("content_type", [*AS_TEXT, *AS_BASE64], ids=str)
def test_the_signature_covers_the_bytes_whatever_the_content_type(content_type: str | None, body: str) -> None:
    raw = BODIES[body] or b""
    is_base64 = content_type in AS_BASE64 or body == "Latin-1"
    passed = base64.b64encode(raw).decode() if is_base64 else raw.decode()
    kept = Kept()
    headers = {} if content_type is None else {"content-type": content_type}

    answer = receiver(kept).answer(call(passed, is_base64=is_base64, sent=raw, headers=headers))

    assert answer.status == 204
    (stored,) = [json.loads(value) for value in kept.objects.values()]
    text = stored["body"]
    assert (base64.b64decode(text) if stored["isBase64Encoded"] else text.encode()) == raw


def test_204_has_neither_body_nor_content_type() -> None:
    assert receiver(Kept()).answer(call()).to_lambda("r") == {"statusCode": 204, "headers": {"X-Request-Id": "r"}}


def test_the_queue_gets_what_the_trigger_has_to_know() -> None:
    kept = Kept()

    receiver(kept).answer(call())

    assert [json.loads(message) for message in kept.messages] == [
        {"connection": "default", "entity": "orders", "action": "updated", "id": "7", "received": 1_795_413_600_000}
    ]


@pytest.mark.parametrize(
    "forged",
    [
        call(headers={"x-signature": "0" * 32}),
        call(headers={"x-signature": ""}),
        call(connection="other"),
        call(connection="../default"),
        call('{"a":1}', sent=b"{}"),
    ],
)
def test_a_forged_call_is_refused_and_nothing_is_kept(forged: Call) -> None:
    kept = Kept()
    answer = receiver(kept).answer(forged)

    assert (answer.status, answer.fields) == (401, {"WebhooksRefused": 1})
    assert kept.calls == []
    assert answer.to_lambda("r")["headers"]["Content-Type"] == "application/problem+json"


def test_a_refused_call_of_the_connections_own_shop_is_counted_apart() -> None:
    wrong = call(headers={"x-signature": "0" * 32, "x-shop-id": "5"})
    answer = receiver(Kept(), {"api_secret": SECRET, "shop_id": "5"}).answer(wrong)

    assert answer.fields == {"WebhooksRefused": 1, "WebhooksRefusedOfKnownShop": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", ""])
def test_another_method_is_refused(method: str) -> None:
    kept = Kept()
    answer = receiver(kept).answer(call(method=method))

    assert (answer.status, answer.headers, kept.calls) == (405, {"Allow": "POST"}, [])


def test_a_body_over_256_kilobytes_is_refused() -> None:
    kept = Kept()

    assert receiver(kept).answer(call("x" * MAX_BYTES)).status == 204
    assert receiver(kept).answer(call("x" * (MAX_BYTES + 1))).status == 413
    assert len(kept.objects) == 1


@pytest.mark.parametrize("body", ["!", "é"])
def test_base64_that_is_none_is_refused(body: str) -> None:
    assert receiver(Kept()).answer(call(body, is_base64=True)).status == 400


@pytest.mark.parametrize("fails", ["queue", "store"])
def test_what_cannot_be_kept_is_to_be_sent_again(fails: str) -> None:
    kept = Kept(fails)

    answer = receiver(kept).answer(call())

    assert (answer.status, answer.headers, kept.objects) == (503, {"Retry-After": "30"}, {})
    kept.fails = ""
    assert receiver(kept).answer(call()).status == 204
    assert len(kept.objects) == 1


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("point", range(4))
def test_a_receiver_killed_at_any_call_loses_nothing(point: int) -> None:
    kept, passed = Kept(), iter(range(100))

    class Storage(Kept):
        def queue(self, message: str) -> None:
            reach()
            kept.queue(message)
            reach()

        def store(self, key: str, body: bytes) -> bool:
            reach()
            new = kept.store(key, body)
            reach()
            return new

    def reach() -> None:
        if next(passed) == point:
            raise Killed

    with pytest.raises(Killed):
        receiver(Storage()).answer(call())
    assert len(kept.objects) <= len(kept.messages)  # what is stored was queued

    assert receiver(kept).answer(call()).status == 204  # the shop sends it again
    assert len(kept.objects) == 1
    assert kept.messages


def test_every_stored_webhook_was_queued_before() -> None:
    kept = Kept()
    receiver(kept).answer(call())

    assert kept.calls == ["queue", "store"]


def test_a_repeated_event_is_stored_once_a_day_and_counted() -> None:
    kept = Kept()
    take = receiver(kept).answer

    answers = [take(call(headers={"x-request-id": str(number)})) for number in range(100)]
    next_day = take(call(received=1_795_413_600_000 + 86_400_000))

    assert [counted(answer) for answer in answers[:2]] == [
        {"WebhooksReceived": 1},
        {"WebhooksReceived": 1, "WebhooksRepeated": 1},
    ]
    assert counted(next_day) == {"WebhooksReceived": 1}
    assert len(kept.objects) == 2
