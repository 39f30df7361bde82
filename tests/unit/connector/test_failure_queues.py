"""Reading a failure queue to its end, whatever SQS answers."""

from typing import Any

from connector.status.failure_queues import receive


class Sqs:
    """A client of SQS that gives each answer once, and then the last one without end."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.calls = 0

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        ids = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        messages = [{"MessageId": each, "Body": "{}", "ReceiptHandle": f"{each}-{self.calls}"} for each in ids]
        return {"Messages": messages}


def received(sqs: Sqs) -> list[str]:
    return [failure.message["ReceiptHandle"] for failure in receive(sqs, "publish", "https://queue", most=None)]


def test_one_answer_without_messages_is_not_the_end_of_a_queue() -> None:
    assert received(Sqs(["a"], [], ["b"], [])) == ["a-1", "b-3"]


def test_messages_that_come_again_end_the_reading_and_keep_their_latest_receipt() -> None:
    sqs = Sqs(["a", "b"], ["c"], ["b"])

    assert received(sqs) == ["a-1", "b-4", "c-2"]
    assert sqs.calls == 4
