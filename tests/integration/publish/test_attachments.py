import base64
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from connector.errors import RequestError
from publish.attachments import MAX_BYTES
from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_failure_queue import FailureQueue, failures
from tests.integration.publish.test_files import PublishFile, machine
from tests.shop import Fault

__all__ = ["failures", "machine"]


def refused(code: str) -> ClientError:
    """What S3 answers a HEAD, which has no body to tell the code in."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "HeadObject")


UNREACHABLE = EndpointConnectionError(endpoint_url="https://s3.eu-west-1.amazonaws.com")
PASSING = [refused("503"), refused("SlowDown"), refused("500"), refused("ExpiredToken"), UNREACHABLE]
passing = pytest.mark.parametrize("error", PASSING, ids=str)


class S3:
    """A client of S3 whose next answers to a HEAD are errors."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._head = client.head_object
        self.errors: list[Exception] = []
        monkeypatch.setattr(client, "head_object", self._answer)

    def _answer(self, **asked: Any) -> Any:
        if self.errors:
            raise self.errors.pop()
        return self._head(**asked)


@pytest.fixture
def s3(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The bucket, with a file in it."""
    put(publisher, "publish/files/lamp.png", b"picture")
    return S3(publisher.deps.aws.client("s3"), monkeypatch)


def image(publisher: Publisher, **payload: Any) -> dict[str, Any]:
    return event("products/images", "create", payload, path={"product_id": publisher.shop.store.ids("products")[0]})


def put(publisher: Publisher, key: str, content: bytes) -> bytes:
    publisher.deps.aws.client("s3").put_object(Bucket=publisher.deps.settings.bucket, Key=key, Body=content)
    return content


def test_an_image_by_address(publisher: Publisher) -> None:
    call = image(publisher, src="https://example.com/lamp.jpg")
    assert publisher(call)["status"] == "created"
    assert publisher.shop.requests[0].json == {"productImage": {"src": "https://example.com/lamp.jpg"}}


def test_an_image_by_an_address_in_attachment(publisher: Publisher) -> None:
    fields = {"attachment": "https://example.com/lamp.jpg", "filename": "lamp.jpg"}
    assert publisher(image(publisher, **fields))["status"] == "created"
    assert publisher.shop.requests[0].json == {"productImage": fields}


def test_an_image_in_the_payload(publisher: Publisher) -> None:
    text = base64.b64encode(b"picture").decode()
    answer = publisher(image(publisher, attachment=text, filename="lamp.png"))
    assert (answer["status"], answer["record"]["size"]) == ("created", 7)


@pytest.mark.parametrize("size", [1, 2, 3, 384 * 1024, 1_000_001])
def test_an_image_out_of_the_bucket(publisher: Publisher, size: int) -> None:
    named = {"filename": "other.png"} if size == 3 else {}
    content = put(publisher, "publish/files/lamp.png", os.urandom(size))
    answer = publisher(image(publisher, s3_key="publish/files/lamp.png", sortOrder=3, **named))
    assert (answer["status"], answer["record"]["size"]) == ("created", size)
    sent = publisher.shop.requests[0].json["productImage"]
    assert base64.b64decode(sent.pop("attachment")) == content
    assert sent == {"filename": "lamp.png", "sortOrder": 3, **named}
    assert int(publisher.shop.requests[0].headers["content-length"]) == len(publisher.shop.requests[0].body)


@pytest.mark.parametrize("none", [None, "", False])
def test_ways_to_send_a_file_that_are_not_used_are_not_sent(publisher: Publisher, none: object) -> None:
    put(publisher, "publish/files/lamp.png", b"picture")
    by_key = {"s3_key": "publish/files/lamp.png", "attachment": none, "src": none, "filename": none}
    by_address = {"src": "https://example.com/lamp.jpg", "attachment": none, "s3_key": none}
    assert [
        result["status"] for result in publisher.batch(image(publisher, **by_key), image(publisher, **by_address))
    ] == [
        "created",
        "created",
    ]
    first, second = [request.json["productImage"] for request in publisher.shop.requests]
    assert first == {"attachment": base64.b64encode(b"picture").decode(), "filename": "lamp.png"}
    assert second == {"src": "https://example.com/lamp.jpg"}


def test_a_file_out_of_the_bucket_is_sent_again_where_it_did_not_arrive(publisher: Publisher) -> None:
    put(publisher, "publish/files/manual.pdf", b"x" * 1000)
    publisher.shop.faults.next(Fault.answers(429), method="POST")
    answer = publisher(event("files", "create", {"s3_key": "publish/files/manual.pdf", "title": "Manual"}))
    assert (answer["status"], answer["record"]["size"]) == ("created", 1000)


def test_a_dry_run_shows_a_file_of_the_bucket_by_its_key(publisher: Publisher) -> None:
    put(publisher, "publish/files/lamp.png", b"x" * 10)
    shown = publisher({**image(publisher, s3_key="publish/files/lamp.png"), "dry_run": True})
    attachment = {"s3_key": "publish/files/lamp.png", "bytes": 10}
    assert shown["request"]["body"] == {"productImage": {"attachment": attachment, "filename": "lamp.png"}}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"title": "x"}, "exactly one of attachment, src, s3_key, not by none"),
        ({"src": "https://example.com/a.png", "s3_key": "publish/files/a.png"}, "not by src and s3_key"),
        ({"src": "ftp://example.com/a.png"}, "src must be an address that the shop can fetch"),
        ({"attachment": "***", "filename": "a.png"}, "attachment must be the file in base64"),
        ({"attachment": "eA=="}, "attachment needs a filename"),
        (
            {"s3_key": "publish/files/missing.png"},
            r"'publish/files/missing.png' cannot be read from the bundle's bucket \(404\)",
        ),
        ({"s3_key": "publish/files/empty.png"}, "is empty"),
        ({"s3_key": "publish/files/large.png"}, f"has {MAX_BYTES + 1} bytes; the most that is sent is {MAX_BYTES}"),
        ({"s3_key": 7}, "s3_key must be the key of a file"),
        ({"s3_key": "state/connection=default/orders.json"}, "s3_key must be a key under publish/files/"),
        ({"s3_key": "publish/files/../../state/x.json"}, "s3_key must be a key under publish/files/"),
        ({"s3_key": "publish/files/"}, "s3_key must be a key under publish/files/"),
        ({"attachment": "http://example.com/a.png", "filename": "a.png"}, "attachment must be an address"),
        ({"attachment": "https://[", "filename": "a.png"}, "attachment must be an address"),
        ({"attachment": "HTTPS://example.com/a", "filename": "a.png"}, "attachment must be an address"),
        ({"attachment": " https://example.com/a", "filename": "a.png"}, "attachment must be an address"),
        ({"attachment": "https://example.com/a b", "filename": "a.png"}, "attachment must be an address"),
        ({"src": "https://example.com/\n"}, "src must be an address"),
        ({"src": "https://example.com:99999/a"}, "src must be an address"),
        ({"src": "https://example.com\\@other.example/a"}, "src must be an address"),
        ({"attachment": "eA==", "filename": ["a.png"]}, "filename must be text"),
        ({"s3_key": "publish/files/large.png", "filename": 7}, "filename must be text"),
        ({"s3_key": "publish/files/a/.."}, "s3_key must be a key under publish/files/"),
        ({"s3_key": "/publish/files/lamp.png"}, "s3_key must be a key under publish/files/"),
        ({"attachment": "https://example.com/a.png"}, "attachment needs a filename"),
        ({"attachment": "eA==", "filename": "a", "src": "https://example.com/a"}, "not by attachment and src"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_before_anything_is(
    publisher: Publisher, payload: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(publisher, "publish/files/empty.png", b"")
    put(publisher, "publish/files/large.png", b"x")
    s3 = publisher.deps.aws.client("s3")
    head = s3.head_object

    def measured(**asked: Any) -> Any:
        found = head(**asked)
        return {**found, "ContentLength": MAX_BYTES + 1} if asked["Key"] == "publish/files/large.png" else found

    monkeypatch.setattr(s3, "head_object", measured)
    with pytest.raises(RequestError, match=message):
        publisher(image(publisher, **payload))
    assert publisher.sent() == []


def test_a_file_that_was_replaced_meanwhile_is_not_sent(publisher: Publisher) -> None:
    put(publisher, "publish/files/lamp.png", b"old")
    call = image(publisher, s3_key="publish/files/lamp.png")
    s3 = publisher.deps.aws.client("s3")
    head = s3.head_object

    def replaced(**asked: Any) -> Any:
        found = head(**asked)
        put(publisher, "publish/files/lamp.png", b"new one")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "head_object", replaced)
        with pytest.raises(Exception, match="could not be read"):
            publisher(call)
    assert all(seen.status is None or seen.status >= 400 for seen in publisher.shop.requests)


@passing
def test_a_bucket_that_is_busy_lets_the_message_come_again(
    publisher: Publisher, failures: FailureQueue, s3: S3, error: Exception
) -> None:
    records = [
        message(1, image(publisher, s3_key="publish/files/lamp.png")),
        message(2, event("tags", "create", {"title": "new"})),
    ]
    s3.errors = [error]
    assert publisher.failed(*records) == ["message-1"]
    assert failures.receive() == []
    assert publisher.failed(*records) == []
    assert [sent[0] for sent in publisher.sent()] == ["POST"] * 2


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "403", "AccessDenied", "400"])
def test_a_file_that_cannot_be_had_is_the_senders_to_mend(
    publisher: Publisher, failures: FailureQueue, s3: S3, code: str
) -> None:
    s3.errors = [refused(code)]
    assert publisher.failed(message(1, image(publisher, s3_key="publish/files/lamp.png"))) == []
    (found,) = failures.receive()
    assert (found["Error"], f"({code})" in found["Detail"]) == ("RequestError", True)


def test_a_message_is_given_up_in_the_end_if_the_bucket_stays_busy(
    publisher: Publisher, failures: FailureQueue, s3: S3
) -> None:
    s3.errors = [refused("SlowDown")] * 2
    for receipts, left in ((8, ["message-1"]), (9, [])):
        assert (
            publisher.failed(message(1, image(publisher, s3_key="publish/files/lamp.png"), receipts=receipts)) == left
        )
    (found,) = failures.receive()
    assert found["Error"] == "AwsUnavailable"
    assert found["Detail"].startswith("AWS answered HeadObject with SlowDown")


@passing
def test_a_bucket_that_is_busy_answers_a_call_with_503(publisher: Publisher, s3: S3, error: Exception) -> None:
    s3.errors = [error]
    answer = publisher.http(image(publisher, s3_key="publish/files/lamp.png"))
    assert (answer["statusCode"], answer["body"]["title"]) == (503, "AWS unavailable")
    s3.errors = [error]
    (result,) = publisher.http({"items": [image(publisher, s3_key="publish/files/lamp.png")]})["body"]["results"]
    assert (result["status"], result["error"]["status"]) == ("failed", 503)
    assert result["error"]["detail"].startswith("AWS ")


@passing
def test_a_bucket_that_is_busy_lets_a_line_be_tried_again(machine: PublishFile, s3: S3, error: Exception) -> None:
    machine.put("publish/in/images.jsonl", image(machine.publisher, s3_key="publish/files/lamp.png"))
    s3.errors = [error] * 2
    assert machine.run("publish/in/images.jsonl")["outcomes"] == {"created": 1}
    assert machine.waits == [30, 30, 0]


def test_a_line_fails_in_the_end_if_the_bucket_stays_busy(machine: PublishFile, s3: S3) -> None:
    machine.put("publish/in/images.jsonl", image(machine.publisher, s3_key="publish/files/lamp.png"))
    s3.errors = [refused("SlowDown")] * 3
    assert machine.run("publish/in/images.jsonl")["outcomes"] == {"failed": 1}
    assert machine.waits == [30, 30, 0]
