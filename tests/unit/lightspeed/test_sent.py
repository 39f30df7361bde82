"""The connection, not the kind of the error, shows whether a request was sent."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import takewhile
from pathlib import Path
from socket import create_server, socket

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lightspeed import AnswerLost, Client, Connection, NotSent, Parameters, Transport
from tests.support.clock import FakeClock
from tests.unit.lightspeed.raw_server import SETTINGS, client_of, http, raw_server

Peer = Callable[[socket, ssl.SSLContext], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key, and a certificate of it for 127.0.0.1 and `shop.example`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    names = x509.SubjectAlternativeName([x509.DNSName("shop.example"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@contextlib.contextmanager
def peer(script: Peer, certificate: Path) -> Iterator[tuple[int, list[int]]]:
    """Run a script for every connection while the block lasts; yield the port, and the number of each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                accepted, _ = server.accept()
            except OSError:
                return
            connections.append(len(connections))
            with accepted, contextlib.suppress(OSError):
                script(accepted, context)

    with create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], connections
        with contextlib.suppress(OSError):
            server.shutdown(2)
    thread.join()


def create(origin: str) -> None:
    connection = Connection.from_mapping({"base_url": origin, **SETTINGS})
    client = Client(Transport(connection, clock=FakeClock()))
    client.write(client.build("products", "create", Parameters(payload={"title": "Mug"})))


def request_of(sock: socket) -> bytes:
    """Read a whole request: closing before its end would reset the connection."""
    with sock.makefile("rb") as stream:
        lines = list(takewhile(bytes.strip, stream))
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        stream.read(length)
    return b"".join(lines)


def answers(sock: socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(sock, server_side=True) as secure:
        request_of(secure)
        secure.sendall(http(b'{"product":{"id":7,"title":"Mug"}}', 201))


def answers_nonsense(sock: socket, context: ssl.SSLContext) -> None:
    secure = context.wrap_socket(sock.dup(), server_side=True)
    request_of(secure)
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    secure.detach()


def answers_an_alert(sock: socket, context: ssl.SSLContext) -> None:
    """Read the request, then send a fatal alert as a terminated connection does."""
    secure = context.wrap_socket(sock.dup(), server_side=True)
    request_of(secure)
    sock.sendall(b"\x15\x03\x03\x00\x02\x02\x50")
    secure.detach()


def closes_after_the_request(sock: socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(sock, server_side=True) as secure:
        request_of(secure)


def closes_at_once(_sock: socket, _context: ssl.SSLContext) -> None:
    pass


def closes_in_the_handshake(sock: socket, _context: ssl.SSLContext) -> None:
    sock.recv(10)


def speaks_no_tls(sock: socket, _context: ssl.SSLContext) -> None:
    sock.sendall(http(b"{}", 400))


def tunnel(after: Peer) -> Peer:
    def opened(sock: socket, context: ssl.SSLContext) -> None:
        assert request_of(sock).startswith(b"CONNECT shop.example:443 ")
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        after(sock, context)

    return opened


def refuses_tunnels(sock: socket, _context: ssl.SSLContext) -> None:
    request_of(sock)
    sock.sendall(http(b"", 502))


def drops_tunnels(sock: socket, _context: ssl.SSLContext) -> None:
    request_of(sock)


@pytest.fixture(params=["direct", "proxy"])
def run(request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Peer], int]:
    """Create a product at a peer, directly or through a proxy; return how many connections were made."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def run(script: Peer) -> int:
        through_proxy = request.param == "proxy"
        with peer(tunnel(script) if through_proxy else script, certificate) as (port, connections):
            if through_proxy:
                monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            try:
                create("https://shop.example" if through_proxy else f"https://127.0.0.1:{port}")
            finally:
                run.connections = len(connections)  # type: ignore[attr-defined]
        return len(connections)

    return run


def test_a_create_is_sent_once_and_answered(run: Callable[[Peer], int]) -> None:
    assert run(answers) == 1


@pytest.mark.parametrize("script", [answers_nonsense, answers_an_alert, closes_after_the_request])
def test_a_create_whose_connection_breaks_after_it_was_sent_is_not_sent_again(
    run: Callable[[Peer], int], script: Peer
) -> None:
    with pytest.raises(AnswerLost):
        run(script)

    assert run.connections == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("script", [closes_at_once, closes_in_the_handshake, speaks_no_tls])
def test_a_create_whose_connection_was_never_made_is_surely_not_sent(run: Callable[[Peer], int], script: Peer) -> None:
    with pytest.raises(NotSent, match="could not connect to https://"):
        run(script)

    assert run.connections == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("script", [refuses_tunnels, drops_tunnels])
def test_a_create_that_no_proxy_passes_on_is_surely_not_sent(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, script: Peer
) -> None:
    with peer(script, certificate) as (port, connections):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(NotSent, match="could not connect to https://"):
            create("https://shop.example")

    assert len(connections) == 4


def test_the_address_of_a_proxy_is_not_that_of_the_shop(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightspeed.http_session.is_refused_address", lambda _: True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with peer(tunnel(answers), certificate) as (port, connections):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        create("https://shop.example")

    assert len(connections) == 1


def test_a_missing_file_of_certificates_is_surely_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")

    with pytest.raises(NotSent):
        create("https://shop.example")


def test_a_body_that_the_shop_takes_slowly_ends_at_the_deadline() -> None:
    clock = FakeClock(step=0.5)
    start = clock.time()
    with raw_server(lambda _: [http(b'{"product":{"id":7}}', 201)]) as server:
        client = client_of(server, clock)
        with pytest.raises(AnswerLost):
            client.write(client.build("products", "create", Parameters(payload={"title": "x" * 6_000_000})))

    assert server.requests == []
    assert 90 <= clock.time() - start <= 93
