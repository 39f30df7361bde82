"""Writes to a DynamoDB table that hold only under a condition.

A condition names attributes with `#`, and values with `:`. An answer that was lost may hide that the write was done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector.aws import botocore_errors

_NAME = re.compile(r"#\w+")
_CONDITION_FAILED = "ConditionalCheckFailedException"


def put_item(
    client: Any, table: str, item: Mapping[str, Any], condition: str, values: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Put an item if a condition holds.

    Args:
        client: The DynamoDB client.
        table: The table's name.
        item: In DynamoDB's form.
        condition: On the item that is there.
        values: Values of the condition by their names, in DynamoDB's form.

    Returns:
        `None` if the item is put, else the item that is there; empty if that is not known.

    Raises:
        ClientError: DynamoDB refused the call for another reason.
        BotoCoreError: DynamoDB gave no answer.
    """
    try:
        client.put_item(
            TableName=table,
            Item=item,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **_conditioned(condition, values),
        )
    except botocore_errors.ClientError as error:
        if error.response["Error"]["Code"] != _CONDITION_FAILED:
            raise
        return dict(error.response).get("Item") or {}
    return None


def delete_item(client: Any, table: str, key: Mapping[str, Any], condition: str, values: Mapping[str, Any]) -> bool:
    """Delete an item if a condition holds; return whether it held. Arguments and errors are those of `put_item`."""
    given = {"TableName": table, "Key": key, **_conditioned(condition, values)}
    return botocore_errors.answer_unless((_CONDITION_FAILED,), client.delete_item, **given) is not None


def _conditioned(condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call under a condition; DynamoDB takes no empty mapping."""
    names = {name: name[1:] for name in _NAME.findall(condition)}
    given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {"ConditionExpression": condition, **{name: value for name, value in given.items() if value}}
