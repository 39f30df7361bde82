"""If a table or a secret fails, only the events that need it fail."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.integration.publish.conftest import Publisher, event, message
from tests.integration.publish.test_failure_queue import FailureQueue, failures, level, redriven, stock
from tests.integration.publish.test_files import PublishFile, machine
from tests.shop import Fault

__all__ = ["failures", "machine"]

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "UpdateItem")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://dynamodb.eu-west-1.amazonaws.com")
either = pytest.mark.parametrize("error", [THROTTLED, UNREACHABLE], ids=["throttled", "unreachable"])
TAG = event("tags", "create", {"title": "new"})


class AwsClients:
    """Clients of AWS of which some calls fail, once each."""

    def __init__(self, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = publisher.deps.aws.client
        self._monkeypatch = monkeypatch
        self.left = 0

    def fail(self, service: str, call: str, error: Exception, when: Callable[[str], bool], times: int = 1) -> None:
        """Let calls fail whose arguments, as text, are these."""
        client = self._client(service)
        real = getattr(client, call)
        self.left = times

        def answer(**asked: Any) -> Any:
            if self.left and when(str(asked)):
                self.left -= 1
                raise error
            return real(**asked)

        self._monkeypatch.setattr(client, call, answer)


@pytest.fixture
def aws_fails(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> AwsClients:
    return AwsClients(publisher, monkeypatch)


@pytest.fixture
def variants(publisher: Publisher) -> list[int]:
    return publisher.shop.store.ids("variants")[:3]


def marking(asked: str) -> bool:
    return "Put" in asked and '\\"on_their_way\\":[\\"' in asked.replace('"', '\\"')


def settling(asked: str) -> bool:
    return "Put" in asked and not marking(asked)


def change(variant: int, **fields: object) -> dict[str, Any]:
    return {"path": {"id": variant}, "payload": fields}


@either
def test_a_key_that_cannot_be_claimed_fails_its_update_alone(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    aws_fails.fail("dynamodb", "put_item", error, lambda _: True)
    first, second, _ = variants
    calls = [TAG, {**stock(first, 5), "idempotency_key": "k"}, stock(second, 6), TAG]
    results = publisher.batch(*calls)
    assert [result["status"] for result in results] == ["created", "failed", "updated", "created"]
    assert (results[1]["error"]["status"], results[1]["error"]["detail"][:4]) == (503, "AWS ")
    assert (level(publisher, first) == 5, level(publisher, second)) == (False, 6)
    assert publisher.batch(calls[1])[0]["status"] == "updated", "nothing of the key is left behind"


@either
@pytest.mark.parametrize("when", [marking, settling])
def test_updates_whose_order_cannot_be_kept_come_again_without_the_others(
    publisher: Publisher,
    failures: FailureQueue,
    variants: list[int],
    aws_fails: AwsClients,
    error: Exception,
    when: Callable[[str], bool],
) -> None:
    aws_fails.fail("dynamodb", "transact_write_items", error, when)
    records = [message(n, stock(variant, n)) for n, variant in enumerate(variants)]
    assert publisher.failed(message(9, TAG), *records) == ["message-0", "message-1", "message-2"]
    assert (aws_fails.left, failures.receive()) == (0, [])
    assert publisher.failed(*records) == []
    assert [level(publisher, variant) for variant in variants] == [0, 1, 2]


@either
def test_updates_whose_versions_cannot_be_read_come_again(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    aws_fails.fail("dynamodb", "batch_get_item", error, lambda _: True)
    assert publisher.failed(message(1, stock(variants[0], 1)), message(9, TAG)) == ["message-1"]
    assert publisher.failed(message(1, stock(variants[0], 1))) == []
    assert level(publisher, variants[0]) == 1


@either
def test_a_value_that_was_sent_but_not_stored_does_not_undo_a_newer_one(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    aws_fails.fail("dynamodb", "transact_write_items", error, settling)
    assert publisher.failed(message(1, stock(variants[0], 10))) == ["message-1"]
    assert publisher.failed(message(2, stock(variants[0], 20))) == []
    assert publisher.failed(message(1, stock(variants[0], 10), receipts=2)) == []
    assert level(publisher, variants[0]) == 20


@either
def test_a_part_that_was_sent_but_not_stored_is_undone_when_its_message_is_refused(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    bad = message(2, {**stock(variants[0], 20), "parameters": change(variants[0], stockLevel=20, priceExcl="dear")})
    newer = message(3, {**stock(variants[0], 0), "parameters": change(variants[0], priceExcl=7)})
    assert publisher.failed(message(1, stock(variants[0], 10))) == []
    aws_fails.fail("dynamodb", "transact_write_items", error, settling)
    assert publisher.failed(bad, newer) == ["message-2", "message-3"]
    assert level(publisher, variants[0]) == 20, "the newer price stands in place of the wrong one"
    assert publisher.failed(bad) == ["message-2"]
    assert level(publisher, variants[0]) == 10
    assert publisher.failed(newer) == []
    assert level(publisher, variants[0]) == 10


@either
def test_a_lease_that_cannot_be_taken_costs_its_messages_a_try(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    aws_fails.fail("dynamodb", "put_item", error, lambda asked: "writer#" in asked)
    assert publisher.failed(message(1, stock(variants[0], 1))) == ["message-1"]
    assert publisher.failed(message(1, stock(variants[0], 1))) == []


@either
def test_a_lease_that_cannot_be_freed_ends_by_itself(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients, error: Exception
) -> None:
    aws_fails.fail("dynamodb", "delete_item", error, lambda asked: "writer#" in asked)
    assert publisher.failed(message(1, stock(variants[0], 1))) == []
    assert publisher.failed(message(2, stock(variants[0], 2))) == ["message-2"]
    publisher.shop.clock.advance(181)
    assert publisher.failed(message(2, stock(variants[0], 2))) == []


def test_a_message_is_given_up_in_the_end_if_the_table_stays_busy(
    publisher: Publisher, failures: FailureQueue, variants: list[int], aws_fails: AwsClients
) -> None:
    aws_fails.fail("dynamodb", "transact_write_items", THROTTLED, marking, times=2)
    assert publisher.failed(message(1, stock(variants[0], 5), receipts=8)) == ["message-1"]
    assert publisher.failed(message(1, stock(variants[0], 5), receipts=9)) == []
    (found,) = failures.receive()
    assert found["Error"] == "AwsUnavailable"
    assert found["Detail"].startswith("AWS answered UpdateItem with ThrottlingException")
    assert publisher.failed(redriven(2, found)) == []
    assert level(publisher, variants[0]) == 5


def test_a_line_is_tried_again_where_its_key_cannot_be_claimed(machine: PublishFile, aws_fails: AwsClients) -> None:
    aws_fails.fail("dynamodb", "put_item", THROTTLED, lambda _: True)
    machine.put("publish/in/tags.jsonl", TAG, {**TAG, "parameters": {"payload": {"title": "other"}}})
    assert machine.run("publish/in/tags.jsonl")["outcomes"] == {"created": 2}
    assert machine.waits == [30, 0]
    assert len(machine.publisher.sent()) == 2


def test_a_secret_that_cannot_be_read_afresh_fails_the_updates_of_its_bulk_alone(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients
) -> None:
    aws_fails.fail("secretsmanager", "get_secret_value", THROTTLED, lambda _: bool(publisher.sent()))
    publisher.shop.faults.next(Fault.answers(401), path_contains="variants")
    results = publisher.batch(TAG, *(stock(variant, 5) for variant in variants))
    assert [result["status"] for result in results] == ["created", "failed", "failed", "failed"]
    assert (
        results[1]["error"]["detail"]
        == "AWS answered UpdateItem with ThrottlingException: AWS is in trouble; try again"
    )


def test_an_older_message_is_done_though_the_newer_one_of_its_batch_cannot_be_stored(
    publisher: Publisher, variants: list[int], aws_fails: AwsClients
) -> None:
    assert publisher.failed(message(2, stock(variants[0], 20))) == []
    aws_fails.fail("dynamodb", "transact_write_items", THROTTLED, settling)
    assert publisher.failed(message(1, stock(variants[0], 10)), message(3, stock(variants[0], 30))) == ["message-3"]
