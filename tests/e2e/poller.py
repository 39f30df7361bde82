"""Lambda's poller for the publish queue, working by the numbers of the deployed event source mapping.

The emulator has a poller, which gives a function ten messages at once whatever the mapping says. With a hundred, as
deployed, Lambda calls ReceiveMessage until it has them or the batching window is over. That is done here, over HTTP as
any consumer of a queue does it; the emulator's own poller is switched off meanwhile.
"""

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from tests.local.stack import Stack

MAX_AT_ONCE = 10
"""Messages that one call of ReceiveMessage or DeleteMessageBatch takes."""

Message = dict[str, Any]


def messages_in(stack: Stack, queue: str) -> int:
    """How many messages a queue holds, whether they can be received, were received, or are delayed."""
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    found = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


class Poller:
    """Workers that receive, invoke the deployed function, and delete what it did not report as failed.

    Attributes:
        most_workers: As many batches as the mapping lets be under way at once.
        invocations: Completed ones.
        errors: Types of the errors of the others, whose messages are left to come again by themselves.
        receipts: How often each message was received, by its body.
        sent: When each message was queued, by its body; epoch milliseconds.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._queue = stack.outputs["PublishQueueUrl"]
        self._function = stack.outputs["PublishFunctionArn"]
        self._sqs, self._lambda = stack.client("sqs"), stack.client("lambda")
        (mapping,) = self._lambda.list_event_source_mappings(FunctionName=self._function)["EventSourceMappings"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        self._id: str = mapping["UUID"]
        self._source: str = mapping["EventSourceArn"]
        self._batch: int = mapping["BatchSize"]
        self._window_seconds: int = mapping["MaximumBatchingWindowInSeconds"]
        self.most_workers: int = mapping["ScalingConfig"]["MaximumConcurrency"]
        self.invocations = 0
        self.errors: list[str] = []
        self.receipts: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(self.most_workers)
        self._workers: list[Future[None]] = []
        self._end = threading.Event()

    def __enter__(self) -> "Poller":
        self._lambda.update_event_source_mapping(UUID=self._id, Enabled=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._threads.shutdown()
        self._lambda.update_event_source_mapping(UUID=self._id, Enabled=True)

    def start(self, workers: int) -> None:
        """Let so many more batches be under way at once."""
        assert len(self._workers) + workers <= self.most_workers
        self._workers += [self._threads.submit(self._work) for _ in range(workers)]

    def is_done(self) -> bool:
        """Whether the queue is empty; what went wrong in a worker is raised here."""
        for worker in self._workers:
            if worker.done():
                worker.result()
        return messages_in(self._stack, self._queue) == 0

    def _work(self) -> None:
        while not self._end.is_set():
            messages = self._receive()
            if not messages:
                continue
            event = {"Records": [self._record(message) for message in messages]}
            answer = self._lambda.invoke(FunctionName=self._function, Payload=json.dumps(event))
            result = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                self.errors.append(result["errorType"])
                continue
            self.invocations += 1
            failed = {failure["itemIdentifier"] for failure in result["batchItemFailures"]}
            self._delete([message for message in messages if message["MessageId"] not in failed])

    def _receive(self) -> list[Message]:
        """Receive a batch: as many as the mapping says, or what there was when its window was over."""
        messages: list[Message] = []
        until = time.monotonic() + self._window_seconds
        while (missing := self._batch - len(messages)) > 0:
            answer = self._sqs.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=min(MAX_AT_ONCE, missing),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=self._window_seconds,
            )
            found = answer.get("Messages", [])
            messages += found
            if len(found) < MAX_AT_ONCE and time.monotonic() >= until:
                break
        for message in messages:
            self.receipts[message["Body"]] = int(message["Attributes"]["ApproximateReceiveCount"])
            self.sent[message["Body"]] = int(message["Attributes"]["SentTimestamp"])
        return messages

    def _record(self, message: Message) -> Mapping[str, Any]:
        """A message as Lambda shows it to a function."""
        attributes = {
            name: {f"{kind[0].lower()}{kind[1:]}": value for kind, value in attribute.items()}
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": attributes,
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source,
            "awsRegion": self._source.split(":")[3],
        }

    def _delete(self, messages: list[Message]) -> None:
        for start in range(0, len(messages), MAX_AT_ONCE):
            entries = [
                {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                for n, message in enumerate(messages[start : start + MAX_AT_ONCE])
            ]
            self._sqs.delete_message_batch(QueueUrl=self._queue, Entries=entries)
