"""Trouble of S3, Secrets Manager and Step Functions: one type that Sync retries, 503 over HTTP, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from connector.errors import AwsUnavailable
from tests.integration.subscribe.bundle import Bundle

EVENT = {"entity": "orders", "mode": "incremental"}


def refused(code: str, operation: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


TROUBLE: dict[str, tuple[str, Exception]] = {
    "S3 asks to slow down": ("put_object", refused("SlowDown", "PutObject", 503)),
    "S3 fails": ("put_object", refused("InternalError", "PutObject", 500)),
    "S3 does not answer a read": ("get_object", ReadTimeoutError(endpoint_url="https://s3")),
    "S3 closes the connection": ("put_object", ConnectionClosedError(endpoint_url="https://s3")),
    "S3 asks to try again": ("put_object", refused("ConditionalRequestConflict", "PutObject", 409)),
}


def failing(call: Callable[..., Any], error: Exception, number: int) -> Callable[..., Any]:
    """Return a call that fails from the given time on."""
    done = [0]

    def fail(**given: Any) -> Any:
        conditional = "IfMatch" in given or "IfNoneMatch" in given
        done[0] += 1
        if done[0] < number or ("Conditional" in str(error) and not conditional):
            return call(**given)
        raise error

    return fail


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize(("call", "error"), TROUBLE.values(), ids=TROUBLE)
def test_s3_in_trouble_raises_what_sync_retries_and_the_same_event_ends_the_run(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception, number: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(bundle.s3, call, failing(getattr(bundle.s3, call), error, number))
        with pytest.raises(AwsUnavailable):
            bundle.invoke(EVENT, "run")

    result = bundle.invoke(EVENT, "run")

    assert sorted(bundle.ids(result)) == sorted(bundle.shop.store.ids("orders"))
    assert bundle.stored("manifests/") == [result["manifest"]]
    assert bundle.manifest(result)["verified"] is True
    assert bundle.bookmark()["bookmark"]["run_id"] == "run"


def test_a_throttled_secret_is_an_error_to_retry_and_503_over_http(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled = refused("ThrottlingException", "GetSecretValue", 400)
    monkeypatch.setattr(bundle.secrets, "get_secret_value", failing(bundle.secrets.get_secret_value, throttled, 1))

    with pytest.raises(AwsUnavailable, match="AWS answered GetSecretValue with ThrottlingException"):
        bundle.invoke(EVENT, "run")

    answer = bundle.http("POST", "/subscribe", EVENT)
    assert (answer.status, answer.json["type"]) == (503, "urn:lightspeed-connector:problem:aws-unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert bundle.untouched


def test_a_conflict_that_stays_is_503_over_http(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    conflict = refused("ConditionalRequestConflict", "PutObject", 409)
    monkeypatch.setattr(bundle.s3, "put_object", failing(bundle.s3.put_object, conflict, 1))

    assert bundle.http("POST", "/subscribe", EVENT).status == 503
    assert bundle.stored("manifests/") == []
