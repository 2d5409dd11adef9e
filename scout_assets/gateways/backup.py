"""Backup and restore of an installation's warehouse and ledger.

Belongs here: what a backup folder holds, in which order it is taken and put back. Does not belong
here: copying and replacing a single database (`whole_files`).

A backup is a folder with `warehouse.duckdb`, `ledger.sqlite`, `manifest.json`, and `artifacts/` if
asked for. The warehouse is taken first: what the ledger learns meanwhile only puts it ahead, as
after a kill, and the next run catches up; a warehouse ahead of its ledger would never. Artifacts
come last, for each is stored before the ledger points at it. Dagster's runs are not part of it.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from scout_assets.domain.control import Mode
from scout_assets.domain.failures import BadConfig, Critical, Refused
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.control import Control
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.ledger_database import HEAD
from scout_assets.gateways.whole_files import (
    copy_sqlite,
    copy_warehouse,
    digest,
    replace,
    sqlite_alone,
)

__all__ = ["Kept", "Manifest", "Restored", "backup", "restore"]

WAREHOUSE, LEDGER, MANIFEST, ARTIFACTS = (
    "warehouse.duckdb",
    "ledger.sqlite",
    "manifest.json",
    "artifacts",
)
PATIENCE_SECONDS = 5.0
_COUNT = 'SELECT count(*) FROM "{}"'


class Kept(BaseModel):
    """A file of a backup. `rows`: of each table in it."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str
    rows: dict[str, int]


class Manifest(BaseModel):
    """What a backup holds. `revision`: of the ledger; `artifacts`: how many, None for not kept."""

    model_config = ConfigDict(frozen=True)

    created_at: datetime
    revision: str
    files: dict[str, Kept]
    artifacts: int | None = None


@dataclass(frozen=True)
class Restored:
    """`aside`: where what was there is kept; `missing`: artifacts that snapshots lack now."""

    manifest: Manifest
    aside: Path
    missing: int


# Backup


def backup(home: Home, place: Path, now: datetime, with_artifacts: bool = False) -> Path:
    """Back the installation up while it goes on; returns the new folder.

    `place` is the folder to make; in one that is there already it is made under the time's name.
    Raises BadConfig when the place is taken or cannot be written.
    """
    folder = place / f"{now:%Y%m%dT%H%M%SZ}" if place.is_dir() else place
    beside = folder.with_name(f"{folder.name}.part")
    if folder.exists():
        raise BadConfig(f"{folder} is there already: name another folder for the backup")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _fill(home, beside, now, with_artifacts)
        beside.rename(folder)
    except OSError as error:
        raise BadConfig(f"cannot back up to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _fill(home: Home, folder: Path, now: datetime, with_artifacts: bool) -> None:
    copy_warehouse(_file_of(home), folder / WAREHOUSE)
    copy_sqlite(home.ledger.path, folder / LEDGER)
    count = _copy_artifacts(home, folder / ARTIFACTS) if with_artifacts else None
    rows = {
        WAREHOUSE: _warehouse_rows(folder / WAREHOUSE),
        LEDGER: _ledger_rows(folder / LEDGER),
    }
    files = {name: _kept(folder / name, counted) for name, counted in rows.items()}
    manifest = Manifest(
        created_at=now, revision=_revision(folder / LEDGER), files=files, artifacts=count
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2))


def _file_of(home: Home) -> DuckDbWarehouse:
    """Raises BadConfig when the warehouse is no file."""
    if not isinstance(home.warehouse, DuckDbWarehouse):
        raise BadConfig(
            f"the warehouse is not one file ({home.warehouse.place}): what is on a server is "
            "backed up and restored with pg_dump and pg_restore, further files are copied beside"
        )
    return home.warehouse


def _copy_artifacts(home: Home, folder: Path) -> int:
    store, wanted = Artifacts(str(folder)), _pointed_at(home)
    for sha256 in wanted:
        store.put(home.artifacts.get(sha256))
    return len(wanted)


def _pointed_at(home: Home) -> set[str]:
    return {sha256 for _, sha256 in home.ledger.landed_pages()} | home.courier.results()


