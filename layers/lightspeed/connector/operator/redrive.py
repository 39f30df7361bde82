"""`redrive`: send failed runs and messages back, one cause at a time.

A message is sent first and deleted then. A kill in between doubles nothing. A run is started under a name made of the
message's id. A publish message keeps its first id, which is its idempotency key.

Examples:
  python -m connector redrive --dry-run                     what is there, by cause
  python -m connector redrive --cause AuthenticationError   send these back
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
"""Attributes of a failed message that say why it failed; they are not sent back."""

_UNFILLED = "<aws.scheduler."
"""The start of a place that EventBridge Scheduler did not fill."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    text = "send failed runs and messages back, one cause at a time"
    parser = add_command(commands, common, "redrive", text, __doc__, _run)
    parser.add_argument("--cause", default="", help="only messages of this cause; needed if there are several")
    parser.add_argument("--queue", choices=get_args(Queue), help="only this failure queue")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be sent back")


def _run(arguments: argparse.Namespace, stack: Stack) -> int:
    sqs = stack.client("sqs")
    urls = stack.failure_queues(arguments.queue)
    found = [one for queue, url in urls.items() for one in receive(sqs, queue, url)]
    left = list(found)
    try:
        groups = {key: group for key, group in by_cause(found).items() if arguments.cause in ("", key[1])}
        chosen = [one for one in found if arguments.cause in ("", one.cause)]
        if not found:
            print("no failed run or message")
            return 0
        names = sorted({one.cause for one in found})
        if not chosen:
            raise CommandError(f"no message has the cause {arguments.cause!r:.100}; there are: {', '.join(names)}")
        if arguments.dry_run:
            for (queue, cause), group in groups.items():
                print(_line(describe(queue, cause, group)))
            return 0
        if not arguments.cause and len(names) > 1:
            raise CommandError(f"one cause at a time; name it with --cause: {', '.join(names)}")
        refused = 0
        for one in chosen:
            problem = _send(one, stack)
            if problem:
                refused += 1
                print(f"{one.queue} {one.message['MessageId']}: left where it is: {problem}")
                continue
            sqs.delete_message(QueueUrl=urls[one.queue], ReceiptHandle=one.message["ReceiptHandle"])
            left.remove(one)
        print(f"{len(chosen) - refused} sent back, {len(left)} left")
        return 1 if refused else 0
    finally:
        for queue, url in urls.items():
            release(sqs, url, [one for one in left if one.queue == queue])


def _send(one: Failure, stack: Stack) -> str:
    """Send a message back, and return why that is impossible; empty if it was done."""
    machine = ""
    if one.queue == "runs":
        if not one.event.get("entity"):
            return "its body is no subscribe event"
        machine, event = "SyncStateMachineArn", _run_event(one)
    elif one.queue == "publish" and "detail" in one.event and "entity" not in one.event:
        machine, event = "PublishFileStateMachineArn", one.event
    if machine:  # under the message's name, so that a redrive that was killed before starts no second execution
        name = f"redrive-{hashlib.sha256(one.message['MessageId'].encode()).hexdigest()[:16]}"
        start_execution(stack.client("stepfunctions"), stack.output(machine), name, event)
        return ""
    attributes = {name: text for name, text in one.attributes.items() if name not in _WHY and text}
    if one.queue == "publish":
        attributes.setdefault("FirstMessageId", one.message["MessageId"])
        attributes.setdefault("FirstSentTimestamp", str(one.message["Attributes"]["SentTimestamp"]))
    stack.client("sqs").send_message(
        QueueUrl=stack.output("PublishQueueUrl" if one.queue == "publish" else "WebhookQueueUrl"),
        MessageBody=one.message["Body"],
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )
    return ""


def _run_event(one: Failure) -> dict[str, Any]:
    """Return the event with which Sync goes on.

    EventBridge Scheduler gives the planned time as an attribute of the message, and may leave its place in the event
    unfilled. Without the attribute, the message's own time is taken.
    """
    event = dict(one.event)
    if _UNFILLED in str(event.get("scheduled_time", "")):
        event["scheduled_time"] = one.attributes.get("SCHEDULED_TIME") or iso_text(one.sent)
    return event


def _line(found: Mapping[str, Any]) -> str:
    of = f" of {', '.join(found['of'])}" if found["of"] else ""
    detail = f": {found['detail']:.200}" if found["detail"] else ""
    return printable(
        f"{found['queue']}: {found['messages']} x {found['cause']}{of}, oldest {found['oldest_at']}{detail}"
    )
