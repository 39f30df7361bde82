"""Connecting to a host ends in time, and never reaches an address that is refused."""

import socket
import threading
from typing import Any

import pytest

from lightspeed.connect import AddressRefused, open_socket
from lightspeed.http_session import Attempt
from lightspeed.origin import is_refused_address
from tests.support.clock import FakeClock


class Wire:
    """A network of fake sockets: an address is dead unless it is good, and waiting for it moves the clock.

    Attributes:
        waits: The longest wait that each tried address was given, in order.
        closed: The sockets that were closed.
    """

    def __init__(self, clock: FakeClock, addresses: list[str], good: str = "", refusing: tuple[str, ...] = ()) -> None:
        self.clock = clock
        self.addresses = addresses
        self.good = good
        self.refusing = refusing
        self.waits: list[tuple[str, float]] = []
        self.made: list[FakeSocket] = []

    def look_up(self, _host: str, port: int, *_: int) -> list[Any]:
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in self.addresses]

    def new_socket(self, family: int, _kind: int, _protocol: int) -> Any:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        self.made.append(FakeSocket(self))
        return self.made[-1]

    def connect(self, seconds: float = 20.0, *, most: float = 5.0, options: Any = ()) -> Any:
        attempt = Attempt(self.clock, seconds, 60)
        return open_socket(
            "shop.example",
            443,
            connect_seconds=most,
            seconds_left=attempt.seconds_left,
            is_refused=is_refused_address,
            options=options,
            look_up=self.look_up,
            new_socket=self.new_socket,
        )


class FakeSocket:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.timeout = 0.0
        self.options: list[tuple[int, int, int]] = []
        self.peer = ""
        self.closed = False

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)  # type: ignore[arg-type]

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def connect(self, address: tuple[str, int]) -> None:
        self.peer = address[0]
        self.wire.waits.append((self.peer, self.timeout))
        if self.peer in self.wire.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        if self.peer != self.wire.good:
            self.wire.clock.advance(self.timeout)
            raise TimeoutError("timed out")

    def close(self) -> None:
        self.closed = True


def numbered(count: int) -> list[str]:
    return [f"203.0.113.{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0, 7.3, 28.0, 90.0])
@pytest.mark.parametrize("count", [1, 2, 10, 200])
def test_all_dead_addresses_of_a_name_together_end_by_the_deadline(count: int, seconds: float) -> None:
    clock = FakeClock()
    start = clock.time()
    wire = Wire(clock, numbered(count))

    with pytest.raises(TimeoutError):
        wire.connect(seconds)

    assert clock.time() - start <= seconds
    assert all(0 < wait <= 5 for _, wait in wire.waits)
    assert all(sock.closed for sock in wire.made)


def test_a_good_address_after_dead_ones_has_its_turn() -> None:
    clock = FakeClock()
    wire = Wire(clock, numbered(10), good="203.0.113.10")

    sock = wire.connect(20.0, options=[(6, 1, 1)])

    assert (sock.peer, sock.closed, sock.options) == ("203.0.113.10", False, [(6, 1, 1)])
    assert [tried for tried, _ in wire.waits] == numbered(10)
    assert [wait for _, wait in wire.waits] == pytest.approx([2.0] * 10)
    assert [other.closed for other in wire.made] == [True] * 9 + [False]


def test_the_steps_after_the_connection_have_what_is_left_of_the_time() -> None:
    wire = Wire(FakeClock(), numbered(2), good="203.0.113.2")

    assert wire.connect(8.0).timeout == pytest.approx(4.0)
    assert wire.connect(90.0).timeout == 5.0


def test_one_of_very_many_addresses_has_a_second_at_least() -> None:
    wire = Wire(FakeClock(), numbered(100), good="203.0.113.3")

    wire.connect(10.0)

    assert [wait for _, wait in wire.waits] == [1.0, 1.0, 1.0]


def test_an_address_that_the_machine_cannot_use_or_that_refuses_is_followed_by_the_next() -> None:
    wire = Wire(FakeClock(), ["2001:db8::1", "203.0.113.1", "203.0.113.2"], "203.0.113.2", ("203.0.113.1",))

    assert wire.connect().peer == "203.0.113.2"


def test_the_error_of_the_last_address_says_why_there_is_no_connection() -> None:
    with pytest.raises(ConnectionRefusedError):
        Wire(FakeClock(), numbered(2), refusing=tuple(numbered(2))).connect()
    with pytest.raises(OSError, match="family"):
        Wire(FakeClock(), ["2001:db8::1"]).connect()
    with pytest.raises(OSError, match="no address"):
        Wire(FakeClock(), []).connect()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "::", "fd00:ec2::254"]
)
@pytest.mark.parametrize("before", [[], ["203.0.113.1"]])
def test_nothing_is_sent_to_an_address_that_is_refused_wherever_it_is_in_the_list(
    before: list[str], address: str
) -> None:
    wire = Wire(FakeClock(), [*before, address, "203.0.113.9"], good="203.0.113.9")

    with pytest.raises(AddressRefused):
        wire.connect()

    assert [tried for tried, _ in wire.waits] == before


@pytest.mark.parametrize("address", ["35.169.254.10", "203.169.254.9", "169.255.169.254"])
def test_a_public_address_is_connected_to_whatever_numbers_it_has(address: str) -> None:
    wire = Wire(FakeClock(), [address], good=address)

    wire.connect()

    assert [tried for tried, _ in wire.waits] == [address]


def test_a_name_that_is_not_found_in_time_is_waited_for_no_longer() -> None:
    done = threading.Event()

    class Silent(Wire):
        def look_up(self, *arguments: Any) -> list[Any]:
            done.wait()
            return super().look_up(*arguments)

    with pytest.raises(TimeoutError, match="not found in time"):
        Silent(FakeClock(), numbered(1)).connect(0.001)
    done.set()


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_an_error_of_the_resolver_reaches_the_caller(error: Exception) -> None:
    class Unknown(Wire):
        def look_up(self, *_: Any) -> list[Any]:
            raise error

    with pytest.raises(type(error)):
        Unknown(FakeClock(), []).connect()


def test_a_connection_after_the_deadline_is_not_used() -> None:
    class Late(Wire):
        def new_socket(self, *arguments: int) -> Any:
            self.clock.advance(21)
            return super().new_socket(*arguments)

    wire = Late(FakeClock(), numbered(1), good="203.0.113.1")
    with pytest.raises(TimeoutError):
        wire.connect(20.0)

    assert [sock.closed for sock in wire.made] == [True]
