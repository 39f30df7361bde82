"""Gives the deployed HTTP API its routes and its authorizer.

SAM writes them into the OpenAPI `Body` of the API. CloudFormation on AWS imports this body; the emulator ignores it. So
this module creates them from the body through the API of API Gateway.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.local.emulator import Emulator

INTEGRATION = "x-amazon-apigateway-integration"
AUTHORIZER = "x-amazon-apigateway-authorizer"
DEFAULT = "$default"
METHODS = {"x-amazon-apigateway-any-method": "ANY"}
FUNCTION_REFERENCE = re.compile(r"\$\{(\w+)\.Arn\}")


def serve(emulator: Emulator, stack_name: str) -> str:
    """Create integrations, routes and authorizers of the stack's HTTP API.

    Returns:
        The URL that takes the place of the API's origin.
    """
    processed = _processed_template(emulator, stack_name)
    resources = _physical_ids(emulator, stack_name)
    logical_id = next(name for name, row in processed.items() if row["Type"] == "AWS::ApiGatewayV2::Api")
    body = processed[logical_id]["Properties"]["Body"]
    api_id = resources[logical_id]
    gateway = emulator.client("apigatewayv2")
    arns = _function_arns(emulator, processed, resources)

    authorizers = {
        name: _create_authorizer(gateway, api_id, name, scheme[AUTHORIZER], arns)
        for name, scheme in body["components"]["securitySchemes"].items()
        if AUTHORIZER in scheme
    }
    for path, operations in body["paths"].items():
        for verb, operation in operations.items():
            route = path if path == DEFAULT else f"{METHODS.get(verb, verb.upper())} {path}"
            _create_route(gateway, api_id, route, operation, authorizers, arns)
    return f"{emulator.endpoint}/_aws/execute-api/{api_id}/$default"


def _create_authorizer(gateway: Any, api_id: str, name: str, stated: dict[str, Any], arns: Mapping[str, str]) -> str:
    created = gateway.create_authorizer(
        ApiId=api_id,
        Name=name,
        AuthorizerType=stated["type"].upper(),
        AuthorizerUri=_function_arn(stated["authorizerUri"], arns),
        AuthorizerPayloadFormatVersion=stated["authorizerPayloadFormatVersion"],
        AuthorizerResultTtlInSeconds=stated["authorizerResultTtlInSeconds"],
        EnableSimpleResponses=stated["enableSimpleResponses"],
        IdentitySource=stated["identitySource"],
    )
    return str(created["AuthorizerId"])


def _create_route(
    gateway: Any,
    api_id: str,
    route: str,
    operation: dict[str, Any],
    authorizers: Mapping[str, str],
    arns: Mapping[str, str],
) -> None:
    integration = gateway.create_integration(
        ApiId=api_id,
        IntegrationType=operation[INTEGRATION]["type"].upper(),
        IntegrationUri=_function_arn(operation[INTEGRATION]["uri"], arns),
        PayloadFormatVersion=operation[INTEGRATION]["payloadFormatVersion"],
    )
    security = operation.get("security", [])
    if isinstance(security, dict):  # the template's choice between signed calls and tokens
        security = security["Fn::If"][2]
    required = [name for scheme in security for name in scheme if name in authorizers]
    guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": authorizers[required[0]]} if required else {}
    target = f"integrations/{integration['IntegrationId']}"
    gateway.create_route(ApiId=api_id, RouteKey=route, Target=target, **guard)


def _function_arn(uri: Any, arns: Mapping[str, str]) -> str:
    """Return the ARN of the function in the URI of an integration or authorizer."""
    named = FUNCTION_REFERENCE.search(json.dumps(uri)) or re.search(r'"Fn::GetAtt": \["(\w+)"', json.dumps(uri))
    if named is None:
        raise ValueError(f"names no function of the stack: {uri}")
    return arns[named.group(1)]


def _function_arns(emulator: Emulator, processed: dict[str, Any], resources: Mapping[str, str]) -> dict[str, str]:
    functions = emulator.client("lambda")
    return {
        name: functions.get_function_configuration(FunctionName=resources[name])["FunctionArn"]
        for name, row in processed.items()
        if row["Type"] == "AWS::Lambda::Function"
    }


def _processed_template(emulator: Emulator, stack_name: str) -> dict[str, Any]:
    cloudformation = emulator.client("cloudformation")
    body = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    parsed: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
    rows: dict[str, Any] = parsed["Resources"]
    return rows


def _physical_ids(emulator: Emulator, stack_name: str) -> dict[str, str]:
    pages = emulator.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    rows = [row for page in pages for row in page["StackResourceSummaries"]]
    return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
