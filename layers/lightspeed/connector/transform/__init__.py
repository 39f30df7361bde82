"""JSONata transformers: shape requests and records inside bounds, with errors that name expression and position.

The engine is imported when something is given to be transformed, and not before: it makes a cold start slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from connector.errors import TransformError
from connector.transform.context import Outcome, Scope, TransformerSpec
from connector.transform.engine.limits import Limits
from connector.transform.library import Library, NotFoundInLibrary, S3Library
from connector.transform.rejects import REJECTED_SHARE, TooManyRejected, check_rejected

if TYPE_CHECKING:
    from connector.transform.transformer import Transformers

__all__ = [
    "REJECTED_SHARE",
    "Library",
    "Limits",
    "NotFoundInLibrary",
    "Outcome",
    "S3Library",
    "Scope",
    "TooManyRejected",
    "TransformError",
    "TransformerSpec",
    "Transformers",
    "check_rejected",
    "load",
    "parse_transformers",
]


def __getattr__(name: str) -> Any:
    """Import the engine when it is asked for."""
    if name != "Transformers":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from connector.transform.transformer import Transformers  # noqa: PLC0415 - slow at a cold start

    return Transformers


def load(given: TransformerSpec, library: Library | None = None, limits: Limits | None = None) -> Transformers | None:
    """Return the transformers of a request, ready to be applied, or `None` if there is nothing to apply.

    Args:
        given: The transformer, as the event gives it.
        library: Where saved transformers and tables come from.
        limits: Bounds of each evaluation.

    Raises:
        TransformError: An expression cannot be parsed; a saved transformer or a table does not exist.
    """
    if not given:
        return None
    from connector.transform.transformer import Transformers  # noqa: PLC0415 - slow at a cold start

    return Transformers(given, library, limits)


def parse_transformers(given: TransformerSpec) -> list[str | Mapping[str, str]]:
    """Return one transformer or a list of them as a list; expressions are parsed, saved ones are not loaded.

    Raises:
        TransformError: An expression cannot be parsed, a reference is of another form, or they are too many.
    """
    if given is None:
        return []
    from connector.transform import transformer  # noqa: PLC0415 - slow at a cold start

    return transformer.parse_transformers(given)
