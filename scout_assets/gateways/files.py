"""Local files: the declared sources, and captures of stores kept as files.

Belongs here: reading YAML, finding captures and their dates, clear errors for what is not
there. Does not belong here: what the files mean (`domain`).

A capture of a store is one file, or one folder of page files in name order; that of a price
list is one file, and of several undated ones in a folder the newest. A folder whose entries are
named by date (`2026-09-07.json`, `2026-09-07/`) is a series of captures, one per date; a
capture without a date in its name counts as of its last change on disk. `2024-25` is a season:
two numbers that are no year and month are no date.
"""

import codecs
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from scout_assets.domain.failures import BadConfig, NotFound, Permanent, Refused, Transient
from scout_assets.domain.sources import Source, read_sources
from scout_assets.gateways.watched import below

__all__ = ["CaptureFile", "captures", "declared_sources", "is_url", "lists"]

_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})-(\d{2})(?:-(\d{2}))?(?!\d)")


@dataclass(frozen=True)
class CaptureFile:
    """A capture on disk: its pages in order, and whether its name gave the date.

    `refused`: why it cannot be read, known from its path alone.
    """

    captured_at: datetime
    dated: bool
    pages: tuple[Path, ...]
    refused: Permanent | None = None

    def read(self, max_bytes: int | None = None) -> tuple[bytes, ...]:
        """The bytes of each page.

        Raises Transient when one cannot be read, or changes while it is; Refused for what is no
        plain file, is larger than `max_bytes` (MAX_FILE_SIZE_MB) or leads where no list may;
        BadConfig for a date that does not exist.
        """
        if self.refused is not None:
            raise self.refused
        return tuple(_whole(page, max_bytes).removeprefix(codecs.BOM_UTF8) for page in self.pages)


def _whole(path: Path, max_bytes: int | None) -> bytes:
    """The bytes of a file that nobody changes or replaces meanwhile."""
    try:
        with open(path, "rb", opener=_plain) as file:
            before = os.fstat(file.fileno())
            if max_bytes is not None and before.st_size > max_bytes:
                raise Refused(
                    f"{path} has {before.st_size:,} bytes, more than {max_bytes:,}; "
                    "split the list, or raise MAX_FILE_SIZE_MB"
                )
            body = file.read()
            after = os.fstat(file.fileno())
        there = path.stat()
    except OSError as error:
        raise Transient(f"cannot read {path}: {error.strerror}") from error
    same = os.path.samestat(before, there) and before.st_mtime_ns == after.st_mtime_ns
    if not same or len(body) != after.st_size:
        raise Transient(f"{path} changed while it was read; it is read again next time")
    return body


def _plain(path: str, flags: int) -> int:
    """Open nothing but a plain file; a link at the end of a resolved path was put there since."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not block
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise Refused(f"{path} is refused: it is no plain file")


def declared_sources(path: Path) -> tuple[Source, ...]:
    """The sources of a `sources.yaml`; relative locations are below its folder.

    Raises BadConfig naming the file and every wrong field; a file that cannot be read is a
    failure, never an empty list.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}; SCOUT_SOURCES names it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} is not YAML: {error}") from error
    return tuple(_anchored(source, path.parent) for source in read_sources(document, str(path)))


def _anchored(source: Source, folder: Path) -> Source:
    if is_url(source.location):
        return source
    return source.model_copy(update={"location": str((folder / source.location).resolve())})


def is_url(location: str) -> bool:
    """Whether a location is an address to fetch rather than a path."""
    return location.startswith(("http://", "https://"))


STORE_PAGES = frozenset((".json",))
LISTS = frozenset((".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".pdf"))
"""Suffixes of the files that are read."""


def lists(location: str, roots: Sequence[Path] = ()) -> tuple[CaptureFile, ...]:
    """The price lists at a path, oldest first. With `roots` no file may lie, or lead, elsewhere.

    Raises NotFound when there is none, Refused for a place outside the roots. A file of a folder
    that leads out of them, or whose date does not exist, says so when it is read.
    """
    path = below(roots, location) if roots else Path(location).expanduser().resolve()
    if path.is_file():
        return (_capture(path, LISTS),)
    if not path.exists():
        raise NotFound(f"there is nothing at {path}; check the source's location")
    files = [entry for entry in sorted(path.iterdir()) if _is_page(entry, LISTS)]
    if not files:
        raise NotFound(f"the folder {path} holds no price list ({', '.join(sorted(LISTS))})")
    found = sorted((_listed(entry, roots) for entry in files), key=lambda c: c.captured_at)
    return tuple(found) if all(capture.dated for capture in found) else (found[-1],)


def _listed(path: Path, roots: Sequence[Path]) -> CaptureFile:
    """One file of a folder; what forbids to read it keeps no other file back."""
    try:
        capture = _capture(path, LISTS)
        if roots:
            below(roots, path)
    except BadConfig as wrong_date:
        return CaptureFile(_changed_at(path), True, (path,), wrong_date)
    except Refused as leads_out:
        return replace(capture, refused=leads_out)
    return capture


def captures(location: str) -> tuple[CaptureFile, ...]:
    """The captures at a path, oldest first. Raises NotFound when there is none."""
    path = Path(location).expanduser().resolve()
    if not path.exists():
        hint = "" if "/" in location else "; for a store write https:// before its name"
        raise NotFound(f"there is nothing at {path}; check the source's location{hint}")
    if path.is_file():
        return (_capture(path, STORE_PAGES),)
    entries = sorted(
        entry for entry in path.iterdir() if _is_page(entry, STORE_PAGES) or entry.is_dir()
    )
    if not entries:
        raise NotFound(f"the folder {path} holds no capture (*.json)")
    if any(_date_of(entry) is None for entry in entries):
        return (_capture(path, STORE_PAGES),)
    found = (_capture(entry, STORE_PAGES) for entry in entries)
    return tuple(sorted(found, key=lambda capture: capture.captured_at))


def _capture(path: Path, suffixes: frozenset[str]) -> CaptureFile:
    pages: tuple[Path, ...] = (path,)
    if path.is_dir():
        pages = tuple(sorted(entry for entry in path.iterdir() if _is_page(entry, suffixes)))
    if not pages:
        raise NotFound(f"the folder {path} holds no page (*.json)")
    dated = _date_of(path)
    changed = max(_changed_at(page) for page in pages)
    real = tuple(page.resolve() for page in pages)
    return CaptureFile(dated or changed, dated is not None, real)


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _is_page(path: Path, suffixes: frozenset[str]) -> bool:
    hidden = path.name.startswith((".", "~$"))  # what a program has open lies beside
    return path.is_file() and not hidden and path.suffix.lower() in suffixes


def _date_of(path: Path) -> datetime | None:
    found = _DATE.search(path.name)
    if found is None:
        return None
    year, month, day = found.groups()
    if day is None and not 1 <= int(month) <= 12:
        return None
    try:
        return datetime(int(year), int(month), int(day or 1), tzinfo=UTC)
    except ValueError as error:
        raise BadConfig(f"{path}: {found.group()} is not a date; rename it") from error
