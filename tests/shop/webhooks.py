"""Delivers webhooks: a POST to the registered address for every change of a registration's kind.

The body is JSON with escaped slashes, or XML, as the registration's `format` says. `X-Signature` is the md5 hex digest
of the raw body followed by the secret. A background thread delivers each webhook once and in order, to loopback
addresses only; any other address is recorded as refused.
"""

import contextlib
import hashlib
import http.client
import json
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .exchange import dumps
from .handlers import order_with_embedded
from .resources import BY_NAME
from .shapes import Row
from .shapes_settings import SHOP_ID
from .store import Change
from .xml import to_xml

if TYPE_CHECKING:
    from .shop import Shop

CLUSTER = "eu1"
# Group to the name in the header that carries the record's id.
GROUPS = {
    "contacts": "Contact",
    "customers": "Customer",
    "invoices": "Invoice",
    "orders": "Order",
    "products": "Product",
    "quotes": "Quote",
    "returns": "Return",
    "reviews": "Review",
    "shipments": "Shipment",
    "subscriptions": "Subscription",
    "tickets": "Ticket",
    "variants": "Variant",
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TIMEOUT_SECONDS = 30


@dataclass
class Delivery:
    """A webhook, delivered or not yet.

    Attributes:
        event: `orders/created`.
        status: what the receiver answered; None if it was not reached.
        error: why not.
    """

    address: str
    event: str
    language: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    error: str = ""


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a body: md5, as the shop has it, not an HMAC."""
    return hashlib.md5(body + secret.encode()).hexdigest()  # noqa: S324 - the shop's own scheme


class WebhookSender:
    """Turns changes into deliveries.

    Attributes:
        deliveries: all of them, in the order of the changes.
    """

    def __init__(self, shop: "Shop") -> None:
        self.deliveries: list[Delivery] = []
        self._shop = shop
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def notice(self, change: Change) -> None:
        """Queue a delivery for every registration that the change concerns."""
        if change.resource not in GROUPS:
            return
        actions = _actions(change)
        for row in self._shop.store.table("webhooks").rows():
            wanted = row.get("itemAction", "*")
            if row.get("isActive", True) and row.get("itemGroup") == change.resource:
                for action in actions:
                    if wanted in {"*", action}:
                        self._enqueue(row, action, change)

    def settle(self) -> None:
        """Wait until everything queued so far is delivered or has failed."""
        self._queue.join()

    def close(self) -> None:
        """Deliver what is queued, then end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _enqueue(self, registration: Row, action: str, change: Change) -> None:
        shop, address = self._shop, registration["address"]
        language = registration.get("language") or shop.languages[0]
        form = registration.get("format", "json")
        body = self._body(language, form, change)
        event = f"{change.resource}/{action}"
        headers = {
            "Content-Type": f"application/{form}",
            "X-Shop-Id": str(SHOP_ID),
            "X-Cluster-Id": CLUSTER,
            "X-Event": event,
            "X-Format": form,
            "X-Language": language,
            "X-Request-Id": f"{hashlib.sha256(f'{len(self.deliveries)}{event}'.encode()).hexdigest()[:32]}",
            f"X-{GROUPS[change.resource]}-Id": str(change.id),
            "X-Signature": sign(body, shop.api_secret),
            **shop.limits.headers(),
        }
        delivery = Delivery(address, event, language, headers, body)
        self.deliveries.append(delivery)
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver_all, name="shop-webhooks", daemon=True)
            self._thread.start()
        self._queue.put(delivery)

    def _body(self, language: str, form: str, change: Change) -> bytes:
        """Return the answer of GET for the record; for a deleted record nothing, or its id by a habit."""
        key, store = BY_NAME[change.resource].item, self._shop.store
        if change.after is None and self._shop.habits.deleted_webhook == "empty":
            return b""
        if change.after is None:
            record: Any = {"id": change.id}
        elif change.resource == "orders":
            record = order_with_embedded(self._shop, change.id, language)
        else:
            record = json.loads(store.text(change.resource, change.id, language) or "null")
        if form == "xml":
            return to_xml({key: record}).encode()
        return dumps({key: record}).replace("/", "\\/").encode()

    def _deliver_all(self) -> None:
        while (delivery := self._queue.get()) is not None:
            _deliver(delivery)
            self._queue.task_done()
        self._queue.task_done()


def _actions(change: Change) -> list[str]:
    actions = [change.action]
    before, after = change.before or {}, change.after or {}
    if change.action == "updated":
        if change.resource == "orders" and after.get("paymentStatus") == "paid" != before.get("paymentStatus"):
            actions.append("paid")
        if change.resource == "orders" and after.get("shipmentStatus") == "shipped" != before.get("shipmentStatus"):
            actions.append("shipped")
        if change.resource == "tickets" and after.get("isAnswered") and not before.get("isAnswered"):
            actions.append("answered")
    return actions


def _deliver(delivery: Delivery) -> None:
    parts = urlsplit(delivery.address)
    if parts.hostname not in _LOOPBACK or parts.scheme != "http":
        delivery.error = "not a loopback address"
        return
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, delivery.body, delivery.headers)
            response = connection.getresponse()
            response.read()
            delivery.status = response.status
        except (OSError, http.client.HTTPException) as error:
            delivery.error = f"{type(error).__name__}: {error}"
