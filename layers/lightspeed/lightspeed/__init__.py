"""The Lightspeed eCom (C-Series) management API over HTTP; knows nothing of AWS."""

import sys

try:
    import msgspec as _msgspec  # noqa: F401 - only to see that it is there
    import requests as _requests  # noqa: F401 - the same
except ModuleNotFoundError as error:
    if sys.argv[0].endswith(("-m", "tap-lightspeed-ecom")):  # `python -m lightspeed` or the script: no traceback
        advice = "install it with: pip install -r layers/lightspeed/requirements-client.txt"
        sys.exit(f"lightspeed: the Python package {error.name!r} is missing; {advice}")
    raise

from lightspeed.catalogue.entities import CATALOGUE, get_entity
from lightspeed.catalogue.model import Action, Endpoint, Filter, Operation
from lightspeed.client import Client, WriteResponse
from lightspeed.connection import CLUSTERS, Connection
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    BrokenResponse,
    CatalogueError,
    InvalidConnection,
    InvalidParameters,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    TransportError,
    UnexpectedResponse,
    UnknownEntity,
    UnknownLanguage,
    UnsupportedOperation,
)
from lightspeed.quota import Clock, Quota, QuotaWindow, SystemClock
from lightspeed.request import PAGE_LIMIT, Parameters, Request, build_request
from lightspeed.response import Page
from lightspeed.transport import Response, Transport

__all__ = [
    "CATALOGUE",
    "CLUSTERS",
    "PAGE_LIMIT",
    "Action",
    "AnswerLost",
    "ApiError",
    "AuthenticationError",
    "BrokenResponse",
    "CatalogueError",
    "Client",
    "Clock",
    "Connection",
    "Endpoint",
    "Filter",
    "InvalidConnection",
    "InvalidParameters",
    "InvalidRequest",
    "LightspeedError",
    "NotFound",
    "NotSent",
    "Operation",
    "Page",
    "Parameters",
    "PermissionDenied",
    "Quota",
    "QuotaWindow",
    "RateLimited",
    "Request",
    "Response",
    "ResponseTooLarge",
    "ServerError",
    "SystemClock",
    "Transport",
    "TransportError",
    "UnexpectedResponse",
    "UnknownEntity",
    "UnknownLanguage",
    "UnsupportedOperation",
    "WriteResponse",
    "build_request",
    "get_entity",
]
