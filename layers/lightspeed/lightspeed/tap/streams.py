"""The streams of the tap, and the Singer catalogue that describes and selects them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lightspeed.catalogue.entities import CATALOGUE, parent_of
from lightspeed.catalogue.model import Endpoint
from lightspeed.catalogue.sample_schemas import load_sample_schemas
from lightspeed.schema import Schema
from lightspeed.tap.schema import Path, paths, stream_schema, without_fields

KEY = "id"
_KEYS: Mapping[str | None, str] = {"updated_at_min": "updatedAt", "created_at_min": "createdAt"}


class CatalogError(ValueError):
    """A Singer catalogue cannot be used; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A list of the shop as a stream.

    Attributes:
        name: The entity's name, with `_` for `/`.
        schema: The schema of its records.
        replication_key: The field that the bookmark follows; `None` if every run reads the whole list. The records of a
            nested list follow their parent's time of change.
    """

    name: str
    endpoint: Endpoint
    schema: Schema
    replication_key: str | None

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields of the key: the parent's id if the list is nested, and the record's id."""
        return (*self.endpoint.parents, KEY)

    @property
    def automatic(self) -> set[Path]:
        """The paths of the fields that are always selected."""
        return {(key,) for key in (*self.keys, self.replication_key) if key is not None}

    @property
    def parent(self) -> Endpoint | None:
        """The parent entity of a nested list; `None` for a list that is not nested."""
        return parent_of(self.endpoint)

    def entry(self) -> dict[str, Any]:
        """Return the stream's entry in a Singer catalogue."""
        method = "FULL_TABLE" if self.replication_key is None else "INCREMENTAL"
        root: dict[str, Any] = {
            "inclusion": "available",
            "selected-by-default": self.parent is None,
            "table-key-properties": list(self.keys),
            "valid-replication-keys": [self.replication_key] if self.replication_key else [],
            "forced-replication-method": method,
        }
        metadata = [{"breadcrumb": [], "metadata": root}]
        for path in paths(self.schema):
            breadcrumb = [word for name in path for word in ("properties", name)]
            inclusion = "automatic" if path in self.automatic else "available"
            metadata.append({"breadcrumb": breadcrumb, "metadata": {"inclusion": inclusion}})
        return {
            "tap_stream_id": self.name,
            "stream": self.name,
            "schema": self.schema,
            "key_properties": list(self.keys),
            "replication_method": method,
            **({"replication_key": self.replication_key} if self.replication_key else {}),
            "metadata": metadata,
        }


def streams(*, decimals: bool = False) -> Iterator[Stream]:
    """Yield every stream: each list of the shop but those of the checkouts, which have no usable ids.

    Args:
        decimals: Whether numbers that may be fractions are passed as text.
    """
    samples = load_sample_schemas()
    for name, endpoint in CATALOGUE.items():
        if not endpoint.has("list") or endpoint.bare:
            continue
        times = [field for start, field in _KEYS.items() if start in endpoint.filter_names]
        parent = parent_of(endpoint)
        if parent is None:
            replication_key = _KEYS.get(endpoint.incremental)
        else:
            replication_key = f"{endpoint.parents[0].removesuffix('_id')}_updatedAt" if parent.incremental else None
            times = [*times, replication_key] if replication_key else times
        schema = stream_schema(samples.get(name, {}), (*endpoint.parents, KEY), tuple(times), decimals=decimals)
        yield Stream(name.replace("/", "_"), endpoint, schema, replication_key)


def discover(*, decimals: bool = False) -> dict[str, Any]:
    """Return the Singer catalogue of all streams."""
    return {"streams": [stream.entry() for stream in streams(decimals=decimals)]}


def select(catalog: object, *, decimals: bool = False) -> list[Stream]:
    """Return the streams that a Singer catalogue selects, each without the fields that the catalogue deselects.

    `selected` in the metadata of a stream or field decides; without it, the default does. The key and the replication
    key are always selected. The schemas are the tap's own; those in the catalogue are not read.

    Args:
        catalog: The output of `--discover`, edited or not; `None` is the same as the output.
        decimals: Whether numbers that may be fractions are passed as text.

    Raises:
        CatalogError: The value is no Singer catalogue, or names an unknown stream.
    """
    known = {stream.name: stream for stream in streams(decimals=decimals)}
    if catalog is None:
        return [stream for stream in known.values() if stream.parent is None]
    entries = catalog.get("streams") if isinstance(catalog, Mapping) else None
    if not isinstance(entries, list):
        raise CatalogError("must be a JSON object with a list under streams, as --discover prints it")
    found = []
    for entry in entries:
        name = entry.get("tap_stream_id") if isinstance(entry, Mapping) else None
        if name not in known:
            raise CatalogError(f"there is no stream {name!r:.100}; --discover lists them")
        settings = _settings(entry)
        if _is_selected(settings.get((), {}), default=False):
            found.append(_with_selection(known[name], entry, settings))
    return found


def _settings(entry: Mapping[str, Any]) -> dict[Path, Mapping[str, Any]]:
    """Return the metadata of a catalogue entry by field path; the stream's own is under `()`."""
    found: dict[Path, Mapping[str, Any]] = {}
    try:
        for each in entry.get("metadata", []):
            words = each["breadcrumb"]
            found[tuple(word for place, word in enumerate(words) if place % 2)] = dict(each["metadata"])
    except (TypeError, KeyError, ValueError):
        name = entry["tap_stream_id"]
        raise CatalogError(f"the metadata of stream {name} must be a list of breadcrumb and metadata") from None
    return found


def _is_selected(settings: Mapping[str, Any], *, default: bool) -> bool:
    return bool(settings.get("selected", settings.get("selected-by-default", default)))


def _with_selection(stream: Stream, entry: Mapping[str, Any], settings: Mapping[Path, Mapping[str, Any]]) -> Stream:
    method = settings.get((), {}).get("replication-method") or entry.get("replication_method")
    replication_key = None if method == "FULL_TABLE" else stream.replication_key
    dropped = frozenset(
        path
        for path in paths(stream.schema)
        if path not in stream.automatic and not _is_selected(settings.get(path, {}), default=True)
    )
    return Stream(stream.name, stream.endpoint, without_fields(stream.schema, dropped), replication_key)
