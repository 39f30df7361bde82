"""Connect to a host within the time that is left.

urllib3 gives every address of a name the whole timeout, and the system's resolver has no time limit. Here, the lookup
and all tries together end in time. Each address is checked before anything is sent to it.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from urllib3.util.connection import allowed_gai_family

_LEAST_SECONDS = 1.0
"""The least time for one address: enough for a connection around the world."""

Addresses = Sequence[tuple[int, int, int, str, tuple[Any, ...]]]
"""The result of `socket.getaddrinfo`."""


class AddressRefused(OSError):
    """The host name leads to an address that may not be connected to."""


def open_socket(  # noqa: PLR0913 - the host, the limits, and two functions that tests replace
    host: str,
    port: int,
    *,
    connect_seconds: float,
    seconds_left: Callable[[], float],
    is_refused: Callable[[str], bool],
    options: Iterable[tuple[int, int, int | bytes]] = (),
    look_up: Callable[..., Addresses] | None = None,
    new_socket: Callable[[int, int, int], socket.socket] = socket.socket,
) -> socket.socket:
    """Return a connection to the first address of a host that accepts one.

    Every address gets its share of the time that is left, so a good address after dead ones still has time.

    Args:
        host: A name or an address, without brackets.
        port: The port.
        connect_seconds: The longest wait for one address; also bounds the timeout of the socket that is returned.
        seconds_left: Returns the time that is left, or raises `TimeoutError`.
        is_refused: Whether an address may not be connected to.
        options: Arguments of `setsockopt`.
        look_up: Finds the addresses; `socket.getaddrinfo` by default.
        new_socket: Makes a socket of family, type and protocol.

    Raises:
        AddressRefused: The next address is refused; nothing was sent to it.
        TimeoutError: No address accepted in time, or the name was not found in time.
        socket.gaierror: The name has no address.
        UnicodeError: The text is no host name.
        OSError: No address accepted.
    """
    found = _addresses(look_up or socket.getaddrinfo, host, port, seconds_left())
    failure = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(found):
        if is_refused(address[0]):
            raise AddressRefused(address[0])
        left = seconds_left()
        share = max(_LEAST_SECONDS, left / (len(found) - index))
        try:
            sock = new_socket(family, kind, protocol)
        except OSError as error:  # the machine lacks this family of addresses
            failure = error
            continue
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(min(connect_seconds, left, share))
            sock.connect(address)
            sock.settimeout(min(connect_seconds, seconds_left()))
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
        else:
            return sock
    raise failure


def _addresses(look_up: Callable[..., Addresses], host: str, port: int, seconds: float) -> Addresses:
    """Return the addresses of a host. The system's resolver cannot be stopped, so it runs in a thread of its own."""
    answers: queue.SimpleQueue[Addresses | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(look_up(host, port, allowed_gai_family(), socket.SOCK_STREAM))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name was not found in time") from None
    if isinstance(found, Exception):
        raise found
    return found
