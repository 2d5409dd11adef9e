"""The suppliers' master list: a table that people keep, read as declarations of sources.

Belongs here: its columns with their spellings, the key that a name gives, what one row
declares, and which suppliers a list may retire. Does not belong here: getting the table
(`gateways`), keeping what it says (`gateways.ledger`), reading price lists.

| column | meaning |
|---|---|
| name | what people call the supplier; its slug is the key |
| source_type | google_sheets, csv, excel or pdf; empty: as the file itself says |
| source_url | address or path of the price list |
| active | yes, no, true, 1, ja, …; empty or without the column: yes |
| settings | fields of `Source`: JSON, or `sheet_name=Wine; column_mapping.price=Trade` |

The first row that is not empty is the header. Further columns are ignored. A supplier that is
inactive, or no longer in the list, retires; one that a bad row names never does.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from slugify import slugify

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, BrokenContract
from scout_assets.domain.sources import Platform, Source

__all__ = ["BadRow", "Listed", "MasterList", "SourceType", "key_of", "read_master_list"]

_COLUMNS: Mapping[str, frozenset[str]] = {
    "name": frozenset({"name", "supplier", "suppliername", "vendor", "vendorname", "lieferant"}),
    "source_type": frozenset({"sourcetype", "type", "format", "sourceformat", "typ"}),
    "source_url": frozenset(
        {"sourceurl", "url", "source", "link", "address", "location", "path", "file"}
    ),
    "active": frozenset({"active", "isactive", "enabled", "isenabled", "aktiv"}),
    "settings": frozenset({"settings", "setting", "config", "configuration", "options", "meta"}),
}
_NEEDED = ("name", "source_url")
_YES = frozenset(
    {"yes", "y", "true", "t", "1", "on", "x", "✓", "✔", "active", "enabled"}
    | {"ja", "j", "aktiv", "oui", "o", "si", "sí", "s", "да", "sim", "tak"}
)
_NO = frozenset(
    {"no", "n", "false", "f", "0", "off", "-", "✗", "inactive", "disabled"}
    | {"nein", "inaktiv", "non", "nee", "нет", "não", "nie"}
)
_OWN_COLUMNS = {"name": "name", "location": "source_url"}
_SET_HERE = frozenset({"key", "kind", "platform"})
_KEY_LENGTH = 64


class SourceType(StrEnum):
    """What a person says a price list is."""

    GOOGLE_SHEETS = "google_sheets"
    CSV = "csv"
    EXCEL = "excel"
    PDF = "pdf"


_TYPES: Mapping[str, SourceType | None] = {
    **dict.fromkeys(
        ("googlesheets", "googlesheet", "gsheets", "gsheet", "googlespreadsheet", "google"),
        SourceType.GOOGLE_SHEETS,
    ),
    **dict.fromkeys(("csv", "tsv", "txt", "text", "csvfile"), SourceType.CSV),
    **dict.fromkeys(
        ("excel", "xlsx", "xls", "xlsm", "ods", "msexcel", "spreadsheet", "excelfile"),
        SourceType.EXCEL,
    ),
    **dict.fromkeys(("pdf", "pdffile"), SourceType.PDF),
    **dict.fromkeys(("", "auto", "any"), None),
}


@dataclass(frozen=True)
class Listed:
    """A supplier to watch. `row` counts from 1, as a spreadsheet shows it."""

    row: int
    source: Source
    source_type: SourceType | None


@dataclass(frozen=True)
class BadRow:
    """A row that declares nothing. `key`: the supplier it names, None when it names nobody."""

    row: int
    key: str | None
    reason: str
    content: tuple[str, ...]


@dataclass(frozen=True)
class MasterList:
    """What a master list says; `counters`: master/listed, master/inactive, master/bad_rows."""

    place: str
    suppliers: tuple[Listed, ...]
    inactive: tuple[str, ...]
    bad_rows: tuple[BadRow, ...]
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> tuple[str, ...]:
        """Keys that bad rows name: these suppliers stay as they were."""
        return tuple(sorted({bad.key for bad in self.bad_rows if bad.key is not None}))

    @property
    def whole(self) -> bool:
        """False when a bad row names nobody: then whoever is missing may be meant by it."""
        return all(bad.key is not None for bad in self.bad_rows)

    def declared(self, known: Mapping[str, Source]) -> tuple[Source, ...]:
        """The sources for a sync in which only who may retire is missing.

        `known`: this list's active suppliers as they stand, by key.
        """
        listed = {item.source.key: item.source for item in self.suppliers}
        spared = self.kept if self.whole else tuple(set(known) - set(self.inactive))
        stay = {key: known[key] for key in sorted(spared) if key in known and key not in listed}
        return (*listed.values(), *stay.values())


@dataclass(frozen=True)
class _Row:
    """The cells of one row as text, by column; `key` is empty when the name gives none."""

    number: int
    cells: Mapping[str, str]
    content: tuple[str, ...]

    @property
    def key(self) -> str:
        return key_of(self.cells.get("name", ""))

    def bad(self, reason: str) -> BadRow:
        return BadRow(self.number, self.key or None, reason, self.content)


def key_of(name: str) -> str:
    """The slug of a supplier's name: accents folded, other scripts in Latin letters.

    >>> key_of("Weingut Müller & Söhne")
    'weingut-muller-sohne'
    """
    return slugify(name, max_length=_KEY_LENGTH)


def read_master_list(
    grid: Sequence[Sequence[object]], place: str, anchored: bool = True
) -> MasterList:
    """Read a table, cells of any type. `place` names it in messages.

    `anchored`: there is a folder or address that relative places are below; a Google Sheet has
    none, and a row that needs one is bad.

    Raises BrokenContract when it cannot be the list (no header with a name and a source_url
    column, no supplier at all): then nothing is known and nothing may be retired.
    """
    rows = list(_rows(grid, place))
    if not rows:
        raise BrokenContract(
            f"{place} lists no supplier below its header, so it is not taken for the list; "
            "to retire a supplier, write no under active"
        )
    clashes = _clashes(rows)
    listed: list[Listed] = []
    inactive: list[str] = []
    bad: list[BadRow] = []
    for row in rows:
        try:
            if row.key in clashes:
                raise BadConfig(clashes[row.key])
            supplier = _supplier(row, place)
            if supplier is not None and not anchored:
                _refuse_relative(supplier.source.location)
        except BadConfig as problem:
            bad.append(row.bad(str(problem)))
            continue
        if supplier is None:
            inactive.append(row.key)
        else:
            listed.append(supplier)
    found = {"listed": len(listed), "inactive": len(inactive), "bad_rows": len(bad)}
    counters = Counter({f"master/{name}": count for name, count in found.items() if count})
    return MasterList(place, tuple(listed), tuple(inactive), tuple(bad), counters)


def _rows(grid: Sequence[Sequence[object]], place: str) -> Iterator[_Row]:
    """The rows below the header that say something in a column of ours."""
    texts = [(number, tuple(map(_cell, row))) for number, row in enumerate(grid, start=1)]
    filled = [(number, row) for number, row in texts if any(row)]
    if not filled:
        raise BrokenContract(f"{place} is empty, so it is not taken for the list of suppliers")
    columns = _columns(filled[0][1], f"{place}, row {filled[0][0]}")
    for number, row in filled[1:]:
        cells = {name: row[at] if at < len(row) else "" for name, at in columns.items()}
        if any(cells.values()):
            yield _Row(number, cells, row)


def _cell(value: object) -> str:
    """A cell as a person reads it: 7.0 is 7, None is empty."""
    if value is None or value != value:  # NaN: how some readers tell an empty cell
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace("\xa0", " ").strip()


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _columns(header: Sequence[str], place: str) -> dict[str, int]:
    """Where each column is; its own name goes before other spellings of it."""
    titles = [_squeezed(title) for title in header]
    found: dict[str, int] = {}
    for name, spellings in _COLUMNS.items():
        exact = [at for at, title in enumerate(titles) if title == _squeezed(name)]
        places = exact or [at for at, title in enumerate(titles) if title in spellings]
        if len(places) > 1:
            both = " and ".join(repr(header[at]) for at in places)
            raise BrokenContract(f"{place}: {both} both mean {name}; rename one")
        if places:
            found[name] = places[0]
    for name in _NEEDED:
        if name not in found:
            told = ", ".join(repr(title) for title in header if title)
            raise BrokenContract(
                f"{place}: no column {name!r} in the header ({told}), so nothing is changed; "
                "the first row must name the columns"
            )
    return found


def _clashes(rows: Sequence[_Row]) -> dict[str, str]:
    """Keys that several rows give, each with what to say about it."""
    by_key: dict[str, list[_Row]] = {}
    for row in rows:
        if row.key:
            by_key.setdefault(row.key, []).append(row)
    return {key: _clash(key, same) for key, same in by_key.items() if len(same) > 1}


def _clash(key: str, same: Sequence[_Row]) -> str:
    told = " and ".join(f"{row.cells['name']!r} in row {row.number}" for row in same)
    return f"{told} have one key, {key!r}: rename one, or delete the repeated row"


def _supplier(row: _Row, place: str) -> Listed | None:
    """What a row declares; None when it is inactive. Raises BadConfig."""
    if not row.key:
        name = row.cells["name"]
        raise BadConfig(
            f"the name {name!r} holds no letter or digit" if name else "the name is missing"
        )
    if not _is_active(row.cells.get("active", "")):
        return None
    if not row.cells["source_url"]:
        raise BadConfig("source_url is missing; give the address or path of the price list")
    source_type = _source_type(row.cells.get("source_type", ""))
    declared = {
        "key": row.key,
        "kind": Kind.SUPPLIER.value,
        "platform": Platform.PRICE_LIST.value,
        "name": row.cells["name"],
        "location": row.cells["source_url"],
        **_settings(row.cells.get("settings", "")),
    }
    return Listed(row.number, Source.read(declared, f"{place}, row {row.number}"), source_type)


def _refuse_relative(location: str) -> None:
    if "://" not in location and not location.startswith(("/", "~")):
        raise BadConfig(
            f"source_url {location!r} is relative, and a Google Sheet lies in no folder: write the "
            "whole address or path, or keep the list as a file beside the price lists"
        )


def _is_active(text: str) -> bool:
    word = text.casefold()
    if word in _NO:
        return False
    if word in _YES or not word:
        return True
    raise BadConfig(f"active is {text!r}; write yes or no")


def _source_type(text: str) -> SourceType | None:
    try:
        return _TYPES[_squeezed(text)]
    except KeyError:
        known = ", ".join(SourceType)
        raise BadConfig(f"source_type {text!r} is unknown; write one of {known}") from None


def _settings(text: str) -> dict[str, Any]:
    """The settings of a row, checked against nothing but the columns they must not replace."""
    settings = _json(text) if text.startswith("{") else _pairs(text)
    for name in settings:
        if name in _OWN_COLUMNS:
            raise BadConfig(f"settings: write {name!r} into the column {_OWN_COLUMNS[name]}")
        if name in _SET_HERE:
            raise BadConfig(f"settings: {name!r} follows from the list and cannot be set")
        if name not in Source.model_fields:
            known = ", ".join(sorted(set(Source.model_fields) - _SET_HERE - set(_OWN_COLUMNS)))
            raise BadConfig(f"settings: there is no {name!r}; known: {known}")
    return settings


def _json(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"settings are not JSON: {error}") from None
    return dict(settings)


def _pairs(text: str) -> dict[str, Any]:
    """`a=1; b.c=x` as {"a": "1", "b": {"c": "x"}}."""
    settings: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise BadConfig(f"settings: {pair!r} is not key=value; pairs are parted by ';'")
        outer, dot, inner = name.partition(".")
        place = settings.setdefault(outer, {}) if dot else settings
        if not isinstance(place, dict) or (inner if dot else outer) in place:
            raise BadConfig(f"settings: {name!r} is set twice")
        place[inner if dot else outer] = value
    return settings
