"""How answers are printed: tables, JSON, failures without a traceback.

Belongs here: what all commands share. Does not belong here: any command.
"""

import functools
import getpass
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from scout_assets.domain.failures import Crashed, ScoutFailure

__all__ = [
    "JSON_OBJECT",
    "By",
    "Format",
    "err",
    "explained",
    "named",
    "now",
    "out",
    "print_json",
    "print_table",
]

PIPED_WIDTH = 140
"""Columns when the output is not a terminal, which has no width of its own."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, soft_wrap=True)  # a path cut in two is no path

JSON_OBJECT = "One JSON object or list"
By = Annotated[str, typer.Option("--by", envvar="SCOUT_ACTOR", help="Who says so")]

P = ParamSpec("P")
R = TypeVar("R")


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Print a failure of ours as a message; only a crash brings its traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ScoutFailure as failure:
            err.print(f"[bold red]{type(failure).__name__}[/]: ", end="")
            err.print(str(failure), markup=False, highlight=False)
            if isinstance(failure, Crashed):
                err.print("".join(traceback.format_exception(failure.__cause__)), markup=False)
            raise typer.Exit(1) from None

    return run


def named(by: str) -> str:
    """Who changes a declaration: a name that was given, else that of the login."""
    return by.strip() or getpass.getuser()


def now() -> datetime:
    return datetime.now(UTC)


def print_json(value: object) -> None:
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2)
    typer.echo(text.decode())


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"cannot print {type(value).__name__} as JSON")


def print_table(title: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
