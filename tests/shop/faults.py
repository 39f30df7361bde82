"""The fault plan: faults of requests and answers, in planned order."""

import threading
from dataclasses import dataclass, field
from typing import Literal

from .exchange import Answer, Request, error_answer

Kind = Literal["answer", "drop", "lost", "cut", "slow", "delay", "error_in_success", "headers"]
TOO_MANY_REQUESTS = "Too many requests in this time period. Try again later."
_MESSAGES = {
    404: "Not found",
    429: TOO_MANY_REQUESTS,
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}


@dataclass(frozen=True)
class Fault:
    """A fault. Make it with the class methods below, not with the constructor.

    `answer` and `drop` replace the handling of the request. Every other kind changes the answer of a handled request,
    so a POST has taken effect.
    """

    kind: Kind
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str | None], ...] = ()
    seconds: float = 0.0
    fraction: float = 0.5

    @classmethod
    def answers(cls, status: int, message: str | None = None, headers: dict[str, str | None] | None = None) -> "Fault":
        """Answer any status with the JSON error envelope; `Fault.answers(404)` once is the temporary 404."""
        body = None if message is None else message.encode()
        return cls("answer", status, body, tuple((headers or {}).items()))

    @classmethod
    def html(cls, status: int = 502) -> "Fault":
        """Answer an HTML page as a proxy does; 200 is allowed."""
        title = _MESSAGES.get(status, "Maintenance")
        page = (
            f"<!DOCTYPE html>\n<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
        )
        return cls("answer", status, page.encode(), (("Content-Type", "text/html; charset=utf-8"),))

    @classmethod
    def sends(cls, body: bytes, status: int = 200) -> "Fault":
        """Answer any bytes as JSON."""
        return cls("answer", status, body, (("Content-Type", "application/json"),))

    @classmethod
    def redirects(cls, location: str, status: int = 302) -> "Fault":
        """Answer a redirect, for instance to another origin."""
        return cls("answer", status, b"", (("Location", location), ("Content-Type", "text/html")))

    @classmethod
    def drops(cls) -> "Fault":
        """Close the connection before the request is handled."""
        return cls("drop")

    @classmethod
    def loses_answer(cls) -> "Fault":
        """Handle the request, then close the connection without answering."""
        return cls("lost")

    @classmethod
    def cuts_body(cls, fraction: float = 0.5) -> "Fault":
        """Send only a part of the body, less than `Content-Length` says, then close."""
        return cls("cut", fraction=fraction)

    @classmethod
    def slows_body(cls, seconds: float) -> "Fault":
        """Send the headers at once and the body in pieces spread over so many seconds."""
        return cls("slow", seconds=seconds)

    @classmethod
    def delays(cls, seconds: float) -> "Fault":
        """Wait before the first byte of the answer."""
        return cls("delay", seconds=seconds)

    @classmethod
    def error_in_success(cls, message: str = "Something went wrong") -> "Fault":
        """Answer the usual 2xx status, but with the error envelope as body (code 500 in it)."""
        return cls("error_in_success", body=message.encode())

    @classmethod
    def changes_headers(cls, headers: dict[str, str | None]) -> "Fault":
        """Replace headers of an otherwise good answer; None removes one, as `{"X-RateLimit-Remaining": None}`."""
        return cls("headers", headers=tuple(headers.items()))

    @property
    def before_handling(self) -> bool:
        """Return whether the fault prevents the handling of the request."""
        return self.kind in {"answer", "drop"}

    def instead(self, request: Request) -> Answer:
        """Build the answer of a fault that happens before handling."""
        if self.kind == "drop":
            return Answer(0, drop=True)
        is_page = any(name == "Content-Type" for name, _ in self.headers)
        if is_page:
            answer = Answer(self.status, self.body or b"")
        else:
            message = self.body.decode() if self.body is not None else _MESSAGES.get(self.status, "Error")
            answer = error_answer(request, self.status, message)
        return answer

    def after(self, request: Request, answer: Answer) -> Answer:
        """Damage the answer of a request that was handled."""
        if self.kind == "lost":
            answer.drop = True
        elif self.kind == "cut":
            answer.cut_after = min(int(len(answer.body) * self.fraction), max(0, len(answer.body) - 1))
        elif self.kind == "slow":
            answer.trickle_seconds = self.seconds
        elif self.kind == "delay":
            answer.delay_seconds = self.seconds
        elif self.kind == "error_in_success":
            status = answer.status if 200 <= answer.status < 300 and answer.status != 204 else 200
            body = error_answer(request, 500, (self.body or b"").decode()).body
            answer = Answer(status, body, answer.headers)
        return answer

    def change_headers(self, answer: Answer) -> Answer:
        """Apply the fault's headers last, over those that the shop puts on every answer."""
        for name, value in self.headers:
            if value is None:
                answer.headers.pop(name, None)
            else:
                answer.headers[name] = value
        return answer


@dataclass
class _Planned:
    fault: Fault
    times: int
    method: str | None
    path_contains: str | None
    after: int

    def concerns(self, request: Request) -> bool:
        """Return whether the fault may happen to this request."""
        return self.method in {None, request.method} and (self.path_contains or "") in request.path


@dataclass
class FaultPlan:
    """The faults still to come, and those that happened.

    Attributes:
        fired: (fault, request) in order of happening.
    """

    fired: list[tuple[Fault, Request]] = field(default_factory=list)
    _planned: list[_Planned] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(
        self,
        fault: Fault,
        times: int = 1,
        *,
        method: str | None = None,
        path_contains: str | None = None,
        after: int = 0,
    ) -> None:
        """Plan a fault for the next requests that match.

        A request meets at most one fault: the first planned one that concerns it and is due.

        Args:
            fault: what happens.
            times: to how many requests.
            method: only requests with this verb, in capitals.
            path_contains: only requests whose path contains this text.
            after: so many matching requests, counted from now, pass unharmed by this fault first.
        """
        with self._lock:
            self._planned.append(_Planned(fault, times, method, path_contains, after))

    @property
    def pending(self) -> list[Fault]:
        """The faults that have not fired yet, one entry for each time."""
        with self._lock:
            return [planned.fault for planned in self._planned for _ in range(planned.times)]

    def clear(self) -> None:
        """Forget the faults that have not fired."""
        with self._lock:
            self._planned.clear()

    def take(self, request: Request) -> Fault | None:
        """Return the fault that the request meets, if any, and record it as fired."""
        if not self._planned:
            return None
        with self._lock:
            due = None
            for planned in self._planned:
                if not planned.concerns(request):
                    continue
                if planned.after > 0:
                    planned.after -= 1
                elif due is None:
                    due = planned
            if due is None:
                return None
            due.times -= 1
            if due.times <= 0:
                self._planned.remove(due)
            self.fired.append((due.fault, request))
            return due.fault
