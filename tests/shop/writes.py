"""From a request's body to the fields of a row: envelope, types, relations, translations, and what is refused."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .data import CDN
from .data_products import slug
from .exchange import RefusedError, Request
from .places import COUNTRIES, LANGUAGES
from .resource import Resource
from .shapes import Field, Row

if TYPE_CHECKING:
    from .store import Store

INVALID = "Invalid data input"
_OWN = {"id", "createdAt", "updatedAt", "created_at", "updated_at"}
_WEBHOOK_GROUPS = {
    "contacts",
    "customers",
    "invoices",
    "orders",
    "products",
    "quotes",
    "returns",
    "reviews",
    "shipments",
    "subscriptions",
    "tickets",
    "variants",
}
_WEBHOOK_ACTIONS = {"created", "updated", "deleted", "paid", "shipped", "answered", "*"}


def body_of(request: Request) -> Any:
    """Decode a body, JSON or form (`variant[stockLevel]=5`); 400 if it is neither."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _form(request.body)
    try:
        return json.loads(request.body)
    except ValueError:
        raise RefusedError(400, INVALID) from None


def unwrap(request: Request, *envelopes: str) -> Any:
    """Return what is inside the envelope; 400 if it is missing or another one."""
    body = body_of(request)
    for envelope in envelopes:
        if envelope and isinstance(body, dict) and isinstance(body.get(envelope), dict | list):
            return body[envelope]
    raise RefusedError(400, INVALID)


def unwrap_record(request: Request, *envelopes: str) -> dict[str, Any]:
    """Return the one record inside the envelope."""
    fields = unwrap(request, *envelopes)
    if not isinstance(fields, dict):
        raise RefusedError(400, INVALID)
    return fields


def neutral(store: "Store", resource: Resource, fields: dict[str, Any], language: str, old: Row | None) -> Row:
    """Turn the fields of a body into those of a row; unknown and read-only ones are left out.

    Args:
        old: the row that is changed; None for a new record.

    Raises:
        RefusedError: 422 for a value of a wrong type, an unknown relation, or a required field that is missing.
    """
    row: Row = {}
    for field in resource.shape:
        if field.name in fields and field.name not in _OWN and field.kind not in {"many", "time", "image"}:
            row[field.name] = _value(store, field, fields[field.name], language, old)
    _require(resource.required if old is None else (), row)
    _require([name for name in resource.required if name in row], row)
    if resource.name in {"products/images", "files"}:
        row |= uploaded(fields, old)
    if (
        "title" in resource.defaults
        and "url" in resource.defaults
        and old is None
        and isinstance(row.get("title"), dict)
    ):
        row.setdefault("url", {language: slug(row["title"][language])})
        if "fulltitle" in resource.defaults:
            row.setdefault("fulltitle", dict(row["title"]))
    if resource.name == "webhooks":
        _check_webhook(row)
    return row


def uploaded(fields: dict[str, Any], old: Row | None) -> Row:
    """Return the fields of an uploaded picture or file: base64 `attachment` with `filename`, or a `src` address."""
    name = str(fields.get("filename") or str(fields.get("src") or "").rpartition("/")[2])
    size = 8016
    if "attachment" in fields:
        try:
            size = len(base64.b64decode(str(fields["attachment"]), validate=True))
        except (binascii.Error, ValueError):
            raise RefusedError(422, "attachment is not base64") from None
    elif not fields.get("src"):
        if old is None:
            raise RefusedError(422, "attachment or src is required")
        return {}
    title, _, extension = name.rpartition(".")
    title = str(fields.get("title") or title or "file")
    number = 9_100_000 + sum(name.encode()) + size
    stored = f"{CDN}/{number}/"
    return {
        "title": title,
        "extension": extension or "png",
        "size": size,
        "thumb": f"{stored}50x50x2/{title}.{extension}",
        "src": f"{stored}{title}.{extension}",
    }


def _require(names: Iterable[str], row: Row) -> None:
    for name in names:
        value = row.get(name)
        if isinstance(value, dict):
            value = next(iter(value.values()), "")
        if value is None or value == "" or value is False:
            raise RefusedError(422, f"{name} is required")


def _value(store: "Store", field: Field, value: Any, language: str, old: Row | None) -> Any:
    if field.kind in {"one", "embed"}:
        return _relation(store, field, value)
    if field.kind in {"ones", "embeds"}:
        if not isinstance(value, list):
            raise RefusedError(422, f"{field.name} must be a list of ids")
        return tuple(_relation(store, field, each) for each in value)
    if field.kind == "text":
        return _translation(field, value, language, old)
    if field.kind == "country":
        return _code(field, value, COUNTRIES)
    if field.kind == "language":
        return _code(field, value, LANGUAGES) if value else False
    return coerce(field, value)


def _translation(field: Field, value: Any, language: str, old: Row | None) -> dict[str, str]:
    if not isinstance(value, str | int | float):
        raise RefusedError(422, f"{field.name} must be a text")
    known = (old or {}).get(field.name)
    return (known if isinstance(known, dict) else {}) | {language: str(value)}


def _code(field: Field, value: Any, known: dict[str, tuple[int, str, str]]) -> str:
    code = value.get("code") if isinstance(value, dict) else value
    if isinstance(code, int):
        code = next((name for name, record in known.items() if record[0] == code), None)
    if not isinstance(code, str) or code.lower() not in known:
        raise RefusedError(422, f"Unknown {field.name}: {value}")
    return code.lower()


def _relation(store: "Store", field: Field, value: Any) -> Any:
    if isinstance(value, dict):
        value = value.get("resource", value)
        value = value.get("id") if isinstance(value, dict) else None
    if value in (None, False, "", 0):
        return False
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise RefusedError(422, f"{field.name} must be an id")
    if store.stored(field.target, int(value)) is None:
        raise RefusedError(422, f"Unknown {field.name}: {value}")
    return int(value)


def coerce(field: Field, value: Any) -> Any:
    """Give a value the type of the field's default; 422 where that cannot be done.

    A default of false may also stand for "none": such a field takes any text.
    """
    default = field.default
    coerced = value
    if isinstance(default, bool):
        coerced = _as_bool(value) if default or not isinstance(value, str) or value in _BOOLEANS else value
    elif isinstance(default, int | float):
        coerced = _as_number(value)
    elif isinstance(default, str):
        coerced = _as_text(default, value)
    if coerced is None and default is not None:
        raise RefusedError(422, f"Invalid value for {field.name}")
    return coerced


_BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


def _as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(str(value)) if isinstance(value, int | str) else None


def _as_number(value: Any) -> int | float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return None


def _as_text(default: str, value: Any) -> str | None:
    if value is None or value is False:
        return ""
    if isinstance(value, int | float) and value is not True:
        return _like(default, value)
    return value if isinstance(value, str) else None


def _like(default: str, value: float) -> str:
    digits = len(default.partition(".")[2]) if re.fullmatch(r"\d+\.\d+", default) else None
    return str(value) if digits is None else f"{value:.{digits}f}"


def _check_webhook(row: Row) -> None:
    if "itemGroup" in row and row["itemGroup"] not in _WEBHOOK_GROUPS:
        raise RefusedError(422, f"Unknown itemGroup: {row['itemGroup']}")
    if "itemAction" in row and row["itemAction"] not in _WEBHOOK_ACTIONS:
        raise RefusedError(422, f"Unknown itemAction: {row['itemAction']}")


def _form(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
        keys = re.findall(r"[^\[\]]+", name)
        if not keys:
            raise RefusedError(400, INVALID)
        place = found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise RefusedError(400, INVALID)
        place[keys[-1]] = value
    return found
