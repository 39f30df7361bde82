import contextlib
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from connector.errors import AwsUnavailable, IdempotencyConflict, RequestError
from lightspeed import InvalidRequest
from publish.event import parse_request
from publish.idempotency import MARGIN_SECONDS, Idempotency, InProgress
from tests.integration.publish.conftest import Publisher, event
from tests.shop import Fault

LAMP = event("products", "create", {"title": "Lamp"}, idempotency_key="lamp")
STOCK = {"stockLevel": 4}


class Killed(BaseException):
    """The process ends here: nothing that cleans up runs."""


def titles(publisher: Publisher, title: str) -> int:
    return [row["title"]["nl"] for row in publisher.shop.store.rows("products")].count(title)


def kill_after_answer(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, call: object) -> None:
    """Publish, and end the process before the result is stored."""
    dynamodb = publisher.deps.aws.client("dynamodb")

    def end(**_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(dynamodb, "update_item", end)
        with pytest.raises(Killed):
            publisher(call)


def test_the_same_key_with_the_same_content_is_sent_once_and_answered_from_the_first_result(
    publisher: Publisher,
) -> None:
    first = publisher(LAMP)
    assert publisher(LAMP) == first
    assert first["status"] == "created"
    assert publisher.sent() == [("POST", "/nl/products.json")]


def test_the_same_key_with_other_content_is_refused_and_nothing_is_sent(publisher: Publisher) -> None:
    publisher(LAMP)
    with pytest.raises(IdempotencyConflict, match="'lamp' was used before with other content"):
        publisher(event("products", "create", {"title": "Other"}, idempotency_key="lamp"))
    assert len(publisher.sent()) == 1


def test_the_same_key_on_another_connection_is_another_key(publisher: Publisher) -> None:
    publisher.connect("second")

    publisher(LAMP)
    publisher({**LAMP, "connection": "second"})

    assert titles(publisher, "Lamp") == 2


def test_calls_without_a_key_are_not_compared(publisher: Publisher) -> None:
    for _ in range(2):
        publisher(event("products", "create", {"title": "Twice"}))
    assert titles(publisher, "Twice") == 2


def test_a_dry_run_uses_no_key_up(publisher: Publisher) -> None:
    assert publisher({**LAMP, "dry_run": True})["status"] == "dry_run"
    assert publisher(LAMP)["status"] == "created"


def test_what_the_shop_refused_may_be_sent_again_with_the_same_key(publisher: Publisher) -> None:
    publisher.shop.faults.next(Fault.answers(422, "title is taken"))
    with pytest.raises(InvalidRequest, match="title is taken"):
        publisher(LAMP)
    assert publisher(LAMP)["status"] == "created"


def test_a_claim_stands_until_the_deadline_of_its_invocation_and_a_margin(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.context.seconds = 100
    kill_after_answer(publisher, monkeypatch, LAMP)

    with pytest.raises(InProgress, match="still running") as refused:
        publisher(LAMP)

    assert 100 + MARGIN_SECONDS - 5 < refused.value.retry_after_seconds <= 100 + MARGIN_SECONDS
    answer = publisher.http(LAMP)
    assert answer["statusCode"] == 409
    assert 0 < int(answer["headers"]["Retry-After"]) <= 100 + MARGIN_SECONDS
    assert len(publisher.sent()) == 1


def test_a_create_that_was_killed_is_never_blindly_sent_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_after_answer(publisher, monkeypatch, LAMP)
    publisher.minutes_pass()

    answer = publisher(LAMP)

    assert answer["status"] == "unknown"
    assert "stopped before its answer was kept" in answer["detail"]
    assert answer["check"]["entity"] == "products"
    assert publisher(LAMP) == answer
    assert titles(publisher, "Lamp") == 1


def test_what_a_killed_call_created_is_looked_for_from_before_its_start(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = publisher.deps.clock.time()
    kill_after_answer(publisher, monkeypatch, LAMP)
    publisher.shop.clock.advance(publisher.context.seconds + MARGIN_SECONDS + 1)

    query = publisher(LAMP)["check"]["parameters"]["query"]

    since = datetime.fromisoformat(query["created_at_min"]).timestamp()
    deadline = start + publisher.context.seconds
    assert deadline - 905 <= since <= deadline - 900, "an invocation lasts at most 900 s"


def test_a_create_that_was_killed_is_settled_by_match(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    call = {**LAMP, "match": "title"}
    kill_after_answer(publisher, monkeypatch, call)
    publisher.minutes_pass()

    answer = publisher(call)

    assert answer["status"] == "updated"
    assert publisher(call) == answer
    assert titles(publisher, "Lamp") == 1


def test_a_create_with_match_that_was_killed_before_it_was_sent_is_sent(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {**LAMP, "match": "title"}
    client = publisher.deps.shops.open("default")

    def end(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "page", end)
        with pytest.raises(Killed):
            publisher(call)
    publisher.minutes_pass()

    assert publisher(call)["status"] == "created"
    assert titles(publisher, "Lamp") == 1


def test_an_update_that_was_killed_is_sent_again(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = publisher.shop.store.ids("variants")[0]
    call = event("variants", "update", STOCK, path={"id": variant}, idempotency_key="stock")
    kill_after_answer(publisher, monkeypatch, call)
    publisher.minutes_pass()

    assert publisher(call)["status"] == "updated"
    assert len(publisher.sent()) == 2


def test_of_two_that_take_a_stopped_call_over_one_is_refused(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {**LAMP, "match": "title"}
    kill_after_answer(publisher, monkeypatch, call)
    publisher.minutes_pass()
    client = publisher.deps.aws.client("dynamodb")
    put = client.put_item
    second: list[Any] = []

    def put_with_a_rival(**asked: Any) -> Any:
        """Answer a claim; before the one that takes over, let a rival take over."""
        if ":before" in asked["ExpressionAttributeValues"] and not second:
            second.append(True)
            second.append(publisher(call))
        return put(**asked)

    monkeypatch.setattr(client, "put_item", put_with_a_rival)
    with pytest.raises(InProgress):
        publisher(call)

    assert second[1]["status"] == "updated"
    assert titles(publisher, "Lamp") == 1


def test_a_key_is_kept_in_the_form_of_powertools(publisher: Publisher) -> None:
    publisher(LAMP)

    (item,) = publisher.items
    assert item["status"] == {"S": "COMPLETED"}
    assert json.loads(item["data"]["S"])["status"] == "created"
    assert {"expiration", "in_progress_expiration", "validation"} <= set(item)


def test_a_claim_is_written_once(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    client = publisher.deps.aws.client("dynamodb")
    put = client.put_item
    written: list[str] = []

    def noted(**asked: Any) -> Any:
        written.append(asked["Item"]["id"]["S"])
        return put(**asked)

    monkeypatch.setattr(client, "put_item", noted)
    publisher(LAMP)

    (item,) = publisher.items
    assert written.count(item["id"]["S"]) == 1


def test_a_result_that_is_too_large_to_keep_is_kept_without_its_record(publisher: Publisher) -> None:
    call = event("products", "create", {"title": "Long", "content": "x" * 400_000}, idempotency_key="long")
    assert publisher(call)["record"]["title"] == "Long"
    again = publisher(call)
    assert (again["status"], again["record"]) == ("created", None)
    assert titles(publisher, "Long") == 1


def test_a_result_that_cannot_be_kept_still_reaches_the_caller(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = publisher.deps.aws.client("dynamodb")

    def refuse(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    monkeypatch.setattr(client, "update_item", refuse)

    assert publisher(LAMP)["status"] == "created"
    (record,) = [record for record in caplog.records if "could not be stored" in record.message]
    assert vars(record)["key"] == "default lamp"
    assert vars(record)["error"].startswith("Could not connect")


def test_a_key_is_remembered_longer_than_a_message_can_lie_in_its_queue(publisher: Publisher) -> None:
    publisher(LAMP)
    (item,) = publisher.items
    assert int(item["expiration"]["N"]) > publisher.shop.clock.now() + 14 * 86_400
    assert item["subject"] == {"S": "default products"}, "`forget` finds it by its subject"


def internal_error() -> ClientError:
    answer: Any = {"Error": {"Code": "InternalServerError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    return ClientError(answer, "PutItem")


LOST = [ReadTimeoutError(endpoint_url="https://dynamodb"), internal_error()]


def lose_answers(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    """Let DynamoDB write the next claims, and lose its answers."""
    client = publisher.deps.aws.client("dynamodb")
    put, left = client.put_item, [error] * times

    def put_and_lose(**asked: Any) -> Any:
        answer = put(**asked)
        if left:
            raise left.pop()
        return answer

    monkeypatch.setattr(client, "put_item", put_and_lose)


@pytest.mark.parametrize("error", LOST, ids=["time-out", "500"])
def test_a_claim_whose_answer_is_lost_is_recognized_as_the_own_one(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    lose_answers(publisher, monkeypatch, error, 1)
    assert publisher(LAMP)["status"] == "created"
    assert titles(publisher, "Lamp") == 1


def test_a_claim_that_is_taken_over_and_whose_answer_is_lost_is_recognized(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {**LAMP, "match": "title"}
    kill_after_answer(publisher, monkeypatch, call)
    publisher.minutes_pass()
    client = publisher.deps.aws.client("dynamodb")
    put = client.put_item
    lost: list[Any] = []

    def put_and_lose(**asked: Any) -> Any:
        answer = put(**asked)
        if not lost:
            lost.append(answer)
            raise LOST[0]
        return answer

    monkeypatch.setattr(client, "put_item", put_and_lose)
    assert publisher(call)["status"] == "updated"
    assert titles(publisher, "Lamp") == 1


def test_a_claim_that_gets_no_answer_at_all_is_freed_and_the_error_is_typed(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = publisher.deps.aws.client("dynamodb")
    put = client.put_item

    calls: list[str] = []

    def put_and_lose(**asked: Any) -> Any:
        calls.append(asked["TableName"])
        with contextlib.suppress(ClientError):
            put(**asked)
        raise LOST[0]

    with monkeypatch.context() as patch:
        patch.setattr(client, "put_item", put_and_lose)
        with pytest.raises(AwsUnavailable, match="ReadTimeoutError"):
            publisher(LAMP)
    assert len(calls) == 3
    assert publisher.items == []
    assert publisher(LAMP)["status"] == "created"


def test_a_throttled_claim_is_a_typed_error_and_nothing_is_sent(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow"}}

    def refuse(**_: object) -> None:
        raise ClientError(throttled, "PutItem")

    with monkeypatch.context() as patch:
        patch.setattr(publisher.deps.aws.client("dynamodb"), "put_item", refuse)
        with pytest.raises(AwsUnavailable, match="AWS answered PutItem with ProvisionedThroughputExceededException"):
            publisher(LAMP)
        answer = publisher.http(LAMP)
    assert (answer["statusCode"], publisher.sent()) == (503, [])


def test_a_key_whose_result_is_unknown_is_claimed_again_once_the_shop_is_done(publisher: Publisher) -> None:
    idempotency, request = Idempotency(*publisher.deps.table_client_clock), parse_request({**LAMP, "match": "title"})
    first = idempotency.claim(request, "lamp", 10.0)
    stored_at = publisher.deps.clock.time()
    idempotency.complete(first, {"status": "unknown"})
    assert idempotency.claim(request, "lamp", 10.0).earlier_result == {"status": "unknown"}
    publisher.shop.clock.advance(MARGIN_SECONDS + 2)

    again = idempotency.claim(request, "lamp", 10.0)

    assert again.earlier_result is None
    assert stored_at - 905 <= (again.begun_after or 0) <= stored_at - 900


def test_a_known_result_is_answered_again_without_a_look_at_the_shop(publisher: Publisher) -> None:
    call = {**LAMP, "match": "title"}
    first = publisher(call)
    publisher.shop.clock.advance(MARGIN_SECONDS + 2)
    before = len(publisher.sent())
    assert publisher(call) == first
    assert len(publisher.sent()) == before


def test_a_call_that_meets_the_end_of_a_claim_comes_back_after_a_second(publisher: Publisher) -> None:
    idempotency, request = Idempotency(*publisher.deps.table_client_clock), parse_request(LAMP)
    idempotency.claim(request, "lamp", 10.0)
    publisher.shop.clock.advance(10 + MARGIN_SECONDS - 0.25)
    with pytest.raises(InProgress) as refused:
        idempotency.claim(request, "lamp", 10.0)
    assert refused.value.retry_after_seconds == 1.0


def test_a_claim_that_was_taken_over_is_not_freed_by_its_first_holder(publisher: Publisher) -> None:
    idempotency = Idempotency(*publisher.deps.table_client_clock)
    assert idempotency is not None
    claim = idempotency.claim(parse_request(LAMP), "lamp", 10.0)
    idempotency.complete(replace(claim, token="another"), RequestError(["refused"]))
    assert len(publisher.items) == 1
    idempotency.complete(claim, RequestError(["refused"]))
    assert publisher.items == []
