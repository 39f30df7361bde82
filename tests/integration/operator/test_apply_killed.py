"""`apply` is killed, or loses an answer, at every call that it makes; the next `apply` makes the rest.

A killed process makes no further call, so the lock stays. Each call fails in two ways: before it took effect, and
after.
"""

import itertools
import os
import signal
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from urllib3.exceptions import ProtocolError

from connector.operator.locks import APPLY_LASTS
from lightspeed.http_session import Answer, Session
from tests.integration.operator.conftest import Operated
from tests.support.aws import moto_client

BEFORE = """
[default.orders]
every = "15 minutes"
webhooks = true

[default.brands]
every = "1 day"
at = "04:00"
mode = "full"

[outlet.products]
every = "6 hours"
webhooks = true

[outlet.orders]
every = "1 hour"

[outlet.customers]
every = "1 hour"
"""
AFTER = """
[default.orders]
every = "20 minutes"
webhooks = true

[default.products]
every = "1 hour"
webhooks = true

[outlet.products]
every = "6 hours"

[outlet.orders]
every = "1 hour"
reconcile = "7 days"

[outlet.customers]
every = "1 hour"
webhooks = true
"""
WRITES = ("Put", "Create", "Update", "Delete", "POST", "PUT", "DELETE")


class Killed(BaseException):
    """The process is gone."""


