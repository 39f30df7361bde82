"""`redrive`: send failed runs and messages back, one cause at a time.

It sends a message first, and then deletes it. A kill in between doubles nothing: an execution has a name made of the
message's id, and a publish message keeps its first id, which is its idempotency key.

Examples:
  python -m connector redrive --dry-run                     shows the messages by cause
  python -m connector redrive --cause AuthenticationError   sends those of a cause back
  python -m connector redrive --cause ServerError --queue runs
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from typing import Any, get_args

from connector.aws.executions import start_execution
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, Stack
from connector.status.failure_queues import Failure, Queue, by_cause, describe, receive, release
from connector.timestamps import iso_text
from lightspeed.cli.output import printable

_WHY = ("Error", "Detail", "Execution")
"""Attributes that say why a message failed. They are not sent back."""

_PLACEHOLDER = "<aws.scheduler."
"""The start of a placeholder that EventBridge Scheduler did not replace."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "send failed runs and messages back, one cause at a time"
    parser = add_command(commands, common, "redrive", text, __doc__, _run)
    parser.add_argument("--cause", default="", help="only messages of this cause; required if there are several causes")
    parser.add_argument("--queue", choices=get_args(Queue), help="only this failure queue")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be sent back")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    sqs = stack.client("sqs")
    urls = stack.failure_queues(arguments.queue)
    failures = [failure for queue, url in urls.items() for failure in receive(sqs, queue, url)]
    left = list(failures)
    try:
        groups = {key: group for key, group in by_cause(failures).items() if arguments.cause in ("", key[1])}
        chosen = [failure for failure in failures if arguments.cause in ("", failure.cause)]
        if not failures:
            print("no failed run or message")
            return 0
        names = sorted({failure.cause for failure in failures})
        if not chosen:
            raise CommandError(f"no message has the cause {arguments.cause!r:.100}; there are: {', '.join(names)}")
        if arguments.dry_run:
            for (queue, cause), group in groups.items():
                print(_line(describe(queue, cause, group)))
            return 0
        if not arguments.cause and len(names) > 1:
            raise CommandError(f"one cause at a time; name it with --cause: {', '.join(names)}")
        refused = 0
        for failure in chosen:
            problem = _send(failure, stack)
            if problem:
                refused += 1
                print(f"{failure.queue} {failure.message['MessageId']}: stays in the failure queue: {problem}")
                continue
            sqs.delete_message(QueueUrl=urls[failure.queue], ReceiptHandle=failure.message["ReceiptHandle"])
            left.remove(failure)
        print(f"{len(chosen) - refused} sent back, {len(left)} left")
        return 1 if refused else 0
    finally:
        for queue, url in urls.items():
            release(sqs, url, [failure for failure in left if failure.queue == queue])


def _send(failure: Failure, stack: Stack) -> str:
    """Send a message back. Return why it cannot be sent; empty if it was sent."""
    machine = ""
    if failure.queue == "runs":
        if not failure.event.get("entity"):
            return "its body is no subscribe event"
        machine, event = "SyncStateMachineArn", _run_event(failure)
    elif failure.queue == "publish" and "detail" in failure.event and "entity" not in failure.event:
        machine, event = "PublishFileStateMachineArn", failure.event
    if machine:  # Step Functions starts no second execution with the same name
        name = f"redrive-{hashlib.sha256(failure.message['MessageId'].encode()).hexdigest()[:16]}"
        start_execution(stack.client("stepfunctions"), stack.output(machine), name, event)
        return ""
    attributes = {name: text for name, text in failure.attributes.items() if name not in _WHY and text}
    if failure.queue == "publish":
        attributes.setdefault("FirstMessageId", failure.message["MessageId"])
        attributes.setdefault("FirstSentTimestamp", str(failure.message["Attributes"]["SentTimestamp"]))
    stack.client("sqs").send_message(
        QueueUrl=stack.output("PublishQueueUrl" if failure.queue == "publish" else "WebhookQueueUrl"),
        MessageBody=failure.message["Body"],
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )
    return ""


def _run_event(failure: Failure) -> dict[str, Any]:
    """Return the event that continues a run in Sync.

    EventBridge Scheduler may leave the placeholder of the planned time in the event. It gives the time as an attribute
    of the message as well. Without the attribute, the time is that of the message.
    """
    event = dict(failure.event)
    if _PLACEHOLDER in str(event.get("scheduled_time", "")):
        event["scheduled_time"] = failure.attributes.get("SCHEDULED_TIME") or iso_text(failure.sent)
    return event


def _line(summary: Mapping[str, Any]) -> str:
    of = f" of {', '.join(summary['of'])}" if summary["of"] else ""
    detail = f": {summary['detail']:.200}" if summary["detail"] else ""
    return printable(
        f"{summary['queue']}: {summary['messages']} x {summary['cause']}{of}, oldest {summary['oldest_at']}{detail}"
    )