def _kept(path: Path, rows: Mapping[str, int]) -> Kept:
    return Kept(size=path.stat().st_size, sha256=digest(path), rows=dict(rows))


def _warehouse_rows(path: Path) -> dict[str, int]:
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        names = db.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        counts = [db.execute(_COUNT.format(name)).fetchall() for (name,) in names]
    return {name: count for (name,), ((count,),) in zip(names, counts, strict=True)}


def _ledger_rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        names = db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        counts = [db.execute(_COUNT.format(name)).fetchall() for (name,) in names]
    return {name: count for (name,), ((count,),) in zip(names, counts, strict=True)}


def _revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("SELECT version_num FROM alembic_version").fetchone()[0])


# Restore


def restore(home: Home, folder: Path, by: str, now: datetime) -> Restored:
    """Put a backup in the installation's place, in manual mode; what was there is kept beside.

    A ledger of an older version is brought up to date on the way. Raises BadConfig for a damaged
    backup or one of a newer version, Refused in auto, Transient while somebody uses the files;
    then nothing has changed. Killed halfway it may leave the warehouse restored and the ledger
    not: then restore again.
    """
    if not by.strip():
        raise BadConfig("a restore needs a name: --by NAME, or set SCOUT_ACTOR")
    manifest = _manifest(folder)
    _refuse_auto(home)
    staged = home.root / "restoring"
    aside = home.root / f"before-restore-{now:%Y%m%dT%H%M%SZ}"
    try:
        _stage(folder, manifest, staged)
        _switch_to_manual(staged / LEDGER, by, f"restored from {folder}", now)
        _put_artifacts(folder / ARTIFACTS, home.artifacts)
        _swap(home, staged, aside)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Restored(manifest, aside, len(_pointed_at(home) - home.artifacts.stored()))


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadConfig(
            f"{folder} is no backup: {path} cannot be read: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise BadConfig(f"{path} is damaged: take another backup; {error}") from error
    if manifest.revision > HEAD:
        raise BadConfig(
            f"{folder} was made by a newer version: its ledger is at {manifest.revision}, this one "
            f"knows {HEAD}; install that version, then restore"
        )
    return manifest


def _refuse_auto(home: Home) -> None:
    """A ledger too damaged to be asked lets nothing act by itself."""
    try:
        state = home.control.state()
        home.ledger.close()
    except Critical:
        return
    if state.is_auto:
        raise Refused("mode is auto: `scout stop --by NAME` first, then restore")


def _stage(folder: Path, manifest: Manifest, staged: Path) -> None:
    """Whole copies on the installation's own disk; what was copied is what is verified."""
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in (WAREHOUSE, LEDGER):
        kept = manifest.files.get(name)
        try:
            shutil.copyfile(folder / name, staged / name)
        except OSError as error:
            raise BadConfig(f"{folder / name} cannot be copied: {error.strerror}") from error
        if kept is None or digest(staged / name) != kept.sha256:
            raise BadConfig(
                f"{folder / name} is damaged: it is not what {MANIFEST} says; take another backup"
            )


def _switch_to_manual(ledger: Path, by: str, reason: str, now: datetime) -> None:
    """Before it is in place: nothing may act by itself on what was restored."""
    opened = Ledger(ledger)
    Control(opened).switch(Mode.MANUAL, by, reason, now)
    opened.close()
    with sqlite_alone(ledger):
        pass  # without a journal beside it


def _put_artifacts(folder: Path, artifacts: Artifacts) -> None:
    kept = Artifacts(str(folder))
    for sha256 in kept.stored():
        artifacts.put(kept.get(sha256))


def _swap(home: Home, staged: Path, aside: Path) -> None:
    """Both files or, when somebody holds one, none."""
    path = home.root / LEDGER
    warehouse = _file_of(home).path
    with DuckDbWarehouse(warehouse, PATIENCE_SECONDS).held(), sqlite_alone(path):
        replace(warehouse, staged / WAREHOUSE, aside)
        replace(path, staged / LEDGER, aside)
