"""The Lightspeed eCom (C-Series) management API over HTTP; knows nothing of AWS."""

from lightspeed.catalogue.entities import CATALOGUE, get_entity
from lightspeed.catalogue.model import Action, Endpoint, Filter, Operation
from lightspeed.client import Client, Page, WriteResponse
from lightspeed.connection import CLUSTERS, Connection
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    CatalogueError,
    InvalidConnection,
    InvalidParameters,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    ServerError,
    TransportError,
    UnexpectedResponse,
    UnknownEntity,
    UnknownLanguage,
    UnsupportedOperation,
)
from lightspeed.quota import Clock, Quota, QuotaWindow, SystemClock
from lightspeed.request import PAGE_LIMIT, Parameters, Request, build_request
from lightspeed.transport import Response, Transport

__all__ = [
    "CATALOGUE",
    "CLUSTERS",
    "PAGE_LIMIT",
    "Action",
    "AnswerLost",
    "ApiError",
    "AuthenticationError",
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
