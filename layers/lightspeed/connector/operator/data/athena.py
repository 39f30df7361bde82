"""The tables and views of the stored records in Athena: their definitions, and the calls that create them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.aws.botocore_errors import answer_unless
from connector.aws.bucket import Bucket
from connector.chunks import chunks
from connector.operator.data.views import DELETED, PARTS, RAW, EntityViews, views_by_folder
from connector.operator.stack import OperationFailed, Stack
from connector.storage_keys import entity_folder
from lightspeed import Clock

MANIFESTS = "_manifests"
MAX_PARTITIONS = 20_000
"""Above this number of partitions, Athena plans a query slowly."""

_KINDS = {RAW: "raw", DELETED: "deleted", MANIFESTS: "manifests"}
"""The folder of each table of an entity, by the ending of the table's name."""

_FIRST_DATE = "2024-01-01"
_AT_ONCE = 10
_WAIT_SECONDS = 1
_MAX_WAITS = 120
_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_WRITABLE = ("Description", "Owner", "Retention", "ViewOriginalText", "ViewExpandedText", "TargetTable")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with one column of text, `json`.

    Attributes:
        location: The URL of its folder.
        template: The URL of a partition's folder, with `${connection}`, `${lang}` and `${date}`.
        connections: The connections of the projection.
        languages: The languages of the projection.
    """

    name: str
    location: str
    template: str
    connections: Sequence[str]
    languages: Sequence[str]

    def parameters(self, present: Mapping[str, str]) -> dict[str, str]:
        """Return the table's parameters: the present ones, and those of the projection.

        Args:
            present: The parameters of the existing table. Its connections and languages stay in the projection.
        """
        return {
            **present,
            "EXTERNAL": "TRUE",
            "projection.enabled": "true",
            "projection.connection.type": "enum",
            "projection.connection.values": _merge_names(present.get("projection.connection.values"), self.connections),
            "projection.lang.type": "enum",
            "projection.lang.values": _merge_names(present.get("projection.lang.values"), self.languages),
            "projection.date.type": "date",
            "projection.date.format": "yyyy-MM-dd",
            "projection.date.range": f"{_FIRST_DATE},NOW",
            "storage.location.template": self.template,
        }

    def partitions(self, now: float) -> int:
        """Return the number of partitions of the projection up to now, in epoch seconds."""
        first = datetime.fromisoformat(_FIRST_DATE).replace(tzinfo=UTC)
        days = (datetime.fromtimestamp(now, UTC) - first).days
        return len(self.connections) * len(self.languages) * days

    def definition(self, present: Mapping[str, Any]) -> dict[str, Any]:
        """Return the table as Glue's `TableInput`.

        Args:
            present: The table as Glue has it; empty for a new one.
        """
        return {
            **{key: present[key] for key in _WRITABLE if key in present},
            "Name": self.name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": self.parameters(present.get("Parameters", {})),
            "PartitionKeys": [{"Name": name, "Type": "string"} for name in ("connection", "lang", "date")],
            "StorageDescriptor": {
                "Columns": [{"Name": "json", "Type": "string"}],
                "Location": self.location,
                "InputFormat": _INPUT,
                "OutputFormat": _OUTPUT,
                "SerdeInfo": {
                    "SerializationLibrary": _SERDE,
                    "Parameters": {"field.delim": "\u0001", "serialization.format": "\u0001"},
                },
            },
        }

    def statement(self) -> str:
        """Return the table as a statement of Athena."""
        properties = ",\n  ".join(f"'{name}' = '{value}'" for name, value in self.parameters({}).items())
        return (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS `{self.name}` (`json` string)\n"
            "PARTITIONED BY (`connection` string, `lang` string, `date` string)\n"
            f"ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\001'\nLOCATION '{self.location}'\n"
            f"TBLPROPERTIES (\n  {properties})"
        )


def tables_of(views: EntityViews, bucket: str, connections: Sequence[str], languages: Sequence[str]) -> list[Table]:
    """Return the tables of an entity."""
    folder = entity_folder("${connection}", views.entity)
    return [
        Table(
            views.name + end,
            f"s3://{bucket}/{kind}/",
            f"s3://{bucket}/{kind}/{folder}lang=${{lang}}/date=${{date}}/",
            connections,
            languages,
        )
        for end, kind in _KINDS.items()
    ]


def parts_query(views: EntityViews, bucket: str) -> str:
    """Return the query of the parts that the manifests of an entity name."""
    text = Path(__file__).with_name("parts.sql").read_text(encoding="utf-8")
    return text.strip().format(bucket=bucket, table=views.name + MANIFESTS)


def view_statements(views: EntityViews, bucket: str) -> dict[str, str]:
    """Return the statements that create the views of an entity, by view. A view reads the views before it."""
    queries = {views.name + PARTS: parts_query(views, bucket), **views.queries()}
    return {name: f'CREATE OR REPLACE VIEW "{name}" AS\n{query}' for name, query in queries.items()}


def stored_entities(bucket: Bucket) -> Iterator[tuple[EntityViews, list[str], list[str]]]:
    """Yield the views of the entities that have manifests, with their connections and languages."""
    known, folders = views_by_folder(), bucket.manifest_folders()
    for name in sorted({folder.entity for folder in folders} & known.keys()):
        own = [folder for folder in folders if folder.entity == name]
        connections, languages = {folder.connection for folder in own}, {folder.language for folder in own}
        yield known[name], sorted(connections), sorted(languages)


def missing_in_athena(glue: Any, database: str, bucket: Bucket) -> list[str]:
    """Return a line for each entity that Athena lacks, and for each that lacks a connection or language there."""
    lines = []
    for views, connections, languages in stored_entities(bucket):
        table = _find_table(glue, database, views.name + RAW)
        if table is None:
            lines.append(f"{views.entity} is not in Athena")
            continue
        for column, word, stored in (("connection", "connection", connections), ("lang", "language", languages)):
            known = table.get("Parameters", {}).get(f"projection.{column}.values", "").split(",")
            if absent := [value for value in stored if value not in known]:
                lines.append(f"{views.entity}: Athena does not show the {word} {', '.join(absent)}")
    return lines


def make_table(glue: Any, database: str, table: Table) -> str:
    """Create a table or add the missing members; return `created`, `updated`, or an empty text for no change."""
    present = _find_table(glue, database, table.name)
    if present is None:
        glue.create_table(DatabaseName=database, TableInput=table.definition({}))
        return "created"
    wanted = table.definition(present)
    if all(present.get(key) == value for key, value in wanted.items()):
        return ""
    glue.update_table(DatabaseName=database, TableInput=wanted, SkipArchive=True)
    return "updated"


def _find_table(glue: Any, database: str, name: str) -> dict[str, Any] | None:
    """Return a table as Glue has it; `None` if there is no such table."""
    answer = answer_unless(("EntityNotFoundException",), glue.get_table, DatabaseName=database, Name=name)
    return None if answer is None else answer["Table"]


def create_views(stack: Stack, database: str, statements: Sequence[tuple[str, str]]) -> None:
    """Run statements in the stack's workgroup, ten at once, and wait for their end.

    Args:
        stack: The deployed stack.
        database: The database of Athena.
        statements: Name and statement of each view. No view reads another one of them.

    Raises:
        OperationFailed: A statement failed.
    """
    athena = stack.client("athena")
    context = {"QueryExecutionContext": {"Database": database}, "WorkGroup": stack.outputs["CatalogWorkGroup"]}
    for some in chunks(statements, _AT_ONCE):
        started = [
            (name, athena.start_query_execution(QueryString=text, **context)["QueryExecutionId"]) for name, text in some
        ]
        for name, execution in started:
            _wait(athena, stack.clock, name, execution)


def _wait(athena: Any, clock: Clock, name: str, execution: str) -> None:
    for _ in range(_MAX_WAITS):
        status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in ("FAILED", "CANCELLED"):
            raise OperationFailed(f"Athena did not create {name}: {status.get('StateChangeReason', '')!s:.300}")
        clock.sleep(_WAIT_SECONDS)
    raise OperationFailed(f"Athena did not create {name} within {_MAX_WAITS * _WAIT_SECONDS} seconds")


def _merge_names(present: str | None, names: Sequence[str]) -> str:
    """Return comma-separated names, the present ones first and each once."""
    return ",".join(dict.fromkeys([*(present or "").split(","), *names])).strip(",")
