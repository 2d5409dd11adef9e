"""What is recorded beside the code, and fails a test when it lags behind.

`python -m scout_assets_tests.recorded` writes it anew; read the diff before you commit it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scout_assets.definitions import build_defs
from scout_assets.domain.tables import TABLES, Table
from scout_assets.gateways.warehouse_views import VIEWS

PROJECT = Path(__file__).parents[1]
DEFINITIONS = PROJECT / "scout_assets_tests" / "definitions.json"
TABLES_PAGE = PROJECT / "docs" / "tables.md"


def definitions() -> dict[str, Any]:
    """Everything a user of the graph sees, without its prose and column schemas."""
    repository = build_defs().get_repository_def()
    assets = {}
    for key in repository.asset_graph.get_all_asset_keys():
        spec = repository.asset_graph.get(key)
        assets[key.to_user_string()] = {
            "deps": sorted(parent.to_user_string() for parent in spec.parent_keys),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "tags": {k: v for k, v in sorted(spec.tags.items()) if not k.startswith("dagster/")},
            "code_version": spec.code_version,
            "partitions": spec.partitions_def.name if spec.partitions_def else None,
            "backfill": str(spec.backfill_policy),
            "automated": spec.automation_condition is not None,
        }
    checks = repository.asset_graph.asset_check_keys
    return {
        "assets": dict(sorted(assets.items())),
        "checks": sorted(f"{c.asset_key.to_user_string()}: {c.name}" for c in checks),
        "jobs": sorted(job.name for job in repository.get_all_jobs() if "__" not in job.name),
        "sensors": {s.name: s.default_status.value for s in repository.sensor_defs},
    }


def tables_page() -> str:
    """docs/tables.md, from the registry."""
    return "\n".join([*_head(), *(line for table in TABLES.values() for line in _table(table))])


def _head() -> Iterator[str]:
    yield "# Tables"
    yield ""
    yield "In `.scout/warehouse.duckdb`. A partition is the rows of one (kind, source)."
    yield f"Views: {', '.join(f'`{name}`' for name in VIEWS)}."


def _table(table: Table) -> Iterator[str]:
    yield ""
    yield f"## {table.name}"
    yield ""
    yield f"{table.description}. Key: {', '.join(table.key)}. Written by: {table.mode.value}."
    yield ""
    yield "| column | type | | meaning |"
    yield "|---|---|---|---|"
    for column in table.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        nullable = "may be null" if column.nullable else ""
        yield f"| {column.name} | {column.type} | {nullable} | {column.description}{unit} |"


def main() -> None:
    DEFINITIONS.write_text(json.dumps(definitions(), indent=1) + "\n")
    TABLES_PAGE.write_text(tables_page() + "\n")


if __name__ == "__main__":
    main()
