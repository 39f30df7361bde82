"""Turn a command's arguments into a client and a request. Every mistake is found before anything is sent."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from lightspeed.catalogue.entities import get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import CommandError, read_connection, read_parameters
from lightspeed.cli.output import print_note
from lightspeed.client import Client
from lightspeed.clock import Clock
from lightspeed.listing.read_operation import ALL_PARENTS, operation_of
from lightspeed.request import Parameters, Request, query_warnings
from lightspeed.transport import PATIENCE_SECONDS, Transport


@dataclass(frozen=True, slots=True)
class Session:
    """A command on an entity, checked and ready to be sent.

    Attributes:
        parameters: The parameters that the request was built from.
    """

    client: Client
    endpoint: Endpoint
    request: Request
    parameters: Parameters


def prepare(arguments: argparse.Namespace, operation: str) -> Session:
    """Check a command on an entity, and warn of unknown filters; nothing is sent.

    Raises:
        CommandError: The arguments are wrong.
        CatalogueError: Entity, operation or parameters are wrong.
        InvalidConnection: The connection's settings are wrong.
    """
    endpoint = get_entity(arguments.entity)
    endpoint.operation(operation)
    parameters = read_parameters(arguments)
    client = open_client(arguments, arguments.clock)
    request = client.build(endpoint.name, operation, parameters)
    warn_of_unknown_filters(endpoint, parameters.query)
    return Session(client, endpoint, request, parameters)


def check_all_parents(endpoint: Endpoint, parameters: Parameters) -> None:
    """Check that the id `*` is given for the parent of a nested entity only.

    Raises:
        CommandError: Another path parameter is `*`.
    """
    if ALL_PARENTS in parameters.path.values() and operation_of(endpoint, parameters.path) != "each":
        raise CommandError(
            f"the id {ALL_PARENTS} is for the parent of a nested entity, such as order_id of orders/products"
        )


def warn_of_unknown_filters(endpoint: Endpoint, query: Mapping[str, object]) -> None:
    """Print a note for each query name that the catalogue does not know."""
    for warning in query_warnings(endpoint, query):
        print_note(f"warning: {warning}")


def nothing_matches(endpoint: Endpoint, query: Mapping[str, object]) -> str:
    """Return the note for a list without records."""
    filters = [f"{name}={value}" for name, value in query.items() if name not in ("page", "limit", "fields")]
    return f"no {endpoint.name} match {' '.join(filters):.100}" if filters else f"there are no {endpoint.name}"


def open_client(
    arguments: argparse.Namespace,
    clock: Clock | None,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    threads: int = 1,
) -> Client:
    """Return a client with the command's connection.

    Raises:
        CommandError: The command has no connection.
        InvalidConnection: The connection's settings are wrong.
    """
    connection = read_connection(arguments)
    return Client(Transport(connection, clock=clock, patience_seconds=patience_seconds, threads=threads))
