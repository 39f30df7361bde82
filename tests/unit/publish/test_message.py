"""The calls of SQS for a message that is not done."""

import pytest

from connector.settings import Settings
from publish.dependencies import Dependencies
from publish.triggers.sqs import Message
from tests.support.aws import FakedClients
from tests.support.clock import FakeClock

QUEUE = "https://sqs/publish"


class Queue:
    """SQS that only notes what it is asked.

    Attributes:
        hidden: Seconds for which a message was hidden, in order.
        delays: Seconds by which a copy was delayed, in order.
    """

    def __init__(self) -> None:
        self.hidden: list[int] = []
        self.delays: list[int] = []

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        assert (QueueUrl, ReceiptHandle) == (QUEUE, "receipt")
        self.hidden.append(VisibilityTimeout)

    def send_message(self, *, QueueUrl: str, DelaySeconds: int, **_: object) -> None:  # noqa: N803
        assert QueueUrl == QUEUE
        self.delays.append(DelaySeconds)


def message(queue: Queue, receives: int) -> Message:
    settings = Settings.from_env({"PUBLISH_QUEUE_URL": QUEUE})
    record = {
        "messageId": "message-1",
        "receiptHandle": "receipt",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }
    return Message(record, Dependencies(settings, FakeClock(), FakedClients(sqs=queue)))


@pytest.mark.parametrize(("seconds", "hidden"), [(0, 0), (1, 1), (290.2, 291), (43_200, 43_200), (90_000, 43_200)])
def test_a_message_that_waits_is_hidden_until_the_wait_is_over(seconds: float, hidden: int) -> None:
    queue = Queue()

    assert not message(queue, receives=4).postpone(seconds)

    assert (queue.hidden, queue.delays) == ([hidden], [])


@pytest.mark.parametrize(("seconds", "delay"), [(0, 0), (290.2, 291), (900, 900), (5_000, 900)])
def test_a_message_that_waited_often_is_replaced_by_a_copy_that_comes_later(seconds: float, delay: int) -> None:
    queue = Queue()

    assert message(queue, receives=5).postpone(seconds)

    assert (queue.hidden, queue.delays) == ([], [delay])


@pytest.mark.parametrize(("receives", "exhausted"), [(8, False), (9, True), (10, True)])
def test_a_message_is_exhausted_one_receive_before_the_queue_moves_it(receives: int, exhausted: bool) -> None:
    assert message(Queue(), receives).is_exhausted is exhausted
