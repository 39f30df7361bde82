"""JSONata transformers: rewrite requests and records inside bounds. Errors name the expression and the position.

Importing the engine makes a cold start slower. So `load` and `parse_transformers` import it if a transformer is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
    "check_rejected",
    "load",
    "parse_transformers",
]


def load(spec: TransformerSpec, library: Library | None = None) -> Transformers | None:
    """Return the transformers of a request, or `None` if the event has none. Arguments and errors: `Transformers`."""
    if not spec:
        return None
    from connector.transform.transformer import Transformers  # noqa: PLC0415 - slow at a cold start

    return Transformers(spec, library)


def parse_transformers(spec: TransformerSpec) -> list[str | Mapping[str, str]]:
    """Return the transformers of an event as a list. See `transformer.parse_transformers`."""
    if spec is None:
        return []
    from connector.transform import transformer  # noqa: PLC0415 - slow at a cold start

    return transformer.parse_transformers(spec)
