"""A DynamoDB table in memory, for tests that make tens of thousands of calls; moto's is a hundred times slower.

It knows the few expressions that the publish function and Powertools write; the same code runs against moto elsewhere.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
_TERM = re.compile(
    r"attribute_not_exists\((?P<missing>#?\w+)\)|attribute_exists\((?P<there>#?\w+)\)"
    r"|(?P<left>#?\w+) (?P<sign><=|<|=) (?P<right>:\w+)"
)
_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")


class Table:
    """Items by key, behind the client's own methods.

    Attributes:
        items: By key.
        step: Called before and after every write; it may end the process.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.step: Callable[[], None] = lambda: None

    def put_item(self, **asked: Any) -> dict[str, Any]:
        key = asked["Item"]["id"]["S"]
        self._check(key, asked)
        self._write(key, copy.deepcopy(asked["Item"]))
        return {}

    def get_item(self, **asked: Any) -> dict[str, Any]:
        item = self.items.get(asked["Key"]["id"]["S"])
        return {} if item is None else {"Item": copy.deepcopy(item)}

    def delete_item(self, **asked: Any) -> dict[str, Any]:
        key = asked["Key"]["id"]["S"]
        self._check(key, asked)
        self._write(key, None)
        return {}

    def batch_get_item(self, **asked: Any) -> dict[str, Any]:
        self.step()
        ((table, keys),) = asked["RequestItems"].items()
        items = [self.items[key["id"]["S"]] for key in keys["Keys"] if key["id"]["S"] in self.items]
        return {"Responses": {table: copy.deepcopy(items)}, "UnprocessedKeys": {}}

    def transact_write_items(self, **asked: Any) -> dict[str, Any]:
        self.step()
        puts = [part["Put"] for part in asked["TransactItems"]]
        for put in puts:
            try:
                self._check(put["Item"]["id"]["S"], put)
            except ClientError as error:
                reasons: Any = {"CancellationReasons": [{"Code": "ConditionalCheckFailed"}]}
                raise ClientError({**error.response, **reasons}, "TransactWriteItems") from error
        self.items |= {put["Item"]["id"]["S"]: copy.deepcopy(put["Item"]) for put in puts}
        self.step()
        return {}

    def update_item(self, **asked: Any) -> dict[str, Any]:
        key = asked["Key"]["id"]["S"]
        self._check(key, asked)
        before = self.items.get(key)
        item = copy.deepcopy(before or asked["Key"])
        names, values = asked.get("ExpressionAttributeNames", {}), asked["ExpressionAttributeValues"]
        _, *parts = _CLAUSE.split(asked["UpdateExpression"])
        for clause, text in zip(parts[::2], parts[1::2], strict=True):
            for change in text.split(","):
                name, *value = [word for word in change.split() if word != "="]
                found = None
                if value:
                    found = values[value[0]] if value[0] in values else (before or {})[names[value[0]]]
                _apply(item, clause, names.get(name, name), found)
        self._write(key, item)
        return {"Attributes": copy.deepcopy(before)} if before else {}

    def _write(self, key: str, item: Item | None) -> None:
        self.step()
        if item is None:
            self.items.pop(key, None)
        else:
            self.items[key] = item
        self.step()

    def _check(self, key: str, asked: dict[str, Any]) -> None:
        item = self.items.get(key, {})
        condition = asked.get("ConditionExpression", "")
        if all(self._holds(part, item, asked) for part in condition.split(" AND ") if part):
            return
        error: Any = {"Error": {"Code": "ConditionalCheckFailedException"}}
        raise ClientError({**error, "Item": copy.deepcopy(item)} if item else error, "Write")

    @staticmethod
    def _holds(part: str, item: Item, asked: dict[str, Any]) -> bool:
        names = asked.get("ExpressionAttributeNames", {})
        for term in _TERM.finditer(part):
            if term["missing"]:
                if names.get(term["missing"], term["missing"]) not in item:
                    return True
                continue
            if term["there"]:
                if names.get(term["there"], term["there"]) in item:
                    return True
                continue
            present = item.get(names.get(term["left"], term["left"]))
            wanted = asked["ExpressionAttributeValues"][term["right"]]
            if present is not None and _compare(_plain(present), term["sign"], _plain(wanted)):
                return True
        return False


def _apply(item: Item, clause: str, name: str, value: Any) -> None:
    if clause == "SET":
        item[name] = value
    elif clause == "REMOVE":
        item.pop(name, None)
    else:
        present = set(item.get(name, {"SS": []})["SS"])
        left = present | set(value["SS"]) if clause == "ADD" else present - set(value["SS"])
        item.pop(name, None)
        if left:
            item[name] = {"SS": sorted(left)}


def _plain(value: dict[str, Any]) -> Any:
    return int(value["N"]) if "N" in value else value["S"]


def _compare(present: Any, sign: str, wanted: Any) -> bool:
    return bool({"=": present == wanted, "<": present < wanted, "<=": present <= wanted}[sign])
