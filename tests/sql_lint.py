"""Check that SQL has one meaning in Athena and DuckDB: it uses functions and types of a closed list only."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from connector.operator.data.views import FUNCTIONS

_TYPES = {exp.DataType.Type.VARCHAR, exp.DataType.Type.BIGINT, exp.DataType.Type.DECIMAL}
_LISTS = {"ARRAY(VARCHAR)", "ARRAY(JSON)"}
_NAMES: dict[type, str] = {
    exp.JSONExtractScalar: "json_extract_scalar",
    exp.JSONExtract: "json_extract",
    exp.FromISO8601Timestamp: "from_iso8601_timestamp",
    exp.Try: "try",
    exp.ArgMax: "max_by",
    exp.Struct: "row",
    exp.Coalesce: "coalesce",
    exp.Nullif: "nullif",
    exp.Count: "count",
    exp.Sum: "sum",
    exp.Max: "max",
    exp.Substring: "substr",
}
_SYNTAX = (
    exp.Select, exp.Union, exp.Subquery, exp.With, exp.CTE, exp.From, exp.Join, exp.Where, exp.Group, exp.Having,
    exp.Order, exp.Ordered, exp.Table, exp.TableAlias, exp.Alias, exp.Column, exp.Identifier, exp.Literal, exp.Null,
    exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Case,
    exp.If, exp.DPipe, exp.JSONPath, exp.JSONPathPart, exp.DataTypeParam, exp.PropertyEQ, exp.Unnest, exp.Dot,
)  # fmt: skip


def offences(sql: str) -> list[str]:
    """Return what a query uses that is not on the list, each once; empty if it is in order.

    Raises:
        sqlglot.errors.ParseError: Trino's grammar does not allow it.
    """
    found: dict[str, None] = {}
    for node in sqlglot.parse_one(sql, dialect="trino").walk():
        if _NAMES.get(type(node), "") in FUNCTIONS or isinstance(node, _SYNTAX):
            continue
        if isinstance(node, exp.Cast):
            if node.to.this not in _TYPES and node.to.sql("trino") not in _LISTS:
                found[f"CAST to {node.to.sql('trino')}"] = None
        elif not isinstance(node, exp.DataType):
            found[node.name if isinstance(node, exp.Anonymous) else type(node).__name__] = None
    return list(found)
