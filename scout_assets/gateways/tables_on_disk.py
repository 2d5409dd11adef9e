"""CSV files that people exchange with the command line.

Belongs here: reading one as text columns, writing one that a spreadsheet cannot be tricked
with. Does not belong here: price lists (`workbooks`), what the columns mean.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scout_assets.domain.failures import BadConfig

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_csv", "write_csv"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that starts so may be run by a spreadsheet (OWASP, CSV injection)."""


def read_csv(path: Path) -> "pl.DataFrame":
    """All columns as text; empty cells are null. Raises BadConfig naming the file.

    The header tells what parts the columns: a comma, or what a spreadsheet made of it.
    """
    import polars as pl  # heavy: not for other commands

    try:
        return pl.read_csv(path, infer_schema=False, separator=_separator(path))
    except FileNotFoundError:
        raise BadConfig(f"there is no file {path}") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadConfig(f"{path} cannot be read as CSV: {error}") from error


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        header = lines.readline()
    return max(",;\t|", key=header.count)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Rows as CSV in UTF-8; a cell that would be a formula gets an apostrophe before it.

    Raises BadConfig where the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # so that a cell with either is quoted
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_harmless(row.get(column)) for column in columns])
        count += 1
    try:
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise BadConfig(f"cannot write {path}: {error.strerror}") from error
    return count


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
