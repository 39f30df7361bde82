"""Functions that JSONata lacks, and access to the running evaluation."""

from __future__ import annotations

import decimal
import hashlib
import hmac
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.utils import Utils

from connector.transform.engine.errors import short_repr
from connector.transform.engine.limits import Meter
from connector.transform.engine.values import json_size
from lightspeed.numbers import Exact


def current_engine() -> Any:
    """Return the engine of the evaluation that runs in this thread."""
    return Jsonata.CURRENT.jsonata


def current_meter() -> Meter:
    """Return the meter of the running evaluation."""
    found: Meter = current_engine().meter
    return found


def random_source() -> random.Random:
    """Return the random numbers of the running evaluation."""
    source: random.Random = current_engine().context.random
    return source


def as_text(value: Any, pretty: Any = None) -> Any:
    """`$string`: text as it is, numbers as JSON writes them, anything else as JSON text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | dict):
        size = json_size(value, current_meter())
        current_meter().characters(size)
    return Functions.string(value, pretty)


def uuid_(name: Any) -> str:
    """`$uuid()`: a new UUID at each call. `$uuid(name)`: always the same UUID for a name."""
    if name is not None:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, as_text(name)))
    return str(uuid.UUID(int=random_source().getrandbits(128), version=4))


def hash_(value: Any, key: Any) -> Any:
    """`$hash(value)`: SHA-256 in hexadecimal. `$hash(value, key)`: the HMAC, which nobody can guess without the key."""
    text = as_text(value).encode("utf-8", "surrogatepass")
    if key is None:
        return hashlib.sha256(text).hexdigest()
    return hmac.new(key.encode("utf-8", "surrogatepass"), text, hashlib.sha256).hexdigest()


_MONEY = decimal.Context(prec=50, rounding=decimal.ROUND_HALF_UP)
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": _MONEY.add,
    "-": _MONEY.subtract,
    "*": _MONEY.multiply,
    "/": _MONEY.divide,
}


def money(*args: Any) -> Any:
    """`$money(amount)`, `$money(amount, digits)`, `$money(a, "*", b)`, `$money(a, "*", b, digits)`.

    An amount is a number, a text, or an array, which is summed up. `digits` is 2 by default. Halves are rounded up.
    """
    given = [arg for arg in args if arg is not None]
    if not given or args[0] is None:
        return None
    amount, rest = _amount(given[0]), given[1:]
    if rest and isinstance(rest[0], str):
        operator = rest[0]
        if operator not in _OPERATORS:
            raise ValueError(f'$money expects "+", "-", "*" or "/" as its second argument, not {short_repr(operator)}')
        if len(rest) < 2:
            return None
        try:
            amount = _OPERATORS[operator](amount, _amount(rest[1]))
        except decimal.DivisionByZero:
            raise ZeroDivisionError from None
        rest = rest[2:]
    digits = rest[0] if rest else 2
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 10:
        raise ValueError(f"$money expects from 0 to 10 digits, not {short_repr(digits)}")
    return Exact(format(amount.quantize(decimal.Decimal(1).scaleb(-digits), context=_MONEY), "f"))


def _amount(value: Any) -> decimal.Decimal:
    if isinstance(value, list):
        total = decimal.Decimal(0)
        for item in value:
            if isinstance(item, list):
                raise ValueError(f"$money sums up amounts, not {short_repr(item)}")
            total = _MONEY.add(total, _amount(item))
        return total
    text = value.text if isinstance(value, Exact) else str(value)
    try:
        if isinstance(value, bool) or len(text) > 50:
            raise decimal.InvalidOperation
        amount = decimal.Decimal(text)
        if not amount.is_finite() or abs(amount.adjusted()) > 30:
            raise decimal.InvalidOperation
    except decimal.InvalidOperation:
        raise ValueError(f'$money expects an amount such as 12.50 or "12.50", not {short_repr(value)}') from None
    return amount


def lookup_table(name: Any, key: Any, default: Any) -> Any:
    """`$lookup_table("carriers", code, "other")`: the value of a key in a table, or else the default."""
    if not isinstance(name, str):
        raise ValueError("$lookup_table expects the name of a table")
    table = current_engine().context.table(name)
    if key is None or key is Utils.NULL_VALUE:
        return default
    found = table.get(as_text(key), Utils.NONE)
    return default if found is Utils.NONE else Utils.NULL_VALUE if found is None else found
