"""The shares of the requests per second in a table of DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from connector.rate import Share, TableShare, allotment
from lightspeed import Client, Connection, Parameters, RateLimited, Transport
from lightspeed.rate_limiter import RateLimiter
from tests.support.clock import MONDAY_SIX, FakeClock


def share(needed: int, *, background: bool = False) -> Share:
    return Share(0, needed, background, 0)


def test_a_worker_alone_has_what_it_needs() -> None:
    assert allotment({"run": share(20, background=True)}, "run") == 20
    assert allotment({"call": share(2)}, "call") == 2


def test_calls_come_first_and_leave_four_to_runs() -> None:
    shares = {"run": share(20, background=True), "other run": share(20, background=True), "call": share(20)}

    assert {name: allotment(shares, name) for name in shares} == {"run": 2, "other run": 2, "call": 16}
    assert allotment(shares | {"call": share(2)}, "run") == 9


def test_what_one_worker_does_not_need_is_for_the_others() -> None:
    shares = {"a": share(3), "b": share(20), "c": share(20)}

    assert sorted(allotment(shares, name) for name in shares) == [3, 8, 9]


def test_never_more_than_twenty_are_divided() -> None:
    shares = {f"call {number}": share(20) for number in range(30)}

    assert sum(allotment(shares, name) for name in shares) == 20


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield client


def test_two_workers_divide_the_requests_of_a_table(client: Any) -> None:
    clock = FakeClock()
    run, call = (TableShare("table", lambda: client, "default", clock) for _ in range(2))
    run.background = True

    assert run.requests_per_second(0) == 20
    assert call.requests_per_second(0) == 0
    clock.sleep(0.25)
    assert run.requests_per_second(18) == 18
    clock.sleep(0.1)
    assert call.requests_per_second(0) == 2
    run.release()
    clock.sleep(2.5)
    assert call.requests_per_second(0) == 2

    (item,) = client.scan(TableName="table")["Items"]
    assert item["id"] == {"S": "rate#default"}
    assert item["expiration"] == {"N": str(MONDAY_SIX + 86_400 + 2)}


class LosesAnswers:
    """A client of DynamoDB whose writes are done, but not answered from a moment on."""

    def __init__(self, client: Any) -> None:
        self.loses = False
        self._client = client

    def put_item(self, **call: Any) -> Any:
        answer = self._client.put_item(**call)
        if self.loses:
            raise ReadTimeoutError(endpoint_url="table")
        return answer


def keep(client: Any, share: Share) -> None:
    """Store the share of another worker, as if it had written last."""
    text = json.dumps({"other": [share.held, share.needed, int(share.background), share.until]})
    client.put_item(TableName="table", Item={"id": {"S": "rate#default"}, "token": {"S": "t"}, "shares": {"S": text}})


@pytest.mark.parametrize("days", [1, -1])
def test_a_worker_whose_clock_is_days_off_blocks_no_shop(client: Any, days: int) -> None:
    clock = FakeClock()
    wrong = TableShare("table", lambda: client, "default", FakeClock(MONDAY_SIX + days * 86_400))
    right = TableShare("table", lambda: client, "default", clock)
    wrong.background = right.background = True
    assert wrong.requests_per_second(0) == 20

    right.requests_per_second(0)
    clock.sleep(0.25)

    assert right.requests_per_second(0) == 20


def test_a_smaller_share_is_kept_to_though_its_write_was_not_answered(client: Any) -> None:
    clock, way = FakeClock(), LosesAnswers(client)
    run = TableShare("table", lambda: way, "default", clock)
    run.background = True
    assert run.requests_per_second(0) == 20
    keep(client, Share(0, 16, background=False, until=clock.time() + 3))

    way.loses = True
    clock.sleep(0.25)

    assert run.requests_per_second(1) <= 4


def test_a_request_whose_turn_does_not_come_is_not_sent(client: Any) -> None:
    class WhileOthersRenew(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            keep(client, Share(20, 20, background=False, until=self.time() + 3))

    clock = WhileOthersRenew()
    clock.sleep(0)
    limiter = RateLimiter(clock, share=TableShare("table", lambda: client, "default", clock))
    connection = Connection.from_mapping(
        {"base_url": "http://127.0.0.1:9", "language": "nl", "api_key": "k", "api_secret": "s"}
    )
    transport = Transport(connection, clock=clock, limiter=limiter)

    begun = clock.monotonic()
    with pytest.raises(RateLimited, match="not sent: other workers use the shop's requests per second") as caught:
        Client(transport).record(Client(transport).build("shop", "get", Parameters()))

    assert caught.value.retry_after_seconds == 6
    assert 8 <= clock.monotonic() - begun < 8.2
    assert transport.requests_sent == 0
