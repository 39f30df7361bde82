"""`catalog`: create the tables and views in Athena, and describe them to dbt.

The template creates the database and the workgroup, but not the tables: their partition projection names each
connection and language, and new ones come later. An update keeps the members of a table and adds to them.

Examples:
  python -m connector catalog apply
  python -m connector catalog apply --save-sql catalog.sql     creates nothing; run the file in Athena yourself
  python -m connector catalog check                            lists connections and languages that Athena does not show
  python -m connector catalog dbt > models/sources.yml         dbt-athena: the views as sources
  python -m connector catalog dbt --parquet lake               dbt-duckdb: files that `query --out` writes as sources
  python -m connector query orders_current --out lake/orders_current.parquet
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.aws.botocore_errors import answer_unless
from connector.aws.bucket import Bucket
from connector.chunks import chunks
from connector.operator.data.views import DELETED, FIELDS, PARTS, RAW, EntityViews, views_by_folder, views_named
from connector.operator.parsers import add_command, add_group
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.storage_keys import entity_folder
from lightspeed import Clock
from lightspeed.cli.output import print_note

APPLY = "python -m connector catalog apply"
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


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    verbs = add_group(commands, "catalog", "create the tables and views in Athena", __doc__)
    text = "create or update the tables and views of every entity with stored records"
    parser = add_command(verbs, common, "apply", text, __doc__, _apply)
    parser.add_argument("--save-sql", type=Path, metavar="FILE", help="write the SQL, and create nothing")
    text = "list the connections and languages that Athena does not show; exit with 1 if there are any"
    add_command(verbs, common, "check", text, __doc__, _check)
    parser = add_command(verbs, common, "dbt", "print the views as sources of dbt", __doc__, _dbt)
    parser.add_argument("entities", nargs="*", metavar="ENTITY", help=f"default: {', '.join(FIELDS)}")
    parser.add_argument(
        "--parquet", default="", metavar="DIR", help="for dbt-duckdb: the folder of the files of `query`"
    )
    parser.add_argument("--database", default="", metavar="NAME", help="for dbt-athena (default: the stack's database)")


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


def _apply(arguments: argparse.Namespace, stack: Stack) -> int:
    bucket, database = stack.settings.bucket, _database(stack)
    stored = list(_stored_entities(stack.bucket))
    if not stored:
        raise OperationFailed("no run has finished yet, so Athena has no records to show")
    tables = [table for views, names, languages in stored for table in tables_of(views, bucket, names, languages)]
    statements = [view_statements(views, bucket) for views, _, _ in stored]
    _warn(tables, stack.clock.time())
    if arguments.save_sql is not None:
        texts = [table.statement() for table in tables] + [text for views in statements for text in views.values()]
        head = f"-- For Athena. Run the statements one after the other in the database {database}.\n"
        arguments.save_sql.write_text(head + ";\n\n".join(texts) + ";\n", encoding="utf-8")
        return 0
    glue = stack.client("glue")
    done = [_make_table(glue, database, table) for table in tables]
    for level in zip(*(views.items() for views in statements), strict=True):
        _run_all(stack, database, level)
    shown = sorted({name for _, names, _ in stored for name in names})
    sys.stdout.write(
        f"{len(stored)} entities: {done.count('created')} tables created, {done.count('updated')} updated, "
        f"{done.count('')} unchanged; {sum(map(len, statements))} views created\n"
        f"Athena shows {', '.join(shown)}. "
        "Run this again after the first run of a new connection, language or entity.\n"
    )
    return 0


def _check(_: argparse.Namespace, stack: Stack) -> int:
    lines = missing_in_athena(stack.client("glue"), _database(stack), stack.bucket)
    if not lines:
        sys.stdout.write("Athena shows every connection and language\n")
        return 0
    sys.stdout.writelines(f"{line}; run: {APPLY}\n" for line in lines)
    return 1


def missing_in_athena(glue: Any, database: str, bucket: Bucket) -> list[str]:
    """Return a line for each entity that Athena lacks, and for each that lacks a connection or language there."""
    lines = []
    for views, connections, languages in _stored_entities(bucket):
        table = _table(glue, database, views.name + RAW)
        if table is None:
            lines.append(f"{views.entity} is not in Athena")
            continue
        for column, word, stored in (("connection", "connection", connections), ("lang", "language", languages)):
            known = table.get("Parameters", {}).get(f"projection.{column}.values", "").split(",")
            if absent := [value for value in stored if value not in known]:
                lines.append(f"{views.entity}: Athena does not show the {word} {', '.join(absent)}")
    return lines


def _dbt(arguments: argparse.Namespace, stack: Stack) -> int:
    if arguments.parquet and arguments.database:
        raise CommandError("--parquet is for dbt-duckdb and --database for dbt-athena; give one of them")
    entities = views_named(arguments.entities or list(FIELDS))
    schema = "" if arguments.parquet else arguments.database or _database(stack)
    sys.stdout.write(sources(entities, schema=schema, parquet=arguments.parquet.rstrip("/")))
    return 0


def sources(entities: Sequence[EntityViews], *, schema: str = "", parquet: str = "") -> str:
    """Return a `sources.yml` with the two views of each entity. Its texts are quoted as JSON, which is valid YAML.

    Args:
        entities: The entities' views.
        schema: The database of Athena; empty for DuckDB.
        parquet: The folder of the files that dbt-duckdb reads, `<view>.parquet`; empty for Athena.
    """
    lines = ["version: 2", "", "sources:", "  - name: lightspeed"]
    if parquet:
        lines += [
            "    config:",
            "      meta:",
            f"        external_location: {json.dumps(f'{parquet}/{{name}}.parquet')}",
        ]
    else:
        lines += ["    database: awsdatacatalog", f"    schema: {json.dumps(schema)}"]
    lines.append("    tables:")
    for views in entities:
        for name, what in ((views.name, "every stored version"), (views.name + "_current", "the latest version")):
            lines += [
                f"      - name: {name}",
                f"        description: {json.dumps(f'{views.entity}: {what} of each record')}",
                "        columns:",
            ]
            lines += [f"          - name: {column}\n            data_type: {kind}" for column, kind in views.columns()]
    return "\n".join(lines) + "\n"


def _database(stack: Stack) -> str:
    """Return the name of Athena's database."""
    database = stack.outputs.get("CatalogDatabase", "")
    if not database:
        raise CommandError("the stack has no catalogue; deploy it with the parameter CatalogDatabase=<name>")
    return database


