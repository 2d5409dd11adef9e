"""Watched folders: price lists that appear below the configured roots.

Belongs here: which paths are allowed at all, which files are whole, and which of them are new
since the last look. Does not belong here: when to look (`orchestration`), what is in the files.

`SCOUT_WATCH_ROOTS` lists the allowed folders, parted by `os.pathsep`. A path is judged by where
it really leads, part by part: `/data/staging_evil` is not below `/data/staging`, and neither is
a link in there that leads elsewhere.

A file is whole once two looks saw the same size and modification time; what was seen travels in
a cursor, a short JSON text that the caller keeps:

    look = look_at(roots, cursor)          # look.fresh: whole, and not told before
    ...                                    # keep look.cursor once they are taken care of

Counters: watch/ready (whole), watch/fresh, watch/unsettled, watch/empty, watch/temporary,
watch/other (no price list), watch/vanished, watch/refused (leads out, or no plain file),
watch/cursor_lost.
"""

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scout_assets.domain.failures import BadConfig, Refused, Transient
from scout_assets.domain.jobs import FILE_TYPES

__all__ = ["ROOTS_VARIABLE", "Look", "below", "look_at", "watch_roots"]

ROOTS_VARIABLE = "SCOUT_WATCH_ROOTS"
_TEMPORARY = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".download", "~")


@dataclass(frozen=True)
class Look:
    """One look: whole files, those not told before, what was refused, and the next cursor."""

    ready: tuple[Path, ...]
    fresh: tuple[Path, ...]
    refused: tuple[str, ...]
    cursor: str
    counters: Counter[str] = field(default_factory=Counter)


def watch_roots(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The allowed folders, resolved; none when the variable is unset or empty.

    Raises BadConfig for a root that is relative, no folder, or the whole file system.
    """
    texts = environment.get(ROOTS_VARIABLE, "").split(os.pathsep)
    return tuple(dict.fromkeys(_root(text.strip()) for text in texts if text.strip()))


def _root(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise BadConfig(f"{ROOTS_VARIABLE}: {text!r} is relative; write it from the top")
    try:
        real = path.resolve()
        is_folder = real.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadConfig(f"{ROOTS_VARIABLE}: {text!r} cannot be followed: {error}") from error
    if real == Path(real.anchor):
        raise BadConfig(f"{ROOTS_VARIABLE}: {text!r} is everything; name the folder itself")
    if not is_folder:
        raise BadConfig(f"{ROOTS_VARIABLE}: {text!r} is no folder; make it, or correct the path")
    return real


def below(roots: Sequence[Path], path: str | Path) -> Path:
    """Where `path` really leads, which is a root or below one. It need not exist.

    `roots` as `watch_roots` gives them. Raises Refused naming path and roots.
    """
    given = Path(path)
    allowed = ", ".join(map(str, roots)) or f"none; set {ROOTS_VARIABLE}"
    if not given.is_absolute() or ".." in given.parts:
        raise Refused(f"{str(path)!r} is refused: write it from the top, without '..'")
    try:
        real = given.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # NUL bytes, links in a circle
        raise Refused(f"{str(path)!r} is refused: it cannot be followed ({error})") from error
    if not any(real.is_relative_to(root) for root in roots):
        leads = "" if real == given else f" (it leads to {real})"
        raise Refused(f"{str(path)!r}{leads} is not below an allowed folder ({allowed})")
    return real


def look_at(
    roots: Sequence[Path], cursor: str | None = None, folder: str | Path | None = None
) -> Look:
    """The price lists below the roots, or below one `folder` of theirs, subfolders included.

    Raises Refused for a folder outside the roots, Transient for one that cannot be listed now:
    a folder that is not mounted is not an empty one.
    """
    counters: Counter[str] = Counter()
    seen, told = _memory(cursor, counters)
    refused: list[str] = []
    whole: dict[Path, str] = {}
    prints: set[str] = set()
    folders = roots if folder is None else (below(roots, folder),)
    for path in dict.fromkeys(file for top in folders for file in _files(top, counters)):
        try:
            real, mark = _fingerprint(roots, path, counters)
        except Refused as problem:
            counters["watch/refused"] += 1
            refused.append(str(problem))
            continue
        if mark is None:
            continue
        prints.add(mark)
        if mark in seen:
            whole[real] = mark
        else:
            counters["watch/unsettled"] += 1
    fresh = tuple(sorted(path for path, mark in whole.items() if mark not in told))
    counters.update({"watch/ready": len(whole), "watch/fresh": len(fresh)})
    told_now = sorted(whole.values())
    text = json.dumps({"seen": sorted(prints - set(told_now)), "told": told_now})
    return Look(tuple(sorted(whole)), fresh, tuple(refused), text, +counters)


def _memory(cursor: str | None, counters: Counter[str]) -> tuple[set[str], set[str]]:
    """Fingerprints seen and told by the last look. An unreadable cursor costs one more look."""
    if not cursor:
        return set(), set()
    try:
        memory = json.loads(cursor)
        told = set(memory["told"])
        return told | set(memory["seen"]), told
    except (ValueError, KeyError, TypeError):
        counters["watch/cursor_lost"] += 1
        return set(), set()


def _files(folder: Path, counters: Counter[str]) -> Iterator[Path]:
    """Entries with the name of a price list; folders behind links are not entered."""

    def gone(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise Transient(
                f"the watched folder {folder} cannot be listed: {error.strerror}; is it mounted?"
            ) from error
        counters["watch/vanished"] += 1

    for top, folders, names in os.walk(folder, onerror=gone):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith((".", "~$")) or name.lower().endswith(_TEMPORARY):
                counters["watch/temporary"] += 1
            elif Path(name).suffix.lower() not in FILE_TYPES:
                counters["watch/other"] += 1
            else:
                yield Path(top) / name


def _fingerprint(
    roots: Sequence[Path], path: Path, counters: Counter[str]
) -> tuple[Path, str | None]:
    """Where a file really is, and a mark of path, size and time; None if it is not to be read."""
    real = below(roots, path)
    try:
        found = real.stat()
    except OSError:
        counters["watch/vanished"] += 1
        return real, None
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path} is refused: it is no plain file")
    if found.st_size == 0:
        counters["watch/empty"] += 1
        return real, None
    text = f"{real}\0{found.st_size}\0{found.st_mtime_ns}"
    return real, hashlib.blake2b(os.fsencode(text), digest_size=8).hexdigest()
