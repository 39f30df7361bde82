"""Conditional writes to a DynamoDB table.

A condition names attributes with `#` and values with `:`. After an error without an answer, the write may be done.
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
    """Put an item if the present item fulfils a condition.

    Args:
        client: The DynamoDB client.
        table: The table's name.
        item: The item in DynamoDB's form.
        condition: The condition.
        values: Values of the condition by their names, in DynamoDB's form.

    Returns:
        `None` if the item is put; else the present item, or an empty mapping if the answer does not hold it.

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
    """Delete an item if it fulfils a condition; return whether it did. Arguments and errors: `put_item`."""
    given = {"TableName": table, "Key": key, **_conditioned(condition, values)}
    return botocore_errors.answer_unless((_CONDITION_FAILED,), client.delete_item, **given) is not None


def _conditioned(condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a conditional call. DynamoDB takes no empty mapping."""
    names = {name: name[1:] for name in _NAME.findall(condition)}
    given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {"ConditionExpression": condition, **{name: value for name, value in given.items() if value}}
