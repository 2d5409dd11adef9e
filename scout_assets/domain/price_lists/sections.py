"""Banner rows as the sections of the items below them.

Belongs here: what makes a row a banner, and how banners nest. Does not belong here: items.

Larger type is further out. Otherwise banners that stand together tell which looks (column and
style) are outer ones; banners of one look are siblings. Where all look alike, the further from
the items, the further out.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from scout_assets.domain.grids import Cell, Sheet, Style, shown

__all__ = ["Banner", "Sections", "banner_text"]

_LONGEST, _MOST_WORDS = 90, 14
_NO_BANNER = re.compile(
    r"https?://|www\.|\S@\S+\.\w|\+?\d[\d\s().\-]{8,}\d|(?:[.!?]\s+\S+.*){2}|[:;]\s*$",
    re.IGNORECASE,
)
_DEEPEST = 5


class Look(NamedTuple):
    """What sets a banner apart: its column and how it is set."""

    column: int
    style: Style


@dataclass(frozen=True)
class Banner:
    """A banner; `above`: how many banners of its run stand between it and the items.

    `innermost`: it looks like the banner it stands below, so nothing else goes into it.
    """

    text: str
    look: Look
    above: int = 0
    innermost: bool = False


def banner_text(cells: Mapping[int, Cell]) -> tuple[int, str] | None:
    """Column and text of a row that is a banner: one short text, at most two; else None."""
    texts = {column: shown(cell) for column, cell in cells.items() if len(shown(cell)) > 1}
    if not 1 <= len(texts) <= 2 or not all(isinstance(cells[column], str) for column in texts):
        return None
    column, text = next(iter(texts.items()))
    text = " ".join(text.split())
    wordy = len(text) > _LONGEST or len(text.split()) > _MOST_WORDS
    if wordy or not any(map(str.isalnum, text)) or _NO_BANNER.search(text):
        return None
    return (column, text) if len(texts) == 1 or len(text) <= 60 else None


def _look(sheet: Sheet, row: int, column: int, text: str) -> Look:
    """How a banner is set; where the file has no styles, at least whether in capitals."""
    return Look(
        column, sheet.styles.get((row, column)) or Style(0.0, "caps" if text.isupper() else "")
    )


class Sections:
    """The path of sections while going down a sheet.

    `runs`: the banners of the sheet in groups that stand together, each as (row, column, text).
    """

    def __init__(self, sheet: Sheet, runs: Sequence[Sequence[tuple[int, int, str]]]) -> None:
        self._outer: Counter[tuple[Look, Look]] = Counter()
        self._banners: dict[int, Banner] = {}
        for run in runs:
            kept = run[-_DEEPEST:]
            banners = [
                Banner(text, _look(sheet, row, column, text), len(kept) - 1 - i)
                for i, (row, column, text) in enumerate(kept)
            ]
            for i, outer in enumerate(banners):
                self._outer.update((outer.look, inner.look) for inner in banners[i + 1 :])
            self._banners |= {
                row: banner for (row, _, _), banner in zip(kept, banners, strict=True)
            }
        looks = {banner.look for banner in self._banners.values()}
        self._mixed = {
            column for column, n in Counter(look.column for look in looks).items() if n > 1
        }
        self._inner = {inner for _, inner in self._outer}
        self._find_innermost(runs)
        self._stack: list[Banner] = []

    def _find_innermost(self, runs: Sequence[Sequence[tuple[int, int, str]]]) -> None:
        """The last of a run that looks like the one above it, where that look has inner ones."""
        outer = {one for one, _ in self._outer}
        for run in runs:
            last, before = ([self._banners.get(row) for row, _, _ in run[:-3:-1]] + [None, None])[
                :2
            ]
            if last and before and last.look == before.look and last.look.column in self._mixed:
                has_inner = any(
                    self._outer[last.look, look]
                    for look in outer | self._inner
                    if look != last.look
                )
                if has_inner:
                    self._banners[run[-1][0]] = replace(last, innermost=True)

    def enter(self, row: int) -> None:
        """Pass the banner of `row`; nothing happens on other rows."""
        banner = self._banners.get(row)
        if banner is not None:
            while self._stack and not self._is_outer(self._stack[-1], banner):
                self._stack.pop()
            self._stack.append(banner)

    @property
    def path(self) -> tuple[str, ...]:
        """Sections of the next item, outermost first."""
        return tuple(banner.text for banner in self._stack)

    def _is_outer(self, one: Banner, other: Banner) -> bool:
        if one.innermost:
            return False
        if one.look == other.look and one.look.column in self._mixed:
            return other.innermost
        if one.look != other.look:
            if (
                one.look.column == other.look.column
                and one.look.style.size != other.look.style.size
            ):
                return one.look.style.size > other.look.style.size
            down, up = self._outer[one.look, other.look], self._outer[other.look, one.look]
            if down != up:
                return down > up
            if one.look.column != other.look.column:
                return one.look.column < other.look.column
        return one.above > other.above
