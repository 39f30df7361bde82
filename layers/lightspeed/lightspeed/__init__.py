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

from lightspeed.catalogue.entities import CATALOGUE as CATALOGUE, get_entity as get_entity
from lightspeed.catalogue.model import Action as Action, Endpoint as Endpoint, Filter as Filter, Operation as Operation
from lightspeed.client import Client as Client, WriteResponse as WriteResponse
from lightspeed.connection import CLUSTERS as CLUSTERS, Connection as Connection
from lightspeed.errors import (
    AnswerLost as AnswerLost,
    ApiError as ApiError,
    AuthenticationError as AuthenticationError,
    BrokenResponse as BrokenResponse,
    CatalogueError as CatalogueError,
    InvalidConnection as InvalidConnection,
    InvalidParameters as InvalidParameters,
    InvalidRequest as InvalidRequest,
    LightspeedError as LightspeedError,
    NotFound as NotFound,
    NotSent as NotSent,
    PermissionDenied as PermissionDenied,
    RateLimited as RateLimited,
    ResponseTooLarge as ResponseTooLarge,
    ServerError as ServerError,
    TransportError as TransportError,
    UnexpectedResponse as UnexpectedResponse,
    UnknownEntity as UnknownEntity,
    UnknownLanguage as UnknownLanguage,
    UnsupportedOperation as UnsupportedOperation,
)
from lightspeed.clock import Clock as Clock, SystemClock as SystemClock
from lightspeed.quota import Quota as Quota, QuotaWindow as QuotaWindow
from lightspeed.request import (
    PAGE_LIMIT as PAGE_LIMIT,
    Parameters as Parameters,
    Request as Request,
    build_request as build_request,
)
from lightspeed.response import Page as Page
from lightspeed.transport import Response as Response, Transport as Transport
