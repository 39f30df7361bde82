"""Turns a request's body into the fields of a row: envelope, types, relations, translations, refusals."""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .data_products import slug
from .exchange import RefusedError, Request
from .places import COUNTRIES, LANGUAGES
from .resource import Resource
from .shapes import Field, Row
from .uploads import INVALID, multipart_fields, uploaded

if TYPE_CHECKING:
    from .store import Store

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
    """Decode a body: JSON, a form (`variant[stockLevel]=5`) or multipart; 400 if it is none of them."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return _nested(multipart_fields(kind, request.body).items())
    if kind.startswith("application/x-www-form-urlencoded"):
        return _nested(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise RefusedError(400, INVALID) from None


def unwrap(request: Request, *envelopes: str) -> Any:
    """Return what is inside the envelope; 400 if it is missing or another one."""
    body = body_of(request)
    for envelope in envelopes:
        if envelope and isinstance(body, dict) and isinstance(body.get(envelope), dict | list):
            return body[envelope]
    raise RefusedError(400, INVALID)


def unwrap_record(request: Request, *envelopes: str) -> dict[str, Any]:
    """Return the one record inside the envelope; a multipart upload may come without one."""
    body = body_of(request)
    if isinstance(body, dict) and isinstance(body.get("attachment"), bytes):
        return body
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
    if resource.name == "variants" and "image" in fields:
        row["image"] = _picture(store, fields["image"])
    if resource.name == "products":
        row = _with_visibility(row)
    if resource.name == "suppliers" and "title" in row:
        _refuse_second_supplier(store, row["title"], old)
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


def _picture(store: "Store", image: Any) -> Row | bool:
    """Return the picture of a variant, which is written inside its record; null and false clear it."""
    if image in (None, False, ""):
        return False
    if not isinstance(image, dict):
        raise RefusedError(422, "image must be an object with attachment and filename")
    return {"createdAt": store.now(), "updatedAt": store.now()} | uploaded(image, None)


def _with_visibility(row: Row) -> Row:
    """Return a product's row in which `isVisible` and `visibility` agree; the latter wins."""
    if "visibility" in row:
        return row | {"isVisible": row["visibility"] != "hidden"}
    if "isVisible" in row:
        return row | {"visibility": "visible" if row["isVisible"] else "hidden"}
    return row


def _refuse_second_supplier(store: "Store", title: str, old: Row | None) -> None:
    others = (row for row in store.table("suppliers").rows() if old is None or row["id"] != old["id"])
    if any(row.get("title") == title for row in others):
        raise RefusedError(400, "Submitted supplier already exists, try update.")


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
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,18}", str(value)):
        raise RefusedError(422, f"{field.name} must be an id")
    if store.stored(field.target, int(value)) is None:
        raise RefusedError(422, f"Unknown {field.name}: {value}")
    return int(value)


def coerce(field: Field, value: Any) -> Any:
    """Convert a value to the type of the field's default; 422 if that is impossible.

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
    if row.get("format", "json") not in {"json", "xml"}:
        raise RefusedError(422, f"Unknown format: {row['format']}")
    if "itemAction" in row and row["itemAction"] not in _WEBHOOK_ACTIONS:
        raise RefusedError(422, f"Unknown itemAction: {row['itemAction']}")


def _nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a form's pairs as an object; `variant[stockLevel]` is the field `stockLevel` of `variant`."""
    found: dict[str, Any] = {}
    for name, value in pairs:
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
