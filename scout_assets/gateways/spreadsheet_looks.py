"""The looks of an xlsx that say something about prices: struck-out, hidden, currency formats.

Belongs here: reading them from the parts of the package cheaply (byte patterns over the sheet,
only for what the styles part says can be found) and the extent of a sheet. Does not belong
here: values (`workbooks`, by calamine), what a look means (domain `price_lists`).

Part names and elements: ECMA-376 part 1, chapters 12 and 18.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from posixpath import join, normpath
from xml.etree import ElementTree

from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.grids import Style, column_number

__all__ = ["Look", "looks_of", "sheet_parts", "valued_extent"]

_SAMPLE_BYTES = 1_500_000
"""Formats and styles are read from the first part of a sheet: columns keep their format."""


@dataclass(frozen=True)
class Look:
    """What one sheet looks like; rows and columns from 0.

    `rows`, `columns`: the extent of its cells with or without a value, not too small ever;
    `valued_extent` measures exactly, and slowly.

    `left_of_struck`: what remains of a cell's text when struck-out text is taken out.
    """

    rows: int = 0
    columns: int = 0
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    formulas_without_value: int = 0
    left_of_struck: Mapping[tuple[int, int], str] = field(default_factory=dict)
    formats: Mapping[tuple[int, int], str] = field(default_factory=dict)
    column_formats: Mapping[int, str] = field(default_factory=dict)
    styles: Mapping[tuple[int, int], Style] = field(default_factory=dict)


def valued_extent(xml: bytes) -> tuple[int, int]:
    """Rows and columns spanned by the cells of a sheet that have a value."""
    cells = _VALUED.findall(xml)
    columns = {letters for letters, _ in cells}
    return max((int(row) for _, row in cells), default=0), max(
        map(_column, columns), default=-1
    ) + 1


def looks_of(parts: Mapping[str, bytes]) -> dict[str, Look]:
    """The look of each sheet of an unpacked xlsx, by sheet name.

    Raises BrokenContract when a part is not well-formed.
    """
    try:
        styles = _Styles.read(parts.get("xl/styles.xml", b""))
        strings = _struck_strings(parts.get("xl/sharedStrings.xml", b""))
        return {
            name: _look(parts[part], styles, strings)
            for name, part in sheet_parts(parts)
            if part in parts
        }
    except ElementTree.ParseError as error:
        raise BrokenContract(f"the workbook is damaged ({error}); save it anew") from error


def sheet_parts(parts: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Name and part of each sheet."""
    relations = ElementTree.fromstring(parts.get("xl/_rels/workbook.xml.rels", b"<none/>"))
    targets = {one.get("Id"): one.get("Target", "") for one in relations}
    for sheet in ElementTree.fromstring(parts["xl/workbook.xml"]).iter():
        if not sheet.tag.endswith("}sheet"):
            continue
        identifier = next((v for key, v in sheet.items() if key.endswith("}id")), None)
        target = targets.get(identifier, "")
        path = target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))
        yield sheet.get("name", ""), path


# Styles

_BUILT_IN = {9: "%", 10: "%"} | dict.fromkeys((5, 6, 7, 8, 42, 44), "\u00a4")
"""Number formats with fixed ids; those of money show the currency of the reader's locale."""

_LITERAL = re.compile(
    r'"([^"]*)"|\\(.)|\[\$([^\]\-]*)[^\]]*\]|([$\u20ac\u00a3\u00a5%])|\[[^\]]*\]|[_*].'
)


def _format_mark(code: str) -> str:
    """What a number format shows besides the number: "$", "%", "kg"; "" for nothing."""
    literals = ("".join(filter(None, found)) for found in _LITERAL.findall(code.split(";")[0]))
    return "".join(literals).strip(" ()-+")


