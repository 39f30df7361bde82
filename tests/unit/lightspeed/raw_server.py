"""A server on loopback that answers bytes as they are, also bytes that no HTTP library would send."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator

from lightspeed import Client, Connection, Transport
from tests.support.clock import FakeClock

Script = Callable[[int], Iterable[bytes]]
"""Makes of the number of a request, from 0, the pieces of its answer."""

SETTINGS = {"api_key": "0123456789abcdefKEY", "api_secret": "se/cret+fedcba9876543210", "language": "nl"}


class PacingClock(FakeClock):
    """Lets a server send a piece of its answer whenever the client looks at the clock."""

    def __init__(self, *, step: float) -> None:
        super().__init__(step=step)
        self._looks = threading.Semaphore(0)

    def monotonic(self) -> float:
        now = super().monotonic()
        self._looks.release()
        return now

    def paced(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a piece whenever somebody looks at the clock."""
        for piece in pieces:
            self._looks.acquire()
            yield piece

    def stop_pacing(self) -> None:
        """Wait for the end of the paced answers."""
        self._looks.release(1_000_000)


class RawServer:
    """Answers every request by a script, then closes the connection.

    Attributes:
        url: Where it is.
        requests: The first line of each request, in order.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        left = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
        while left > 0:
            piece = connection.recv(65536)
            if not piece:
                return
            left -= len(piece)
        self.requests.append(head.split(b" HTTP/")[0].decode())
        for piece in self._script(len(self.requests) - 1):
            connection.sendall(piece)


@contextlib.contextmanager
def raw_server(script: Script) -> Iterator[RawServer]:
    """Serve while the block lasts."""
    server = RawServer(script)
    try:
        yield server
    finally:
        server.close()


def client_of(server: RawServer, clock: FakeClock | None = None, **arguments: object) -> Client:
    """Return a client of the server; further arguments are those of `Transport`."""
    connection = Connection.from_mapping({"base_url": server.url, **SETTINGS})
    return Client(Transport(connection, clock=clock or FakeClock(), **arguments))  # type: ignore[arg-type]


def http(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return a whole answer; underscores in the names of headers stand for hyphens."""
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Any\r\n{head}\r\n".encode("latin-1") + body
