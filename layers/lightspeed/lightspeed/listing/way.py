"""How an entity is read: as one record, as a list, or as the nested lists of every parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from lightspeed.catalogue.entities import parent_of
from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.request import Parameters

ALL_PARENTS = "*"
"""The id of a parent that means every parent."""

Way = Literal["get", "list", "each"]
"""One record, a list, or the nested records of every parent."""


def way_to_read(endpoint: Endpoint, path: Mapping[str, object]) -> tuple[Way, Endpoint]:
    """Return how an entity is read, and the entity whose list is read: the parent for `each`.

    Args:
        endpoint: The entity's row.
        path: The path parameters.
    """
    parent = parent_of(endpoint)
    if parent is not None and path.get(endpoint.parents[0]) == ALL_PARENTS:
        return "each", parent
    return ("get" if "id" in path or not endpoint.collection else "list"), endpoint


def check_parameters(client: Client, endpoint: Endpoint, parameters: Parameters, language: str | None = None) -> None:
    """Check the parameters of a reading; nothing is sent.

    Raises:
        CatalogueError: The parameters are wrong.
    """
    operation: str = way_to_read(endpoint, parameters.path)[0]
    if operation == "each":
        operation = "list" if endpoint.collection else "get"
        parameters = replace(parameters, path={**parameters.path, endpoint.parents[0]: 1})
    client.build(endpoint.name, operation, parameters, language)