@dataclass(frozen=True)
class _Styles:
    """By index of a cell style: whether struck out, what its format shows, how text is set."""

    struck: frozenset[int] = frozenset()
    marks: tuple[str, ...] = ()
    texts: tuple[Style, ...] = ()

    @classmethod
    def read(cls, xml: bytes) -> "_Styles":
        if not xml:
            return cls()
        root = ElementTree.fromstring(xml)
        space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
        codes = {
            int(one.get("numFmtId", "0")): one.get("formatCode", "")
            for one in root.iter(f"{space}numFmt")
        }
        fonts = list(root.find(f"{space}fonts") or ())
        struck_fonts = {i for i, font in enumerate(fonts) if _is_on(font.find(f"{space}strike"))}
        cells = list(root.find(f"{space}cellXfs") or ())
        return cls(
            frozenset(i for i, x in enumerate(cells) if int(x.get("fontId", "0")) in struck_fonts),
            tuple(_mark(int(x.get("numFmtId", "0")), codes) for x in cells),
            tuple(_set(fonts, int(x.get("fontId", "0")), space) for x in cells),
        )


def _set(fonts: Sequence[ElementTree.Element], font: int, space: str) -> Style:
    if font >= len(fonts):
        return Style()
    size = fonts[font].find(f"{space}sz")
    emphasis = "".join(mark for mark in "biu" if _is_on(fonts[font].find(f"{space}{mark}")))
    return Style(float(size.get("val", "0")) if size is not None else 0.0, emphasis)


def _is_on(element: ElementTree.Element | None) -> bool:
    return element is not None and element.get("val", "1") not in ("0", "false")


def _mark(identifier: int, codes: Mapping[int, str]) -> str:
    if identifier in codes:
        return _format_mark(codes[identifier])
    return _BUILT_IN.get(identifier, "")


# Shared strings with struck-out runs

_STRING = re.compile(rb"<(?:\w+:)?si\b[^>]*?(?:/>|>(.*?)</(?:\w+:)?si>)", re.DOTALL)
_RUN = re.compile(rb"<(?:\w+:)?r>(.*?)</(?:\w+:)?r>", re.DOTALL)
_TEXT = re.compile(rb"<(?:\w+:)?t\b[^>]*>(.*?)</(?:\w+:)?t>", re.DOTALL)
_STRIKE = re.compile(rb'<(?:\w+:)?strike(?:\s+val="(?:1|true)")?\s*/>')


def _struck_strings(xml: bytes) -> dict[int, str]:
    """By index: what is left of a string of which some runs, not all text, are struck out."""
    if not _STRIKE.search(xml):
        return {}
    return {
        index: _left(match[1])
        for index, match in enumerate(_STRING.finditer(xml))
        if match[1] and _STRIKE.search(match[1])
    }


def _left(runs: bytes) -> str:
    kept = (run for run in _RUN.findall(runs) if not _STRIKE.search(run))
    return unescape(b"".join(b"".join(_TEXT.findall(run)) for run in kept).decode()).strip()


# Sheets

