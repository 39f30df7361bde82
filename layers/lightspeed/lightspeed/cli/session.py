"""A command's words as a client and a request, checked whole: whatever is wrong is found before anything is sent."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import read_connection, read_parameters
from lightspeed.client import Client
from lightspeed.quota import Clock
from lightspeed.request import Parameters, Request
from lightspeed.transport import PATIENCE_SECONDS, Transport


@dataclass(frozen=True, slots=True)
class Session:
    """What a command is about to do.

    Attributes:
        request: Of the command; nothing in it is left to check.
        parameters: What it was built of.
    """

    client: Client
    endpoint: Endpoint
    request: Request
    parameters: Parameters


def prepare(arguments: argparse.Namespace, operation: str) -> Session:
    """Check a command on an entity; nothing is sent.

    Raises:
        CommandError: The words are wrong.
        CatalogueError: Entity, operation or parameters are wrong.
        InvalidConnection: The connection's settings are wrong.
    """
    endpoint = get_entity(arguments.entity)
    endpoint.operation(operation)
    parameters = read_parameters(arguments)
    client = open_client(arguments, arguments.clock)
    return Session(client, endpoint, client.build(endpoint.name, operation, parameters), parameters)


def open_client(
    arguments: argparse.Namespace,
    clock: Clock | None,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    threads: int = 1,
) -> Client:
    """Return a client of the command's connection; nothing is opened yet.

    Raises:
        CommandError: There is no connection.
        InvalidConnection: Its settings are wrong.
    """
    connection = read_connection(arguments)
    return Client(Transport(connection, clock=clock, patience_seconds=patience_seconds, threads=threads))
