"""The `sources.yml` of dbt for the views of the stored records."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connector.operator.data.views import EntityViews


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