def _stored_entities(bucket: Bucket) -> Iterator[tuple[EntityViews, list[str], list[str]]]:
    """Yield the views of the entities that have manifests, with their connections and languages."""
    known, folders = views_by_folder(), bucket.manifest_folders()
    for name in sorted({folder.entity for folder in folders} & known.keys()):
        own = [folder for folder in folders if folder.entity == name]
        connections, languages = {folder.connection for folder in own}, {folder.language for folder in own}
        yield known[name], sorted(connections), sorted(languages)


def _warn(tables: Iterable[Table], now: float) -> None:
    days = int(now - datetime.fromisoformat(_FIRST_DATE).replace(tzinfo=UTC).timestamp()) // 86_400
    for table in tables:
        partitions = len(table.connections) * len(table.languages) * days
        if table.name.endswith(RAW) and partitions > MAX_PARTITIONS:
            advice = 'name connection, lang or "date" in WHERE, or queries are slow'
            print_note(f"{table.name} has about {partitions} partitions; {advice}", "connector")


def _make_table(glue: Any, database: str, table: Table) -> str:
    """Create a table or add the missing members; return `created`, `updated`, or an empty text for no change."""
    present = _table(glue, database, table.name)
    if present is None:
        glue.create_table(DatabaseName=database, TableInput=table.definition({}))
        return "created"
    wanted = table.definition(present)
    if all(present.get(key) == value for key, value in wanted.items()):
        return ""
    glue.update_table(DatabaseName=database, TableInput=wanted, SkipArchive=True)
    return "updated"


def _table(glue: Any, database: str, name: str) -> dict[str, Any] | None:
    """Return a table as Glue has it; `None` if there is no such table."""
    answer = answer_unless(("EntityNotFoundException",), glue.get_table, DatabaseName=database, Name=name)
    return None if answer is None else answer["Table"]


def _run_all(stack: Stack, database: str, statements: Sequence[tuple[str, str]]) -> None:
    """Run named statements in the stack's workgroup, ten at once, and wait for their end. None depends on another.

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
