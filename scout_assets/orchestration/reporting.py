"""How assets dress: column schemas, previews, tables and counters as metadata; crashes in the log.

Belongs here: turning what happened into what Dagster shows. Does not belong here: which
numbers matter (`domain.stats`), drawing (`gateways.plots`).
"""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from scout_assets.domain.failures import Crashed, ScoutFailure
from scout_assets.domain.tables import Column, Table
from scout_assets.gateways.ledger import KnownSource
from scout_assets.gateways.plots import markdown

__all__ = [
    "PREVIEW_ROWS",
    "counters",
    "image",
    "in_full",
    "preview",
    "source_table",
    "table",
    "table_metadata",
]

PREVIEW_ROWS = 8
CELL_LENGTH = 80


def _column_schema(of: Table) -> dg.TableSchema:
    """The registry's columns as Dagster shows them, units in the description."""
    return dg.TableSchema(columns=[_column(column) for column in of.columns])


def _column(column: Column) -> dg.TableColumn:
    unit = f" [{column.unit}]" if column.unit else ""
    return dg.TableColumn(
        name=column.name,
        type=str(column.type),
        description=column.description + unit,
        constraints=dg.TableColumnConstraints(nullable=column.nullable),
    )


def table_metadata(of: Table, kind: str) -> dict[str, Any]:
    """What an asset that is one table says of it: `kind` of source, key, write mode, columns."""
    return {
        "kind": kind,
        "table": of.name,
        "key": ", ".join(of.key),
        "write mode": of.mode.value,
        "dagster/column_schema": _column_schema(of),
        "dagster/table_name": of.name,
    }


def preview(rows: pa.Table, columns: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Some columns of rows as a Markdown table."""
    return table(rows.select(list(columns)).to_pylist(), columns)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; long cells are cut."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(column)) for column in columns) for row in rows]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = " ".join(text.replace("|", "\\|").split())
    return text if len(text) <= CELL_LENGTH else text[: CELL_LENGTH - 1] + "…"


def image(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A picture inside metadata."""
    return dg.MetadataValue.md(markdown(png, title))


def counters(tally: Mapping[str, int]) -> dict[str, int]:
    """Counters as numeric metadata: Dagster draws them over time by itself."""
    return {name: int(count) for name, count in sorted(tally.items())}


def in_full(failure: ScoutFailure) -> str:
    """A failure as the run's log tells it: one that nobody foresaw with its traceback."""
    if not isinstance(failure, Crashed) or failure.__cause__ is None:
        return str(failure)
    return f"{failure}\n{''.join(traceback.format_exception(failure.__cause__))}"


def source_table(known: Iterable[KnownSource]) -> dg.MarkdownMetadataValue:
    """Sources with their state and what ails them."""
    columns = ("key", "kind", "state", "platform", "location", "last success", "failure")
    rows = (
        {
            "key": item.source.key,
            "kind": item.source.kind.value,
            "state": item.state.value,
            "platform": item.source.platform.value,
            "location": item.source.location,
            "last success": item.fetch.last_success_at,
            "failure": item.fetch.failure,
        }
        for item in known
    )
    return table(rows, columns)
