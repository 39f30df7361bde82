"""What every write operation of the catalogue looks like on the wire: verb, path, query and body.

`wire.json` is the snapshot. Write it again with `python -m tests.integration.publish.test_wire` after a wanted change.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from connector.settings import Settings
from lightspeed import CATALOGUE, Client, Connection, Endpoint, Response, Transport
from lightspeed.request import Request
from publish.dependencies import Dependencies
from publish.event import parse_request, takes_file
from publish.write import WriteOperation
from tests.support.fake_transport import FakeTransport

SNAPSHOT = Path(__file__).with_name("wire.json")
READS = ("list", "get", "count")
BULK: dict[str, object] = {
    "variants": [{"id": 7, "stockLevel": 4}, {"id": 9, "stockLevel": 0}],
    "categories/products": {"categories": [7, 9], "product": 11},
    "products/attributes": [{"id": 7, "value": "oak"}],
}


class Wire(FakeTransport, Transport):
    """A transport that sends nothing and keeps what it would have sent."""

    seen: Request | None = None

    def send(self, request: Request) -> Response:
        self.seen = request
        return Response(status=204, body=b"", request_id="")


def operations() -> list[tuple[Endpoint, str]]:
    return [(row, name) for row in CATALOGUE.values() for name in row.operation_names if name not in READS]


def payload(endpoint: Endpoint, name: str) -> object:
    operation = endpoint.operation(name)
    if operation.payload == "none":
        return None
    if name == "bulk":
        return BULK[endpoint.name]
    return {"src": "https://example.com/lamp.jpg"} if takes_file(endpoint.name) else {"title": "Größe €"}


def on_the_wire(endpoint: Endpoint, name: str) -> dict[str, Any]:
    settings = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}
    wire = Wire(Connection.from_mapping(settings))
    path = {parameter: 7 + 2 * n for n, parameter in enumerate(endpoint.operation(name).path_parameters)}
    event = {"entity": endpoint.name, "action": name, "parameters": {"path": path, "payload": payload(endpoint, name)}}
    WriteOperation.prepare(parse_request(event), Client(wire), Dependencies(Settings())).send()
    seen = wire.seen
    assert seen is not None
    body = json.loads(seen.body) if isinstance(seen.body, bytes) else None
    return {"method": seen.method, "path": seen.path, "query": dict(seen.query), "body": body}


def snapshot() -> dict[str, Any]:
    return {f"{endpoint.name} {name}": on_the_wire(endpoint, name) for endpoint, name in operations()}


@pytest.mark.parametrize(
    ("endpoint", "name"), [pytest.param(row, name, id=f"{row.name} {name}") for row, name in operations()]
)
def test_a_write_goes_out_as_it_was_written_down(endpoint: Endpoint, name: str) -> None:
    assert on_the_wire(endpoint, name) == json.loads(SNAPSHOT.read_text())[f"{endpoint.name} {name}"]


def test_nothing_is_written_down_that_the_catalogue_lacks() -> None:
    assert set(json.loads(SNAPSHOT.read_text())) == {f"{endpoint.name} {name}" for endpoint, name in operations()}


if __name__ == "__main__":
    lines = [f"  {json.dumps(name)}: {json.dumps(seen, ensure_ascii=False)}" for name, seen in snapshot().items()]
    SNAPSHOT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
