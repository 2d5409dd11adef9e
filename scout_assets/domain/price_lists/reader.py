"""Reads a workbook as a price list, by itself: sheets, tables, columns, sections, items.

Belongs here: going through sheets and tables, and what is reported about them. Does not belong
here: each of the decisions (`headers`, `columns`, `rows`, `sections`, `items`).

Counters: `sheets/<role>`, `items/read`, `items/without_price`, `items/hidden`,
`items/duplicate`, `items/duplicate_other_price`, `items/gtin_invalid`, `rows/quarantined`,
`rows/banner`, `rows/second_line`, `rows/note`, `rows/header`, `rows/total`; and those of the
workbook.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.grids import Sheet, Workbook, column_letter, shown
from scout_assets.domain.lexicon import fold
from scout_assets.domain.price_lists.columns import Columns, PriceColumn, find_columns
from scout_assets.domain.price_lists.headers import Header, blocks, filled, find_headers
from scout_assets.domain.price_lists.items import Context, Maker
from scout_assets.domain.price_lists.model import (
    ColumnUse,
    Item,
    PriceList,
    Reject,
    Role,
    SheetReport,
    marked_duplicates,
)
from scout_assets.domain.price_lists.rows import Kind, Line, classify
from scout_assets.domain.price_lists.sections import Sections, banner_text
from scout_assets.domain.price_lists.words import currency_of, field_scores, is_plain_dollar

__all__ = ["ReadSettings", "read_price_list"]


@dataclass(frozen=True)
class ReadSettings:
    """What the configuration of a source overrules.

    column_mapping: field to header text or column letter; sheet_name: the only sheet to read;
    currency: ISO 4217 code where the list does not say.
    """

    column_mapping: Mapping[str, str] = field(default_factory=dict)
    sheet_name: str | None = None
    include_hidden_sheets: bool = False
    currency: str | None = None


def read_price_list(workbook: Workbook, settings: ReadSettings | None = None) -> PriceList:
    """All items of a workbook, whatever its layout; never raises for what cells hold.

    Raises BadConfig for a sheet, field or column that the settings name and that does not exist.
    """
    return _Reading(workbook, settings or ReadSettings()).read()


@dataclass(frozen=True)
class _Table:
    """Rows (filled, below the header) that share columns."""

    header: Header | None
    rows: Sequence[int]


@dataclass
class _SheetRead:
    """What one sheet gave. `bare`: its one table, when it has no header and may be no list.

    `parts`: the tables side by side, where there are several.
    """

    sheet: Sheet
    tables: list[tuple[_Table, Columns, list[Line]]] = field(default_factory=list)
    borrowed: bool = False
    bare: tuple[_Table, Columns] | None = None
    parts: "list[_SheetRead]" = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(line.kind is Kind.ITEM for _, _, lines in self.tables for line in lines)


class _Reading:
    """One workbook being read."""

    def __init__(self, workbook: Workbook, settings: ReadSettings) -> None:
        self._workbook = workbook
        self._settings = settings
        self._counters = Counter(workbook.counters)
        self._unsure = bool(workbook.counters["text/charset_unsure"])
        self._notices = list(workbook.notices)
        self._items: list[Item] = []
        self._rejects: list[Reject] = []
        self._reports: list[SheetReport] = []
        self._missed = dict(settings.column_mapping)
        self._labels: dict[str, None] = {}

    def read(self) -> PriceList:
        chosen = list(self._chosen())
        reads = {sheet.name: self._scan_whole(sheet) for sheet in chosen}
        self._refuse_missed()
        for name, one in reads.items():
            reads[name] = self._with_borrowed_header(one, list(reads.values()))
        context = self._context(list(reads.values()))
        for sheet in self._workbook.sheets:
            if sheet.name in reads:
                self._make(reads[sheet.name], context)
            else:
                self._skip(sheet)
        return PriceList(
            items=marked_duplicates(self._items, self._counters),
            sheets=tuple(self._reports),
            quarantine=tuple(self._rejects),
            notices=tuple(self._notices),
            counters=dict(sorted((+self._counters).items())),
        )

    def _chosen(self) -> Iterator[Sheet]:
        wanted = self._settings.sheet_name
        names = [sheet.name for sheet in self._workbook.sheets]
        if wanted is not None and fold(wanted).strip() not in [
            fold(name).strip() for name in names
        ]:
            raise BadConfig(f"sheet_name: no sheet {wanted!r}; there are {', '.join(names)}")
        for sheet in self._workbook.sheets:
            if wanted is not None:
                if fold(sheet.name).strip() == fold(wanted).strip():
                    yield sheet
            elif not sheet.hidden or self._settings.include_hidden_sheets:
                yield sheet

    def _refuse_missed(self) -> None:
        """A declared column that no table has: the list has changed, or the word is wrong."""
        if self._missed:
            wanted = ", ".join(f"{name}: {header!r}" for name, header in self._missed.items())
            there = ", ".join(repr(label) for label in self._labels) or "none"
            raise BadConfig(f"column_mapping: no table has {wanted}; the headers are {there}")

    def _skip(self, sheet: Sheet) -> None:
        self._counters["sheets/hidden"] += not sheet.hidden
        why = "hidden" if sheet.hidden else "not the sheet to read"
        self._notices.append(f"sheet {sheet.name!r} is {why} and was skipped")
        self._reports.append(SheetReport(name=sheet.name, role=Role.HIDDEN, reasons=(why,)))

    # Tables

    def _scan_whole(self, sheet: Sheet) -> _SheetRead:
        """What a sheet gives; tables side by side are read one after the other."""
        parts = [self._scan(block) for block in blocks(sheet)]
        if len(parts) == 1:
            return parts[0]
        return _SheetRead(sheet, [table for part in parts for table in part.tables], parts=parts)

    def _scan(self, sheet: Sheet, labels: Mapping[int, str] | None = None) -> _SheetRead:
        read = _SheetRead(sheet, borrowed=labels is not None)
        mapping = self._settings.column_mapping
        tables = list(_tables(sheet, labels, mapping.values()))
        for table in tables:
            columns = find_columns(sheet, table.header, table.rows, mapping)
            self._labels.update(dict.fromkeys(columns.labels.values()))
            for name in columns.declared:
                self._missed.pop(name, None)
            if _is_list(columns, table, bool(mapping) and len(tables) == 1):
                lines = classify(sheet, table.header, columns, table.rows)
                if any(line.kind is Kind.ITEM for line in lines):
                    read.tables.append((table, columns, lines))
            if len(tables) == 1 and table.header is None:
                read.bare = table, columns
        return read

    def _with_borrowed_header(self, one: _SheetRead, others: Sequence[_SheetRead]) -> _SheetRead:
        """A table without header, laid out as one of another sheet, has the same labels."""
        if one.bare is None:
            return one
        best, labels = 0, None
        for other in others:
            for table, columns, _ in other.tables if other is not one else ():
                if table.header is not None:
                    alike = self._likeness(one, columns)
                    if alike > best:
                        best, labels = alike, columns.labels
        return self._scan(one.sheet, labels) if labels is not None else one

    def _likeness(self, one: _SheetRead, other: Columns) -> int:
        """Number of columns that a table without header shares with another; 0 for too few.

        What by itself is no list must show names and another field by its values, and with
        the labels have every column of the other where that has it.
        """
        if one.bare is None:
            return 0
        table, shown_by_values = one.bare
        alike = _alike(shown_by_values, other)
        if one.tables:
            return alike if alike >= _LEAST_ALIKE else 0
        if "name" not in shown_by_values.fields or alike < _LEAST_SHOWN or not other.prices:
            return 0
        mapping = self._settings.column_mapping
        mine = find_columns(one.sheet, Header((), other.labels), table.rows, mapping)
        alike = _alike(mine, other)
        return alike if alike == len(other.fields) + len(other.prices) else 0

    # Context

    def _context(self, reads: Sequence[_SheetRead]) -> Context:
        """Currencies that notes, titles and headers name; the file's, for sheets without one."""
        texts = [text for read in reads for text in _notes(read)]
        texts += [sheet.name for sheet in self._workbook.sheets]
        found = [currency_of(text) for text in texts if not is_plain_dollar(text)]
        named = [currency for currency in found if currency]
        dollar = next((c for c in named if c in _DOLLARS), None)
        declared = self._settings.currency
        if dollar is None and declared in _DOLLARS:
            dollar = declared
        usual = Counter(named).most_common(1)
        return Context(usual[0][0] if usual else declared, dollar, _usual_basis(reads))

    # Items

    def _make(self, read: _SheetRead, context: Context) -> None:
        before = len(self._items), len(self._rejects)
        for part in read.parts or [read]:
            sections = Sections(part.sheet, list(_runs(part)))
            for table, columns, lines in part.tables:
                self._make_table(part.sheet, table, columns, lines, sections, context)
        made = self._items[before[0] :]
        report = _report(read, made, len(self._rejects) - before[1])
        if report.role is Role.ITEMS and (self._unsure or _is_garbled(made)):
            report = _doubted(report)
        self._counters[f"sheets/{report.role.value}"] += 1
        self._reports.append(report)

    def _make_table(
        self,
        sheet: Sheet,
        table: _Table,
        columns: Columns,
        lines: Sequence[Line],
        sections: Sections,
        context: Context,
    ) -> None:
        name = columns.fields.get("name", -1)
        names = [shown(line.cells.get(name)) for line in lines if line.kind is Kind.ITEM]
        context = _own_context(sheet, columns, context)
        maker = Maker(sheet, columns, context, names[:: max(1, len(names) // 300)])
        below: dict[int, list[Line]] = {}
        for line in lines:
            if line.item is not None:
                below.setdefault(line.item, []).append(line)
        if table.header is not None and table.header.rows:
            sections.enter(table.header.rows[-1])
        for line in lines:
            self._counters[f"rows/{line.kind.name.lower()}"] += line.kind is not Kind.ITEM
            if line.kind is Kind.BANNER:
                sections.enter(line.row)
            elif line.kind is Kind.ITEM:
                self._take(maker.make(line, below.get(line.row, ()), sections.path))
            elif line.kind is Kind.NAMELESS:
                self._take(
                    maker.reject(line, "no name; the row has a price but no text that could be one")
                )
        self._counters.update(maker.counters)

    def _take(self, made: Item | Reject) -> None:
        if isinstance(made, Reject):
            self._counters["rows/quarantined"] += 1
            self._rejects.append(made)
            return
        self._counters["items/read"] += 1
        self._counters["items/without_price"] += made.price is None
        self._counters["items/hidden"] += made.hidden
        self._items.append(made)


_DOLLARS = ("AUD", "CAD", "NZD", "HKD", "SGD", "TWD", "MXN", "CLP", "COP", "ARS")


def _tables(
    sheet: Sheet, labels: Mapping[int, str] | None, wanted: Collection[str]
) -> Iterator[_Table]:
    headers = find_headers(sheet, wanted)
    kept = [row for row in range(len(sheet.rows)) if filled(sheet.rows[row])]
    if labels is not None:
        yield _Table(Header((), labels), kept)
        return
    ends = [*(header.rows[0] for header in headers), len(sheet.rows)][1:]
    first = headers[0].rows[0] if headers else len(sheet.rows)
    if kept and kept[0] < first:
        yield _Table(None, [row for row in kept if row < first])
    merged: list[tuple[Header, list[int]]] = []
    for header, end in zip(headers, ends, strict=True):
        rows = [row for row in kept if header.rows[-1] < row < end]
        if merged and merged[-1][0].labels == header.labels:
            merged[-1][1].extend(rows)
        else:
            merged.append((header, rows))
    yield from (_Table(header, rows) for header, rows in merged)


def _is_list(columns: Columns, table: _Table, declared: bool) -> bool:
    """Whether a table is a list of goods: it has names, and prices or codes that can be trusted.

    `declared`: its columns are, so that it needs no header to be believed.
    """
    if "name" not in columns.fields:
        return False
    if table.header is not None or declared:
        keys = (columns.scores.get(name, 0.0) >= 1.0 for name in ("sku", "gtin"))
        return bool(columns.prices) or any(keys)
    sure = any(
        columns.profiles[p.column].money >= 0.4 or columns.profiles[p.column].decimal >= 0.4
        for p in columns.prices
    )
    return sure and len(table.rows) >= 3


_LEAST_ALIKE = 4
"""Columns that two sheets share at least to be laid out alike, by values alone."""
_LEAST_SHOWN = 2
"""The same, where the labels must fit too."""


def _alike(one: Columns, other: Columns) -> int:
    """Number of columns that two tables read as the same field."""
    same = sum(other.fields.get(name) == column for name, column in one.fields.items())
    prices = {price.column for price in one.prices} & {price.column for price in other.prices}
    return same + len(prices)


def _runs(read: _SheetRead) -> Iterator[list[tuple[int, int, str]]]:
    """Banners of a sheet in groups without an item between them."""
    run: list[tuple[int, int, str]] = []
    for table, columns, lines in read.tables:
        title = _title(table, columns)
        if title is not None:
            run = [title]
        for line in lines:
            if line.kind is Kind.BANNER:
                found = banner_text(line.cells)
                if found is not None:
                    run.append((line.row, *found))
            elif line.kind is Kind.ITEM and run:
                yield run
                run = []
    if run:
        yield run


def _title(table: _Table, columns: Columns) -> tuple[int, int, str] | None:
    """A title that stands in the header in place of the word for names: "Spring 2024 (6x75cl)"."""
    if table.header is None or not table.header.rows:
        return None
    column = columns.fields["name"]
    label = columns.labels.get(column, "")
    found = banner_text({column: label}) if label else None
    known = max((score for score in field_scores(label).values()), default=0.0) >= 0.5
    wordy = len(label.split()) > 1
    return (table.header.rows[-1], *found) if found and not known and wordy else None


def _notes(read: _SheetRead) -> Iterator[str]:
    """All texts of a sheet that are not cells of items, at most 300 of them."""
    rows = {line.row for _, _, lines in read.tables for line in lines if line.kind is Kind.ITEM}
    count = 0
    for number, row in enumerate(read.sheet.rows):
        if number in rows or count > 300:
            continue
        for cell in row:
            if isinstance(cell, str) and len(cell) > 1:
                count += 1
                yield cell[:500]


def _usual_basis(reads: Sequence[_SheetRead]) -> str | None:
    """What the primary prices of most items of the file are for: also for tables that tell not."""
    found: Counter[str | None] = Counter()
    for read in reads:
        for _, columns, lines in read.tables:
            if columns.prices:
                found[columns.prices[0].basis] += sum(line.kind is Kind.ITEM for line in lines)
    known = sum(count for basis, count in found.items() if basis)
    best = max(((count, basis) for basis, count in found.items() if basis), default=(0, None))
    return best[1] if known and best[0] >= 0.8 * known else None


def _own_context(sheet: Sheet, columns: Columns, context: Context) -> Context:
    """The currency the first of the table's price columns shows, before that of the file."""
    for price in columns.prices:
        shows = sheet.column_formats.get(price.column) or price.sign
        found = price.meaning.currency or (currency_of(shows, True) if shows else None)
        if found:
            plain = is_plain_dollar(shows or price.label)
            return replace(context, currency=context.dollar if plain and context.dollar else found)
    return context


# Reports


def _report(read: _SheetRead, items: Sequence[Item], rejects: int) -> SheetReport:
    sheet = read.sheet
    if not read.tables:
        empty = not any(filled(row) for row in sheet.rows)
        why = "no cell is filled" if empty else "no table with names and prices or codes"
        return SheetReport(
            name=sheet.name, role=Role.EMPTY if empty else Role.NOTES, reasons=(why,)
        )
    table, columns, _ = max(read.tables, key=lambda one: len(one[0].rows))
    confidence, reasons = _confidence(read, table, columns, items, rejects)
    rows = [row + 1 for one, _, _ in read.tables if one.header for row in one.header.rows]
    return SheetReport(
        name=sheet.name,
        role=Role.ITEMS,
        header_rows=tuple(rows),
        columns=_uses(columns),
        tables=len(read.tables),
        items=len(items),
        confidence=confidence,
        reasons=tuple(reasons),
    )


def _uses(columns: Columns) -> dict[str, ColumnUse | tuple[ColumnUse, ...]]:
    singles: dict[str, ColumnUse | tuple[ColumnUse, ...]] = {
        name: _use(columns, column, columns.scores[name]) for name, column in columns.fields.items()
    }
    if columns.prices:
        first, *others = (_price_use(columns, price) for price in columns.prices)
        singles |= {"price": first, "price_alternatives": tuple(others)}
    return singles


def _use(columns: Columns, column: int, score: float) -> ColumnUse:
    return ColumnUse(
        header=columns.labels.get(column, ""),
        letter=column_letter(column),
        confidence=round(min(1.0, score / 1.5), 2),
    )


def _price_use(columns: Columns, price: PriceColumn) -> ColumnUse:
    use = _use(columns, price.column, price.score)
    return use.model_copy(update={"basis": price.meaning.kind or price.basis})


_GARBLED = re.compile(
    r"\ufffd|[\x80-\x9f]|[\u00c2\u00c3][\xa0-\xbf\u0152-\u0178\u2013-\u2122]|\u00e2\u20ac"
)
"""Letters that no character set gives when it is the right one: UTF-8 read as another, too."""
_GARBLED_NAMES = 0.02
_IN_DOUBT = 0.6


def _is_garbled(items: Sequence[Item]) -> bool:
    found = sum(_GARBLED.search(item.name) is not None for item in items)
    return found > _GARBLED_NAMES * len(items)


def _doubted(report: SheetReport) -> SheetReport:
    """The report of a sheet whose letters are likely not those that were written."""
    why = "letters look wrong: name the character set in encoding, or save the list as UTF-8"
    return report.model_copy(
        update={
            "confidence": min(report.confidence, _IN_DOUBT),
            "reasons": (*report.reasons, why),
        }
    )


_WITHOUT_PRICES = 0.5
"""The confidence in a sheet of items without any price, at most: its prices were not found."""


def _confidence(
    read: _SheetRead, table: _Table, columns: Columns, items: Sequence[Item], rejects: int
) -> tuple[float, list[str]]:
    """A quarter each for the header, the name column, prices found, and rows without doubt."""
    reasons = list(columns.reasons)
    if table.header is None:
        header = 0.5
        reasons.append("no header: columns found by their values")
    elif read.borrowed:
        header = 0.7
        reasons.append("no header: labels of a sheet laid out alike")
    else:
        header = 1.0 if table.header.known else 0.6
        if not table.header.known:
            reasons.append("header found by its place, not by its words")
    name = min(1.0, columns.scores["name"] / 1.4)
    priced = sum(item.price is not None for item in items) / max(len(items), 1)
    clean = len(items) / max(len(items) + rejects, 1)
    if priced < 0.9:
        reasons.append(f"{1 - priced:.0%} of the items have no price")
    if rejects:
        reasons.append(f"{rejects} rows in quarantine")
    if not columns.prices:
        reasons.append("no price column found")
    sure = (header + name + priced + clean) / 4
    return round(sure if priced else min(sure, _WITHOUT_PRICES), 2), reasons
