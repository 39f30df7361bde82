"""An Airbyte low-code manifest of one stream, read by `airbyte-cdk` to standard output as a connector does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from airbyte_cdk.cli.source_declarative_manifest import run  # type: ignore[import-not-found,unused-ignore]

_SCHEMA = {"type": "object", "additionalProperties": True, "properties": {"id": {"type": "integer"}}}


def manifest() -> dict[str, Any]:
    """Return the manifest: Basic auth, page increments of 250, a 429 waited out as its `Retry-After` says."""
    requester = {
        "type": "HttpRequester",
        "url_base": f"{os.environ['SHOP_URL']}/nl/",
        "path": "orders.json",
        "http_method": "GET",
        "authenticator": {
            "type": "BasicHttpAuthenticator",
            "username": "{{ config['key'] }}",
            "password": "{{ config['secret'] }}",
        },
        "error_handler": {
            "type": "DefaultErrorHandler",
            "backoff_strategies": [{"type": "WaitTimeFromHeader", "header": "Retry-After"}],
        },
    }
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
        "page_size_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "limit"},
        "pagination_strategy": {
            "type": "PageIncrement",
            "page_size": 250,
            "start_from_page": 1,
            "inject_on_first_request": True,
        },
    }
    stream = {
        "type": "DeclarativeStream",
        "name": "orders",
        "primary_key": ["id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": _SCHEMA},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": requester,
            "paginator": paginator,
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["orders"]},
            },
        },
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["orders"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }


def main() -> None:
    """Read all orders."""
    landing = Path(os.environ["LANDING"])
    config = {
        "key": os.environ["SHOP_KEY"],
        "secret": os.environ["SHOP_SECRET"],
        "__injected_declarative_manifest": manifest(),
    }
    stream = {"name": "orders", "json_schema": _SCHEMA, "supported_sync_modes": ["full_refresh"]}
    catalog = {
        "streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}],
    }
    for name, value in (("config", config), ("catalog", catalog)):
        (landing / f"{name}.json").write_text(json.dumps(value))
    sys.argv[1:] = ["read", "--config", str(landing / "config.json"), "--catalog", str(landing / "catalog.json")]
    run()


if __name__ == "__main__":
    main()
