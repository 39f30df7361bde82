"""A webhook, and its forms in the bucket and in the queue."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from connector.timestamps import iso_text

UNKNOWN = "unknown"
"""The entity of webhooks whose `X-Event` names none. They start no run."""

_EVENT = re.compile(r"[a-z]{1,40}/[a-z*]{1,40}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_XML_ID = re.compile(rb"<\s*id\s*>\s*([A-Za-z0-9_-]{1,64})\s*<\s*/\s*id\s*>")
_NEVER_STORED = ("authorization", "cookie", "proxy-authorization")


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook with a valid signature.

    Attributes:
        headers: The headers, with names in lower case.
        body: The body as the shop sent it.
        received: The time of its arrival, in epoch milliseconds.
    """

    connection: str
    headers: Mapping[str, str]
    body: bytes
    received: int

    @property
    def event(self) -> str:
        """`X-Event`, such as `orders/created`."""
        return self.headers.get("x-event", "").strip()

    @property
    def entity(self) -> str:
        """The item group, which is the entity's name; `unknown` if the header names none."""
        return self.event.partition("/")[0] if _EVENT.fullmatch(self.event) else UNKNOWN

    @property
    def action(self) -> str:
        """`created`, `updated`, `deleted`, …; empty if the header names none."""
        return self.event.partition("/")[2] if _EVENT.fullmatch(self.event) else ""

    @property
    def id_header(self) -> str:
        """The value of the header with the record's id, such as `X-Order-Id`; empty if there is none."""
        return self.headers.get(f"x-{self.entity.removesuffix('s')}-id", "").strip()

    @property
    def record_id(self) -> str:
        """The record's id from the header, else from the JSON or XML body; empty if both lack it.

        The body of a deletion probably lacks it (api-facts section 9), so the header comes first.
        """
        return self.id_header if _ID.fullmatch(self.id_header) else _id_in(self.body)

    @property
    def id(self) -> str:
        """The hash of connection, event, id header and body; 64 hexadecimal digits. Other headers do not change it."""
        digest = hashlib.sha256()
        for part in (self.connection.encode(), self.event.encode(), self.id_header.encode(), self.body):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    @property
    def received_at(self) -> str:
        """The time of its arrival, ISO-8601 UTC with milliseconds."""
        return iso_text(self.received / 1000, "milliseconds")

    @property
    def key(self) -> str:
        """The key of its object. The same event has one object per day, UTC."""
        date = self.received_at[:10]
        return f"events/connection={self.connection}/entity={self.entity}/date={date}/{self.id}.json"

    def stored(self) -> bytes:
        """Return its object: JSON with headers and body. The body is text if it is UTF-8, else base64."""
        try:
            body, is_base64 = self.body.decode(), False
        except UnicodeDecodeError:
            body, is_base64 = base64.b64encode(self.body).decode(), True
        value = {
            "id": self.id,
            "connection": self.connection,
            "entity": self.entity,
            "event": self.event,
            "record_id": self.record_id,
            "received_at": self.received_at,
            "headers": {name: value for name, value in self.headers.items() if name not in _NEVER_STORED},
            "body": body,
            "isBase64Encoded": is_base64,
        }
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    def message(self) -> str:
        """Return its queue message for the trigger, as JSON."""
        return json.dumps(
            {
                "connection": self.connection,
                "entity": self.entity,
                "action": self.action,
                "id": self.record_id,
                "received": self.received,
            }
        )


def _id_in(body: bytes) -> str:
    """Return the id of the record in a body's envelope; empty if there is none."""
    if body.lstrip().startswith(b"<"):
        found = _XML_ID.search(body)
        return found[1].decode() if found else ""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(value, dict) and "id" not in value and len(value) == 1:
        (value,) = value.values()
    identity = value.get("id") if isinstance(value, dict) else None
    text = "" if isinstance(identity, bool) else str(identity)
    return text if identity is not None and _ID.fullmatch(text) else ""
