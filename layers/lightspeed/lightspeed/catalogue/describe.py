"""A catalogue row as plain data, for people and programs."""

from __future__ import annotations

from lightspeed.catalogue.model import Endpoint


def describe(endpoint: Endpoint) -> dict[str, object]:
    """Return the row as JSON-able data.

    Returns:
        `entity`, `collection`, `operations` (by name: `method`, `path`, `path_parameters`, `payload`), `filters` (type
        by name), `filter_confidence` (by name), `incremental` (the filter for incremental reading, or `None`),
        `alternatives` (advice by missing operation), `keys` (envelope keys and how well they are known), `confidence`
        and `source`.
    """
    operations = {}
    for name in endpoint.operation_names:
        operation = endpoint.operation(name)
        operations[name] = {
            "method": operation.verb,
            "path": operation.path,
            "path_parameters": list(operation.path_parameters),
            "payload": operation.payload,
        }
    return {
        "entity": endpoint.name,
        "collection": endpoint.collection,
        "operations": operations,
        "filters": {known.name: known.type for known in endpoint.filters},
        "filter_confidence": {known.name: known.confidence for known in endpoint.filters},
        "incremental": endpoint.incremental,
        "alternatives": dict(endpoint.alternatives),
        "keys": {
            "item": endpoint.item,
            "item_confidence": endpoint.item_confidence,
            "list": endpoint.items,
            "list_confidence": endpoint.items_confidence,
        },
        "confidence": endpoint.confidence,
        "source": list(endpoint.source),
    }