class Faults:
    """Counts the calls of AWS and of the shop, and lets one fail."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fails_at: int | None = None
        self.fails_after = False
        self.kills = True
        self._is_dead = False

    def plan(self, number: int | None, *, after: bool = False, kills: bool = True) -> None:
        """Let the call of this number fail, from 0; `None` lets every call succeed."""
        self.names, self.fails_at, self.fails_after, self.kills, self._is_dead = [], number, after, kills, False

    def before(self, name: str, error: Exception) -> bool:
        """Note a call, and return whether it fails after it took effect."""
        if self._is_dead:
            raise Killed
        self.names.append(name)
        is_it = len(self.names) - 1 == self.fails_at
        if is_it and not self.fails_after:
            self.fail(error)
        return is_it

    def fail(self, error: Exception) -> None:
        """End the process, or lose the connection."""
        if self.kills:
            self._is_dead = True
            raise Killed
        raise error


@pytest.fixture
def faults(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Faults:
    found = Faults()
    closed = ConnectionClosedError(endpoint_url="https://aws.example")
    open_client = operated.aws.client

    def client(service: str) -> Any:
        made = open_client(service)
        if service != "cloudformation" and not hasattr(made, "faults"):
            made.faults = found
            call = made._make_api_call

            def make_api_call(name: str, arguments: dict[str, Any]) -> Any:
                fails_after = found.before(name, closed)
                try:
                    return call(name, arguments)
                finally:
                    if fails_after:
                        found.fail(closed)

            made._make_api_call = make_api_call
        return made

    monkeypatch.setattr(operated.aws, "client", client)
    request = Session.request

    def send_to_shop(session: Session, method: str, url: str, **more: Any) -> Answer:
        lost = ProtocolError("the answer is lost")
        name = f"{method} {url.rpartition('/nl/')[2].partition('.')[0]}"
        fails_after = found.before(name, lost)
        answer = request(session, method, url, **more)
        if fails_after:
            answer.raw.close()
            found.fail(lost)
        return answer

    monkeypatch.setattr(Session, "request", send_to_shop)
    return found


def seen(operated: Operated) -> dict[str, Any]:
    """What the stack and others have, without ids and times."""
    dates = ("Arn", "CreationDate", "LastModificationDate")
    hooks = operated.shop.store.rows("webhooks")
    return {
        "schedules": {
            name: {key: value for key, value in row.items() if key not in dates}
            for name, row in operated.schedules().items()
        },
        "webhooks": sorted((row["address"], row["itemGroup"], row["isActive"]) for row in hooks),
        "list": operated.listed(),
        "others": [row["Name"] for row in moto_client("scheduler").list_schedules(GroupName="others")["Schedules"]],
    }


class Pair:
    """Two files that are applied in turn, and what each leads to without a fault."""

    def __init__(self, operated: Operated, faults: Faults) -> None:
        self.operated = operated
        self.faults = faults
        self.wanted: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, list[str]] = {}
        for text in (BEFORE, AFTER, BEFORE):
            faults.plan(None)
            assert self.apply(text) == 0
            self.wanted[text], self.calls[text] = seen(operated), faults.names

    def apply(self, text: str) -> int:
        return self.operated("apply", self.operated.file(text), "--prune")

    def fail_everywhere(self, *, after: bool, kills: bool, only: tuple[str, ...]) -> None:
        """Apply the files in turn, each with a fault at its next call of these kinds, and then again without."""
        points = {
            text: [number for number, name in enumerate(names) if only in ((), ("",)) or name.startswith(only)]
            for text, names in self.calls.items()
        }
        assert all(points.values())
        for pair in itertools.zip_longest(points[AFTER], points[BEFORE]):
            for text, number in zip((AFTER, BEFORE), pair, strict=True):
                if number is not None:
                    self._fail(text, number, after=after, kills=kills)
                self.faults.plan(None)
                broken = "" if number is None else f"{'after' if after else 'before'} {self.calls[text][number]}"
                assert self.apply(text) == 0, broken
                assert seen(self.operated) == self.wanted[text], broken

    def _fail(self, text: str, number: int, *, after: bool, kills: bool) -> None:
        self.faults.plan(number, after=after, kills=kills)
        if kills:
            with pytest.raises(Killed):
                self.apply(text)
        else:
            assert self.apply(text) in (0, 1)
        self.operated.clock.advance(APPLY_LASTS.total_seconds() + 1)  # a lock that was left expires


@pytest.fixture
def pair(operated: Operated, faults: Faults) -> Pair:
    """A stack whose shop and account hold things of others as well."""
    scheduler = moto_client("scheduler")
    scheduler.create_schedule_group(Name="others")
    target = {"Arn": "arn:aws:sqs:eu-west-1:123456789012:theirs", "RoleArn": "arn:aws:iam::123456789012:role/theirs"}
    window = {"Mode": "OFF"}
    scheduler.create_schedule(
        Name="theirs", GroupName="others", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=window, Target=target
    )
    hook = {"isActive": True, "itemGroup": "products", "itemAction": "*", "language": "nl", "format": "json"}
    for address in ("https://api.example/webhooks/default?stack=yours", "https://erp.example/hook"):
        operated.shop.store.add("webhooks", {**hook, "address": address})
    return Pair(operated, faults)


def test_killed_at_a_write_the_next_apply_makes_the_rest_and_nothing_twice(pair: Pair) -> None:
    pair.fail_everywhere(after=False, kills=True, only=WRITES)


def test_a_write_whose_answer_is_lost_is_made_once(pair: Pair) -> None:
    pair.fail_everywhere(after=True, kills=False, only=WRITES)


def test_ctrl_c_finishes_the_call_under_way_and_says_how_to_make_the_rest(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str) -> None:
        if name == "CreateSchedule":
            os.kill(os.getpid(), signal.SIGINT)

    operated.aws.before_call = interrupt
    assert operated("apply", operated.file(BEFORE)) == 130
    assert "interrupted; run the command again to make the other changes" in capsys.readouterr().out
    assert len(operated.schedules()) == 1
    operated.aws.before_call = lambda _: None
    assert operated("apply", operated.file(BEFORE)) == 0  # the lock was returned
    assert len(operated.schedules()) == 5


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kills", [False, True])
def test_apply_may_fail_at_any_call(pair: Pair, *, after: bool, kills: bool) -> None:
    pair.fail_everywhere(after=after, kills=kills, only=("",))
