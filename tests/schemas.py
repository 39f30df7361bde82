"""Write what the sample payloads look like, one JSON Schema an entity: `make schemas`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightspeed.catalogue.entities import CATALOGUE
from lightspeed.catalogue.model import Endpoint
from lightspeed.catalogue.sample_schemas import PLACE
from lightspeed.numbers import loads
from lightspeed.schema import Inference

_METAFIELD = ("id", "createdAt", "updatedAt", "key", "value")
NAMED_FIELDS: Mapping[str, Sequence[str]] = {
    "blogs/articles/tags": ("id", "article", "blog", "tag"),
    "blogs/tags": ("id", "createdAt", "updatedAt", "url", "title", "articles", "blog"),
    "customers/metafields": _METAFIELD,
    "shipments/metafields": _METAFIELD,
    "shop/metafields": _METAFIELD,
}
"""Entities without a sample whose fields are known by name: from examples of the documentation, which name them.

Those of customers are taken from the metafields of other entities.
"""

SAMPLES = Path(__file__).parents[1] / "tests" / "shop" / "samples"


def samples_of(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """Yield the sample records of an entity, found by the envelope key of its record or its list."""
    if endpoint.item is None:
        return
    for name, keys in (("doc.*", (endpoint.item, *endpoint.alternative_keys)), ("live.*", (endpoint.items,))):
        for path in sorted(SAMPLES.glob(f"{name}.json")):
            body = _body(path)
            found: Any = next((body[key] for key in keys if key in body and _is_sample_of(path, endpoint)), [])
            yield from found if isinstance(found, list) else [found]


@functools.cache
def _body(path: Path) -> Any:
    return loads(path.read_bytes())


def _is_sample_of(path: Path, endpoint: Endpoint) -> bool:
    """Whether a file is of this entity: its name is an envelope key, and keys such as `image` have several owners."""
    key = path.stem.split(".")[1].removesuffix("_list").lower()
    return key in {str(name).lower() for name in (endpoint.item, endpoint.items, *endpoint.alternative_keys)}


def content() -> str:
    """Return the file: a JSON object with one line for each entity that has a sample."""
    lines = []
    for name, endpoint in CATALOGUE.items():
        inference = Inference()
        for record in samples_of(endpoint):
            inference.add(record)
        named = NAMED_FIELDS.get(name, ())
        if named and not inference.shape.seen:
            fields: dict[str, object] = {field: {"type": "integer"} if field == "id" else {} for field in named}
            lines.append(
                f"{json.dumps(name)}: {json.dumps({'type': 'object', 'properties': fields}, separators=(',', ':'))}"
            )
        if inference.shape.seen:
            lines.append(f"{json.dumps(name)}: {json.dumps(inference.schema(), separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    PLACE.write_text(content(), encoding="utf-8")
    print(f"wrote {PLACE.name}")
