"""The shop: answers requests, with or without sockets."""

import base64
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

from . import rules
from .clock import Clock, http_date
from .exchange import Answer, ConnectionDropped, RefusedError, Request, error_answer, parse_request
from .faults import TOO_MANY_REQUESTS, Fault, FaultPlan
from .habits import Habits
from .handlers import Call
from .limits import Limits
from .routes import Route, find_route
from .server import ShopServer
from .singletons import opening_rows
from .store import Change, Store, sizes_of
from .webhooks import Delivery, WebhookSender

API_KEY = "fake0key0of0the0simulated0shop00"
API_SECRET = "fake0secret0of0the0simulatedshop"
PERMISSION_GROUPS = ("content", "products", "customers", "orders", "settings", "tracking")
_ADDRESS = re.compile(r"/([^/]+)/(.+)\.json")


class Shop:
    """A simulated shop: use it as a context manager for a real server on loopback, or call `answer` without one.

    Args:
        seed: decides all data.
        orders: how many orders there are when it opens; their lines, invoices, shipments, events and quotes come with
            them.
        products: how many products; variants, pictures and joins come with them.
        customers: how many customers; by default two for three orders, but no more than 4,000.
        quota: requests in five minutes, an hour and a day; None for no windows.
        rate_per_second: requests in one second of the clock; None for any number.
        languages: active languages, the default one first.
        clock: the shop's time; by default real time.
        latency_seconds: seconds that every answer over a socket waits.
        wait: replaces the waits of answers; by default they take real time, until the shop closes.
        permissions: what differs from everything allowed: `{"products": {"write": False}}`.
        habits: switches for what is not proved about the real shop.
        webhooks: deliver webhooks (to loopback addresses only).
        cache_megabytes: how much rendered text is remembered; an order takes 4 kB in each language.
        port: where to listen; 0 for any free port.

    Attributes:
        api_key: may be changed, and `api_secret` too: the old ones are then denied.
        old_authorizations: of keys that are still valid beside it.
        requests: every request in the order of arrival.
        faults: the fault plan.
        store: the data.
        limits: the quota and what is left of it.
        singletons: rows of account and shop.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        orders: int = 300,
        products: int = 200,
        customers: int | None = None,
        quota: tuple[int, int, int] | None = (300, 3000, 12000),
        rate_per_second: int | None = 20,
        languages: tuple[str, ...] = ("nl", "en", "de"),
        clock: Clock | None = None,
        latency_seconds: float = 0.0,
        wait: Callable[[float], None] | None = None,
        permissions: Mapping[str, Mapping[str, bool]] | None = None,
        habits: Habits | None = None,
        webhooks: bool = False,
        cache_megabytes: int = 64,
        port: int = 0,
    ) -> None:
        self.api_key = API_KEY
        self.api_secret = API_SECRET
        self.old_authorizations: set[str] = set()
        self.languages = tuple(languages)
        self.clock = clock or Clock()
        self.latency_seconds = latency_seconds
        self.wait = wait
        self.habits = habits or Habits()
        self.permissions = _permissions(permissions or {})
        self.faults = FaultPlan()
        self.limits = Limits(quota, rate_per_second, self.clock, self.habits)
        sizes = sizes_of(seed, orders, products, customers, self.languages, self.clock.now())
        self.store = Store(sizes, self.clock, lambda: self.origin, cache_megabytes * 1024 * 1024)
        self.store.listeners.append(self._follow)
        self.singletons = opening_rows(API_KEY, sizes.newest - 500 * 86_400)
        self.requests: list[Request] = []
        self._watchers: list[Callable[[Request], None]] = []
        self._sender = WebhookSender(self) if webhooks else None
        self._held_back: list[Change] | None = None
        self._port = port
        self._server: ShopServer | None = None

    def __enter__(self) -> "Shop":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen; raises OSError if the port is taken."""
        self._server = ShopServer(self._port, self)
        self.store.forget_texts()
        self._server.start()

    def close(self) -> None:
        """Close every connection, deliver what is queued, and end all threads."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._sender is not None:
            self._sender.close()

    @property
    def url(self) -> str:
        """The origin; the language segment follows."""
        if self._server is None:
            raise RuntimeError("the shop is not started; use it as a context manager or call start()")
        return self.origin

    @property
    def origin(self) -> str:
        """The origin that links are made with."""
        return "http://127.0.0.1" if self._server is None else f"http://127.0.0.1:{self._server.port}"

    def add_key(self, api_key: str, api_secret: str) -> None:
        """Make a second key; the first one stays valid until `old_authorizations` is cleared."""
        self.old_authorizations.add(self.authorization)
        self.api_key, self.api_secret = api_key, api_secret

    @property
    def authorization(self) -> str:
        """The right value of the `Authorization` header."""
        return "Basic " + base64.b64encode(f"{self.api_key}:{self.api_secret}".encode()).decode()

    @property
    def deliveries(self) -> list[Delivery]:
        """Webhooks so far, in the order of the changes; empty without `webhooks=True`."""
        return self._sender.deliveries if self._sender else []

    def settle_webhooks(self) -> None:
        """Wait until every queued webhook is delivered or has failed."""
        if self._sender:
            self._sender.settle()

    def on_request(self, callback: Callable[[Request], None]) -> None:
        """Call back with every request before it is answered, for instance to change the shop between pages."""
        self._watchers.append(callback)

    def ignore_filter(self, *names: str) -> None:
        """Ignore query parameters from now on, as a real shop may."""
        self.habits.ignored_filters.update(names)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request without sockets.

        Args:
            method: the verb, in capitals.
            target: path and query, `/nl/orders.json?page=2`.
            headers: without them the request carries the right credentials.
            body: as sent.

        Returns:
            Status, headers and body. Delays and slowness do not apply.

        Raises:
            ConnectionDropped: where a client on a socket would not get a complete answer.
        """
        if headers is None:
            headers = {"authorization": self.authorization}
        lowered = {name.lower(): value for name, value in headers.items()}
        answer = self.handle(parse_request(method, target, lowered, body, self.clock.now()))
        if answer.drop or answer.cut_after is not None:
            raise ConnectionDropped(f"{method} {target}: the connection closed before a complete answer")
        return answer.status, answer.headers, answer.body

    def handle(self, request: Request) -> Answer:
        """Record a request and answer it, with the fault that it meets."""
        self.requests.append(request)
        for watcher in self._watchers:
            watcher(request)
        fault = self.faults.take(request)
        answer = self._answer(request, fault)
        if answer.status:
            answer.headers.setdefault("Date", http_date(self.clock.now()))
        if fault is not None:
            fault.change_headers(answer)
        if self.habits.close_connections:
            answer.headers["Connection"] = "close"
        if self.habits.lower_case_headers:
            answer.headers = {name.lower(): value for name, value in answer.headers.items()}
        request.status = answer.status or None
        return answer

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind == "drop":
            return fault.instead(request)
        if request.headers.get("authorization") not in {self.authorization, *self.old_authorizations}:
            answer = error_answer(request, 401, "Access denied.")
            return _with_headers(answer, self.limits.headers())
        admitted, headers = self.limits.admit()
        if fault is not None and fault.before_handling:
            return _with_headers(fault.instead(request), headers)
        answer = self._handled(request) if admitted else error_answer(request, 429, TOO_MANY_REQUESTS)
        if fault is not None:
            answer = fault.after(request, answer)
        return _with_headers(answer, headers)

    def _handled(self, request: Request) -> Answer:
        try:
            with self.store.lock, self._changes_sent_together():
                return self._routed(request)
        except RefusedError as refused:
            answer = error_answer(request, refused.status, refused.message)
            answer.headers |= refused.headers
            return answer

    def _routed(self, request: Request) -> Answer:
        match = _ADDRESS.fullmatch(request.path)
        language = match[1] if match else request.path.strip("/").partition("/")[0]
        if language not in self.languages:
            raise RefusedError(404, "Unknown or inactive language.")
        verbs, ids = find_route(match[2]) if match else (None, ())
        if verbs is None:
            raise RefusedError(404, "Not found")
        patched = request.method == "PATCH" and self.habits.patch_updates
        route = verbs.get("PUT" if patched else request.method)
        if route is None:
            raise RefusedError(405, "Method not allowed", {"Allow": ", ".join(sorted(verbs))})
        self._permit(route)
        return route.handler(Call(self, request, language, ids))

    def _permit(self, route: Route) -> None:
        if route.group and not self.permissions[route.group][route.writes]:
            raise RefusedError(403, "Permission denied.")

    def _follow(self, change: Change) -> None:
        if self._held_back is not None:
            self._held_back.append(change)
        elif self._sender is not None:
            self._sender.notice(change)
        rules.apply(self.store, change)

    @contextlib.contextmanager
    def _changes_sent_together(self) -> Iterator[None]:
        """Let webhooks of a request see what is there at its end: a new order with its lines and invoice."""
        self._held_back = [] if self._sender is not None else None
        try:
            yield
        finally:
            changes, self._held_back = self._held_back or [], None
            for change in changes:
                assert self._sender is not None
                self._sender.notice(change)


def _with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    for name, value in headers.items():
        answer.headers.setdefault(name, value)
    return answer


def _permissions(changed: Mapping[str, Mapping[str, bool]]) -> dict[str, tuple[bool, bool]]:
    unknown = set(changed) - set(PERMISSION_GROUPS)
    if unknown:
        raise ValueError(f"unknown permission groups: {', '.join(sorted(unknown))}")
    return {
        group: (changed.get(group, {}).get("read", True), changed.get(group, {}).get("write", True))
        for group in PERMISSION_GROUPS
    }
