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

ReadOperation = Literal["get", "list", "each"]
"""One record, a list, or the nested records of every parent."""


def operation_of(endpoint: Endpoint, path: Mapping[str, object]) -> ReadOperation:
    """Return the operation that reads an entity with these path parameters."""
    if endpoint.parents and path.get(endpoint.parents[0]) == ALL_PARENTS:
        return "each"
    return "get" if "id" in path or not endpoint.collection else "list"


def listed_entity(endpoint: Endpoint, path: Mapping[str, object]) -> Endpoint:
    """Return the entity whose list is read with these path parameters: the parent for `each`."""
    parent = parent_of(endpoint)
    return parent if parent is not None and operation_of(endpoint, path) == "each" else endpoint


def check_parameters(client: Client, endpoint: Endpoint, parameters: Parameters, language: str | None = None) -> None:
    """Check the parameters of a reading; nothing is sent.

    Raises:
        CatalogueError: The parameters are wrong.
    """
    operation: str = operation_of(endpoint, parameters.path)
    if operation == "each":
        operation = "list" if endpoint.collection else "get"
        parameters = replace(parameters, path={**parameters.path, endpoint.parents[0]: 1})
    client.build(endpoint.name, operation, parameters, language)
