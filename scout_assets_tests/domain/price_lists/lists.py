"""Price lists made up for the tests, as grids or as text."""

from collections.abc import Sequence

from scout_assets.domain.grids import Cell, Sheet, Workbook
from scout_assets.domain.price_lists.model import Item, PriceList
from scout_assets.domain.price_lists.reader import ReadSettings, read_price_list

Rows = Sequence[Sequence[Cell]]


def table(text: str, delimiter: str = "|") -> list[list[Cell]]:
    """Rows of a table drawn with bars; an empty line is an empty row."""
    lines = text.strip("\n").split("\n")
    return [[cell.strip() for cell in line.split(delimiter)] for line in lines]


def book(*sheets: Sheet, name: str = "list.xlsx") -> Workbook:
    return Workbook(name, "xlsx", sheets)


def read(rows: Rows | str, settings: ReadSettings | None = None, **looks: object) -> PriceList:
    grid = table(rows) if isinstance(rows, str) else rows
    return read_price_list(book(Sheet("Prices", grid, **looks)), settings)  # type: ignore[arg-type]


def only(rows: Rows | str, **looks: object) -> Item:
    """The one item of a list."""
    (item,) = read(rows, **looks).items
    return item