_USUAL_ROW = re.compile(rb'<row r="(\d+)"')
_ROW = re.compile(rb'<(?:\w+:)?row\s[^>]*?\br="(\d+)"')
_WIDE = re.compile(rb'r="([A-Z]{2,3})\d')
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\s(?=[^>]*\bhidden="(?:1|true)")[^>]*?\br="(\d+)"')
_HIDDEN_COLUMN = re.compile(rb'<(?:\w+:)?col\s(?=[^>]*\bhidden="(?:1|true)")[^>]*>')
_BOUND = re.compile(rb'\b(min|max)="(\d+)"')
_VALUED = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]{1,3})(\d{1,7})"[^>/]*>'
    rb"(?:<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>))?<(?:\w+:)?(?:v|is)>"
)
_NO_VALUE = re.compile(
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*(?:<(?:\w+:)?v\s*(?:/>|>\s*</(?:\w+:)?v\s*>))?\s*</(?:\w+:)?c>"
)
_CELL = re.compile(rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"([^>]*)>')
_STYLE = re.compile(rb'\bs="(\d+)"')
_STRING_CELL = re.compile(rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"[^>]*\bt="s"[^>]*>\s*<(?:\w+:)?v>(\d+)<')
_INLINE = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"[^>]*\bt="inlineStr"[^>]*>(.*?)</(?:\w+:)?c>', re.DOTALL
)


def _look(xml: bytes, styles: _Styles, strings: Mapping[int, str]) -> Look:
    formats, column_formats, texts = _sampled(xml[:_SAMPLE_BYTES], styles)
    hidden = b'hidden="' in xml
    return Look(
        rows=_extent(xml),
        columns=max(map(_column, set(_WIDE.findall(xml))), default=25) + 1,
        hidden_rows=frozenset(int(row) - 1 for row in _HIDDEN_ROW.findall(xml))
        if hidden
        else frozenset(),
        hidden_columns=frozenset(_hidden_columns(xml)) if hidden else frozenset(),
        formulas_without_value=len(_NO_VALUE.findall(xml))
        if b"<f" in xml or b":c " in xml[:4000]
        else 0,
        left_of_struck=dict(_struck(xml, styles, strings)),
        formats=formats,
        column_formats=column_formats,
        styles=texts,
    )


def _extent(xml: bytes) -> int:
    """The number of the lowest row; nearly all writers put it first, which is fast to find."""
    numbers = _USUAL_ROW.findall(xml)
    if len(numbers) != xml.count(b"<row") or b":row" in xml:
        numbers = _ROW.findall(xml)
    return max(map(int, numbers), default=0)


def _column(letters: bytes) -> int:
    return column_number(letters.decode())


def _hidden_columns(xml: bytes) -> Iterator[int]:
    for match in _HIDDEN_COLUMN.finditer(xml):
        bounds = dict(_BOUND.findall(match[0]))
        yield from range(int(bounds.get(b"min", 1)) - 1, min(int(bounds.get(b"max", 0)), 16384))


def _struck(
    xml: bytes, styles: _Styles, strings: Mapping[int, str]
) -> Iterator[tuple[tuple[int, int], str]]:
    if styles.struck:
        numbers = b"|".join(str(number).encode() for number in sorted(styles.struck))
        whole = re.compile(rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"[^>/]*?\bs="(?:%b)"[^>/]*>' % numbers)
        for column, row in whole.findall(xml):
            yield (int(row) - 1, _column(column)), ""
    if strings:
        for column, row, index in _STRING_CELL.findall(xml):
            if int(index) in strings:
                yield (int(row) - 1, _column(column)), strings[int(index)]
    if b"strike" in xml:
        for column, row, body in _INLINE.findall(xml):
            if _STRIKE.search(body):
                yield (int(row) - 1, _column(column)), _left(body)


def _sampled(
    xml: bytes, styles: _Styles
) -> tuple[dict[tuple[int, int], str], dict[int, str], dict[tuple[int, int], Style]]:
    """Formats that differ from their column's, formats of columns, styles of rows' first texts."""
    formats: dict[tuple[int, int], str] = {}
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    texts: dict[tuple[int, int], Style] = {}
    columns: dict[bytes, int] = {}
    last_row = b""
    for letters, row, rest in _CELL.findall(xml):
        if rest.endswith(b"/"):
            continue
        found = _STYLE.search(rest)
        style = int(found[1]) if found else 0
        column = columns.get(letters)
        if column is None:
            column = columns[letters] = _column(letters)
        if b't="' not in rest or b't="n"' in rest:
            mark = styles.marks[style] if style < len(styles.marks) else ""
            formats[int(row) - 1, column] = mark
            counted[column][mark] += 1
        elif row != last_row and style < len(styles.texts):
            texts[int(row) - 1, column] = styles.texts[style]
        last_row = row
    usual = {column: marks.most_common(1)[0][0] for column, marks in counted.items()}
    unusual = {place: mark for place, mark in formats.items() if mark != usual[place[1]]}
    return unusual, {column: mark for column, mark in usual.items() if mark}, texts
