"""Price lists made up for the tests, as grids or as text."""

from collections.abc import Sequence

from scout_assets.domain.grids import Cell, Sheet, Workbook
from scout_assets.domain.price_lists.model import Item, PriceList
from scout_assets.domain.price_lists.reader import ReadSettings, read_price_list

Rows = Sequence[Sequence[Cell]]


WINES = """
SKU    | Producer   | Wine            | Vintage | Size  | Pack | Case Price | Cases
AB-101 | Tenuta Uno | Rosso di Prova  | 2021    | 750ml | 12   | $120.00    | 31
AB-102 | Tenuta Uno | Bianco di Prova | 2023    | 750ml | 12   | $96.00     | 7
AB-103 | Tenuta Due | Riserva         | 2018    | 1.5L  | 6    | $210.50    | 0
AB-104 | Tenuta Due | Spumante Brut   | NV      | 750ml | 6    | POA        | 14
"""


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


def prices(read_list: PriceList) -> list[str | None]:
    """As printed in JSON, in the order of the items."""
    return [one["price"] for one in read_list.as_json()["items"]]
