"""Answers one call of `POST /webhooks/{connection}`: verify, queue, store, 204. It never calls the shop."""

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

MOST_BYTES = 256 * 1024
"""The largest body that is taken."""

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
    """What keeps a webhook."""

    def queue(self, message: str) -> None:
        """Send a message to the trigger.

        Raises:
            AwsUnavailable: It was not taken; or an error of botocore.
        """

    def store(self, key: str, body: bytes) -> bool:
        """Write an object where there is none; return whether it is new.

        Raises:
            AwsUnavailable: It was not taken; or an error of botocore.
        """


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP call.

    Attributes:
        method: The verb in capitals.
        connection: From the path.
        headers: With names in lower case.
        body: Text, as API Gateway passes it.
        is_base64: Whether `body` is base64 of the bytes that were sent.
        received: Epoch milliseconds.
        request_id: API Gateway's.
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
    """What the call is answered, and what is counted.

    Attributes:
        fields: Of the log line: counts by name, and what the call was about.
    """

    status: int
    detail: str
    headers: Mapping[str, str]
    fields: Mapping[str, object]

    def to_lambda(self, request_id: str) -> dict[str, Any]:
        """Return the answer as Lambda returns it to API Gateway; 204 has neither body nor content type."""
        headers = {"X-Request-Id": request_id, **self.headers}
        if self.status == 204:
            return {"statusCode": 204, "headers": headers}
        headers["Content-Type"] = "application/problem+json"
        problem = problem_members(self.status, KINDS[self.status], self.detail)
        return {"statusCode": self.status, "headers": headers, "body": json.dumps(problem)}


class Receiver:
    """Verifies and keeps webhooks."""

    def __init__(self, signers: Signers, storage: Storage) -> None:
        """Take who may sign, and what keeps a webhook: a forged call does not reach it."""
        self._signers = signers
        self._storage = storage

    def answer(self, call: Call) -> Answer:
        """Answer a call.

        The message is queued before the object is written, so every stored webhook is followed by a run. A call that
        ends in between is answered 503 or not at all, and costs at most a run that finds nothing.
        """
        if call.method != "POST":
            return Answer(405, "webhooks are sent with POST", {"Allow": "POST"}, {})
        try:
            body = _decoded(call)
        except ValueError:
            return Answer(400, "the body is not the base64 text that it is said to be", {}, {})
        if len(body) > MOST_BYTES:
            return Answer(413, f"a webhook has at most {MOST_BYTES} bytes", {}, {})
        try:
            genuine, signer = self._signers.verify(call.connection, call.headers, body, call.received / 1000)
            if not genuine:
                known = bool(signer.shop_id) and call.headers.get("x-shop-id") == signer.shop_id
                counts = {"WebhooksRefused": 1, **({REFUSED_OF_KNOWN_SHOP: 1} if known else {})}
                return Answer(401, "the signature, the shop or the cluster is not that of the connection", {}, counts)
            webhook = Webhook(call.connection, call.headers, body, call.received)
            self._storage.queue(webhook.message())
            new = self._storage.store(webhook.key, webhook.stored())
        except (AwsUnavailable, botocore_errors.ClientError, botocore_errors.BotoCoreError) as error:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Answer(503, "the webhook could not be stored; send it again", headers, {"reason": str(error)})
        counts = {"WebhooksReceived": 1, **({} if new else {"WebhooksRepeated": 1})}
        about = {"event": webhook.event, "record_id": webhook.record_id, "key": webhook.key}
        return Answer(204, "", {}, {**about, **counts})


def _decoded(call: Call) -> bytes:
    """Return the bytes that were sent; API Gateway alone says how it passes them, whatever the content type."""
    return base64.b64decode(call.body, validate=True) if call.is_base64 else call.body.encode()
