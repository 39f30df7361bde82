import base64
import os
from typing import Any

import pytest

from connector.errors import RequestError
from publish.attachments import MAX_BYTES
from tests.integration.publish.conftest import Publisher, event
from tests.shop import Fault


def image(publisher: Publisher, **payload: Any) -> dict[str, Any]:
    return event("products/images", "create", payload, path={"product_id": publisher.shop.store.ids("products")[0]})


def put(publisher: Publisher, key: str, content: bytes) -> bytes:
    publisher.held.aws.client("s3").put_object(Bucket=publisher.held.settings.bucket, Key=key, Body=content)
    return content


def test_an_image_by_address(publisher: Publisher) -> None:
    call = image(publisher, src="https://example.com/lamp.jpg")
    assert publisher(call)["status"] == "created"
    assert publisher.shop.requests[0].json == {"productImage": {"src": "https://example.com/lamp.jpg"}}


def test_an_image_in_the_payload(publisher: Publisher) -> None:
    text = base64.b64encode(b"picture").decode()
    answer = publisher(image(publisher, attachment=text, filename="lamp.png"))
    assert (answer["status"], answer["record"]["size"]) == ("created", 7)


@pytest.mark.parametrize("size", [1, 2, 3, 384 * 1024, 1_000_001])
def test_an_image_out_of_the_bucket(publisher: Publisher, size: int) -> None:
    content = put(publisher, "publish/files/lamp.png", os.urandom(size))
    answer = publisher(image(publisher, s3_key="publish/files/lamp.png", sortOrder=3))
    assert (answer["status"], answer["record"]["size"]) == ("created", size)
    sent = publisher.shop.requests[0].json["productImage"]
    assert base64.b64decode(sent.pop("attachment")) == content
    assert sent == {"filename": "lamp.png", "sortOrder": 3}
    assert int(publisher.shop.requests[0].headers["content-length"]) == len(publisher.shop.requests[0].body)


def test_a_file_out_of_the_bucket_is_sent_again_where_it_did_not_arrive(publisher: Publisher) -> None:
    put(publisher, "manual.pdf", b"x" * 1000)
    publisher.shop.faults.next(Fault.answers(429), method="POST")
    answer = publisher(event("files", "create", {"s3_key": "manual.pdf", "title": "Manual"}))
    assert (answer["status"], answer["record"]["size"]) == ("created", 1000)


def test_a_dry_run_shows_a_file_of_the_bucket_by_its_key(publisher: Publisher) -> None:
    put(publisher, "lamp.png", b"x" * 10)
    shown = publisher({**image(publisher, s3_key="lamp.png"), "dry_run": True})
    attachment = {"s3_key": "lamp.png", "bytes": 10}
    assert shown["request"]["body"] == {"productImage": {"attachment": attachment, "filename": "lamp.png"}}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"title": "x"}, "exactly one of src, attachment, s3_key, not by none"),
        ({"src": "https://example.com/a.png", "s3_key": "a.png"}, "not by src and s3_key"),
        ({"src": "ftp://example.com/a.png"}, "src must be an address that the shop can fetch"),
        ({"attachment": "***", "filename": "a.png"}, "attachment must be the file in base64"),
        ({"attachment": "eA=="}, "attachment needs a filename"),
        ({"s3_key": "missing.png"}, r"'missing.png' cannot be read from the bundle's bucket \(404\)"),
        ({"s3_key": "empty.png"}, "is empty"),
        ({"s3_key": "large.png"}, f"has {MAX_BYTES + 1} bytes; the most that is sent is {MAX_BYTES}"),
        ({"s3_key": 7}, "s3_key must be the key of a file"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_before_anything_is(
    publisher: Publisher, payload: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(publisher, "empty.png", b"")
    put(publisher, "large.png", b"x")
    s3 = publisher.held.aws.client("s3")
    head = s3.head_object

    def measured(**asked: Any) -> Any:
        found = head(**asked)
        return {**found, "ContentLength": MAX_BYTES + 1} if asked["Key"] == "large.png" else found

    monkeypatch.setattr(s3, "head_object", measured)
    with pytest.raises(RequestError, match=message):
        publisher(image(publisher, **payload))
    assert publisher.sent() == []


def test_a_file_that_was_replaced_meanwhile_is_not_sent(publisher: Publisher) -> None:
    put(publisher, "lamp.png", b"old")
    call = image(publisher, s3_key="lamp.png")
    s3 = publisher.held.aws.client("s3")
    head = s3.head_object

    def replaced(**asked: Any) -> Any:
        found = head(**asked)
        put(publisher, "lamp.png", b"new one")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "head_object", replaced)
        with pytest.raises(Exception, match="could not be read"):
            publisher(call)
    assert all(seen.status is None or seen.status >= 400 for seen in publisher.shop.requests)
