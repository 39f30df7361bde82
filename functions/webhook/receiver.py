"""Answer one call of `POST /webhooks/{connection}`: verify, queue, store, 204. Nothing here calls the shop."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.aws import botocore_errors
from connector.errors import AwsUnavailable, problem_members
from connector.webhooks.event import Webhook
from webhook.signature import Signers

MAX_BYTES = 256 * 1024
"""The largest body of a webhook."""

RETRY_AFTER_SECONDS = 30

REFUSED_OF_KNOWN_SHOP = "WebhooksRefusedOfKnownShop"
"""The count of calls that a known shop signed with another secret."""

KINDS: Mapping[int, str] = {
    400: "malformed-request",
    401: "not-signed",
    405: "method-not-allowed",
    413: "too-large",
    503: "aws-unavailable",
}
"""The last word of a problem's type, by status, as in the other functions."""


class Storage(Protocol):
    """Stores webhooks and queues them for the trigger. Errors are `AwsUnavailable`, or those of botocore."""

    def queue(self, message: str) -> None:
        """Send a message to the trigger."""

    def store(self, key: str, body: bytes) -> bool:
        """Write an object if the key is free; return whether it was."""


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP call.

    Attributes:
        method: The verb in capitals.
        connection: The connection in the path.
        headers: Headers with names in lower case.
        body: The text that API Gateway passes.
        is_base64: Whether `body` is the base64 of the sent bytes.
        received: Epoch milliseconds.
        request_id: The request id of API Gateway.
    """

    method: str
    connection: str
    headers: Mapping[str, str]
    body: str
    is_base64: bool
    received: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call.

    Attributes:
        fields: Fields of the log line: counts by name, and facts of the webhook.
    """

    status: int
    detail: str
    headers: Mapping[str, str]
    fields: Mapping[str, object]

    def to_lambda(self, request_id: str) -> dict[str, Any]:
        """Return the response for API Gateway; a 204 has neither body nor content type."""
        headers = {"X-Request-Id": request_id, **self.headers}
        if self.status == 204:
            return {"statusCode": 204, "headers": headers}
        headers["Content-Type"] = "application/problem+json"
        problem = problem_members(self.status, KINDS[self.status], self.detail)
        return {"statusCode": self.status, "headers": headers, "body": json.dumps(problem)}


class Receiver:
    """Verifies and stores webhooks.

    Args:
        signers: The signers of every connection.
        storage: Stores genuine webhooks only.
    """

    def __init__(self, signers: Signers, storage: Storage) -> None:
        self._signers = signers
        self._storage = storage

    def answer(self, call: Call) -> Answer:
        """Answer a call.

        The receiver queues the message before it writes the object, so a run follows every stored webhook. If a call
        ends in between, its sender gets 503 or no answer, and at most one run finds nothing.
        """
        if call.method != "POST":
            return Answer(405, "webhooks are sent with POST", {"Allow": "POST"}, {})
        try:
            body = _body_of(call)
        except ValueError:
            return Answer(400, "the body is not the base64 text that it is said to be", {}, {})
        if len(body) > MAX_BYTES:
            return Answer(413, f"a webhook has at most {MAX_BYTES} bytes", {}, {})
        try:
            genuine, signer = self._signers.verify(call.connection, call.headers, body, call.received / 1000)
            if not genuine:
                known = bool(signer.shop_id) and call.headers.get("x-shop-id") == signer.shop_id
                counts = {"WebhooksRefused": 1, **({REFUSED_OF_KNOWN_SHOP: 1} if known else {})}
                return Answer(401, "the signature, the shop or the cluster is not that of the connection", {}, counts)
            webhook = Webhook(call.connection, call.headers, body, call.received)
            self._storage.queue(webhook.message())
            is_new = self._storage.store(webhook.key, webhook.stored())
        except (AwsUnavailable, botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Answer(503, "the webhook could not be stored; send it again", headers, {"reason": str(error)})
        counts = {"WebhooksReceived": 1, **({} if is_new else {"WebhooksRepeated": 1})}
        facts = {"event": webhook.event, "record_id": webhook.record_id, "key": webhook.key}
        return Answer(204, "", {}, {**facts, **counts})


def _body_of(call: Call) -> bytes:
    """Return the sent bytes. Only the flag of API Gateway shows whether it passes base64, not the content type."""
    return base64.b64decode(call.body, validate=True) if call.is_base64 else call.body.encode()
