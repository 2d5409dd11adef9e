"""Backup and restore: taken while runs go on, refused when it would do harm, and tested."""

import gc
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.control import Mode
from scout_assets.domain.failures import BadConfig, Refused, ScoutFailure, Transient
from scout_assets.domain.tables import PRODUCTS, TABLES
from scout_assets.gateways import backup as taking
from scout_assets.gateways.backup import Manifest, backup, restore
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.ledger_database import HEAD
from scout_assets.gateways.migrations import config
from scout_assets_tests.supplies import Installation, coffees, csv_list

LATER = datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    here = Installation(tmp_path_factory.mktemp("stood"))
    here.supplier("acme", csv_list())
    here.run()
    return here


@pytest.fixture
def here(stood: Installation, tmp_path: Path) -> Installation:
    return stood.copied(tmp_path / "place")


@pytest.fixture
def kept(here: Installation, tmp_path: Path) -> Path:
    """A backup of the installation as it stands."""
    return backup(here.home, tmp_path / "kept", here.now)


def tables(here: Installation) -> dict[str, list[dict]]:
    return {name: here.rows(name) for name in TABLES}


def put_back(here: Installation, kept: Path, by: str = "ana") -> taking.Restored:
    """Restored as a command does it: no other part of this process has the ledger open."""
    here.__dict__.pop("home", None)
    gc.collect()
    restored = restore(here.home, kept, by, LATER)
    here.__dict__.pop("home", None)
    return restored


def move_on(here: Installation) -> None:
    """Another capture lands, with a coffee less."""
    here.store(coffees()[:3])
    here.fetch("berg")
    here.read(Kind.ROASTER)


def manifest(kept: Path) -> Manifest:
    return Manifest.model_validate_json((kept / "manifest.json").read_bytes())


# Backup


def test_a_backup_says_what_it_holds(here: Installation, kept: Path):
    assert sorted(path.name for path in kept.iterdir()) == [
        "ledger.sqlite",
        "manifest.json",
        "warehouse.duckdb",
    ]
    said = manifest(kept)
    assert (said.created_at, said.revision, said.artifacts) == (here.now, HEAD, None)
    assert said.files["warehouse.duckdb"].rows["products"] == len(here.rows("products"))
    assert said.files["ledger.sqlite"].rows["sources"] == 2
    for name, file in said.files.items():
        assert (kept / name).stat().st_size == file.size > 0


def test_in_a_folder_that_is_there_it_is_named_by_the_time(here: Installation, tmp_path: Path):
    folder = backup(here.home, tmp_path, here.now)
    assert folder.parent == tmp_path
    assert folder.name == f"{here.now:%Y%m%dT%H%M%SZ}"
    with pytest.raises(BadConfig, match="is there already"):
        backup(here.home, tmp_path, here.now)
    assert manifest(folder).revision == HEAD, "the first one is as it was"


def test_a_backup_that_fails_leaves_nothing(here: Installation, tmp_path: Path):
    here.home.warehouse.path.write_bytes(b"no database" * 1000)
    with pytest.raises(ScoutFailure, match=r"warehouse\.duckdb"):
        backup(here.home, tmp_path / "kept", here.now)
    assert not list(tmp_path.glob("kept*"))


def test_what_a_killed_backup_left_is_no_obstacle(here: Installation, tmp_path: Path):
    (tmp_path / "kept.part").mkdir()
    (tmp_path / "kept.part" / "warehouse.duckdb").write_bytes(b"half")
    folder = backup(here.home, tmp_path / "kept", here.now)
    assert manifest(folder).files
    assert not (tmp_path / "kept.part").exists()


def test_a_place_that_cannot_be_written_is_named(here: Installation, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadConfig, match=r"cannot back up to .*file/kept"):
        backup(here.home, tmp_path / "file" / "kept", here.now)


def test_a_new_installation_can_be_backed_up(tmp_path: Path):
    here = Installation(tmp_path)
    rows = manifest(backup(here.home, tmp_path / "kept", here.now)).files["warehouse.duckdb"].rows
    assert set(rows) == {*TABLES, "watermarks"}
    assert set(rows.values()) == {0}


def test_what_lands_during_a_backup_puts_the_ledger_ahead_never_the_warehouse(
    here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = taking.copy_sqlite

    def land_meanwhile(source: Path, to: Path) -> None:
        move_on(here)
        copy(source, to)

    monkeypatch.setattr(taking, "copy_sqlite", land_meanwhile)
    kept = backup(here.home, tmp_path / "kept", here.now)
    undisturbed = tables(here)
    put_back(here, kept)
    assert here.home.ledger.latest_snapshots(["berg"])["berg"].number == 2
    assert here.home.warehouse.watermarks(PRODUCTS, Kind.ROASTER)["berg"].snapshot == 1
    here.read()
    here.match()
    here.price()
    assert {name: here.rows(name) for name in ("parents", "products", "offers")} == {
        name: undisturbed[name] for name in ("parents", "products", "offers")
    }


WRITES = """
import sys, sqlite3, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS busy (one, two)")
print("ready", flush=True)
for number in range(10_000):
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO busy VALUES (?, ?)", (number, number))
        db.execute("DELETE FROM busy WHERE one < ?", (number,))
"""


@contextmanager
def other_process(program: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Another process that says `ready` once it has begun."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        try:
            yield process
        finally:
            process.kill()


def test_the_ledger_is_taken_as_of_one_moment_while_others_write(
    here: Installation, tmp_path: Path
):
    with other_process(WRITES, here.home.ledger.path):
        kept = backup(here.home, tmp_path / "kept", here.now)
    with sqlite3.connect(kept / "ledger.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM busy WHERE one = two").fetchone() == (1,)


LEAVES_A_JOURNAL = """
import sys, time, duckdb
db = duckdb.connect(sys.argv[1], config={"checkpoint_threshold": "1GB"})
db.execute("DELETE FROM quarantine")
db.execute("INSERT INTO quarantine (kind, source, snapshot, place, reason, row) "
           "VALUES ('roaster', 'berg', 1, 'of a killed writer', '', '')")
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_writer_committed_is_in_the_backup(here: Installation, tmp_path: Path):
    with other_process(LEAVES_A_JOURNAL, here.home.warehouse.path):
        pass
    assert here.home.warehouse.path.with_name("warehouse.duckdb.wal").stat().st_size > 0
    kept = backup(here.home, tmp_path / "kept", here.now)
    assert not (kept / "warehouse.duckdb.wal").exists()
    put_back(here, kept)
    assert [row["place"] for row in here.rows("quarantine")] == ["of a killed writer"]


# Restore


def test_a_restore_brings_everything_back_in_manual_mode(here: Installation, kept: Path):
    before = tables(here)
    move_on(here)
    here.home.ledger.retire("acme", here.now)
    moved_on = tables(here)
    assert moved_on != before
    restored = put_back(here, kept)
    assert restored.manifest == manifest(kept)
    assert restored.missing == 0
    assert tables(here) == before
    assert {s.source.key: s.state.value for s in here.home.ledger.sources()} == {
        "acme": "active",
        "berg": "active",
    }
    state = here.home.control.state()
    assert (state.mode, state.actor, state.since) == (Mode.MANUAL, "ana", LATER)
    assert state.reason == f"restored from {kept}"
    assert here.home.control.audit(1)[0].action == "mode manual"


def test_what_was_there_is_kept_and_can_be_restored_by_moving_it_back(
    here: Installation, kept: Path
):
    move_on(here)
    moved_on = tables(here)
    aside = put_back(here, kept).aside
    assert aside == here.home.root / "before-restore-20261224T180000Z"
    here.home.ledger.close()
    for name in ("warehouse.duckdb", "ledger.sqlite"):
        (aside / name).replace(here.home.root / name)
    here.__dict__.pop("home")
    assert tables(here) == moved_on
    assert here.home.ledger.latest_snapshots(["berg"])["berg"].number == 2


def test_after_a_restore_the_next_run_catches_up(here: Installation, kept: Path, tmp_path: Path):
    """With artifacts that landed after the backup still there, or fetched again."""
    undisturbed = here.copied(tmp_path / "undisturbed")
    for one in (here, undisturbed):
        one.store(coffees()[:3])
    undisturbed.run()
    move_on(here)
    put_back(here, kept)
    here.now = undisturbed.now - timedelta(minutes=2)
    here.run()
    for name in ("parents", "products", "offers", "matches", "best_prices"):
        mine, theirs = here.rows(name), undisturbed.rows(name)
        assert len(mine) == len(theirs) > 0, name
    listed = [{r["product_id"] for r in one.rows("products") if r["gone_at"] is None}
              for one in (here, undisturbed)]  # fmt: skip
    assert listed[0] == listed[1]


@pytest.mark.parametrize("name", ["warehouse.duckdb", "ledger.sqlite"])
@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_damaged_backup_is_refused_by_name_and_changes_nothing(
    here: Installation, kept: Path, name: str, harm: str
):
    body = bytearray((kept / name).read_bytes())
    body[5000] ^= 1
    (kept / name).write_bytes(body) if harm == "changed" else (kept / name).unlink()
    before = tables(here)
    with pytest.raises(BadConfig, match=f"kept/{name} (is damaged|cannot be copied)"):
        put_back(here, kept)
    here.__dict__.pop("home")
    assert tables(here) == before
    assert sorted(path.name for path in here.home.root.glob("*restor*")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no backup"),
        ("{", "is damaged"),
        ("{}", "is damaged"),
    ],
)
def test_what_is_no_backup_is_refused(here: Installation, kept: Path, text: str, said: str):
    path = kept / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(BadConfig, match=said):
        put_back(here, kept)


def test_a_backup_of_a_newer_version_is_refused_with_the_mend(here: Installation, kept: Path):
    said = json.loads((kept / "manifest.json").read_text()) | {"revision": "9999"}
    (kept / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(BadConfig, match="made by a newer version: its ledger is at 9999"):
        put_back(here, kept)


def test_a_ledger_of_an_older_version_is_brought_up_to_date(here: Installation, tmp_path: Path):
    old = Installation(tmp_path)
    path = old.home.ledger.path
    old.home.ledger.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE parser_settings SET mode = 'manual'")
    kept = backup(old.home, tmp_path / "kept", old.now)
    downgrade(kept)
    assert manifest(kept).revision == "0002"
    put_back(here, kept)
    assert [item.source.key for item in here.home.ledger.sources()] == ["berg"]
    assert here.home.control.audit(1)[0].actor == "ana"


def downgrade(kept: Path) -> None:
    """As an older version had made it, with the sources of the newer one."""
    new, old = kept / "ledger.sqlite", kept / "old.sqlite"
    engine = sa.create_engine(f"sqlite:///{old}")
    command.upgrade(config(engine), "0002")
    engine.dispose()
    with sqlite3.connect(old) as db:
        columns = ", ".join(row[1] for row in db.execute("PRAGMA table_info(sources)"))
        db.execute("ATTACH ? AS newer", [str(new)])
        db.execute(f"INSERT INTO sources ({columns}) SELECT {columns} FROM newer.sources")
    old.replace(new)
    said = json.loads((kept / "manifest.json").read_text())
    said["revision"] = "0002"
    said["files"]["ledger.sqlite"]["sha256"] = taking.digest(new)
    (kept / "manifest.json").write_text(json.dumps(said))


def test_in_auto_a_restore_is_refused(here: Installation, kept: Path):
    here.home.control.switch(Mode.AUTO, "ana", "go", here.now)
    before = tables(here)
    with pytest.raises(Refused, match="mode is auto: `scout stop --by NAME` first"):
        put_back(here, kept)
    assert tables(here) == before


def test_a_backup_taken_in_auto_comes_back_in_manual(here: Installation, tmp_path: Path):
    here.home.control.switch(Mode.AUTO, "ana", "go", here.now)
    kept = backup(here.home, tmp_path / "kept", here.now)
    here.home.control.switch(Mode.MANUAL, "ana", "stop", here.now)
    put_back(here, kept)
    assert here.home.control.state().mode is Mode.MANUAL
    assert [entry.action for entry in here.home.control.audit(2)] == ["mode manual", "mode auto"]


def test_somebody_must_say_so(here: Installation, kept: Path):
    with pytest.raises(BadConfig, match="a restore needs a name: --by NAME"):
        put_back(here, kept, by=" ")


HOLDS_WAREHOUSE = """
import sys, time
from pathlib import Path
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
with DuckDbWarehouse(Path(sys.argv[1])).writing():
    print("ready", flush=True)
    time.sleep(60)
"""
HOLDS_LEDGER = """
import sys, time
from pathlib import Path
from scout_assets.gateways.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.sources()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("program", "name", "said"),
    [
        (HOLDS_WAREHOUSE, "warehouse.duckdb", "is busy: process"),
        (HOLDS_LEDGER, "ledger.sqlite", "in use by another process.*`scout stop --by NAME`"),
    ],
    ids=["warehouse", "ledger"],
)
def test_while_a_process_holds_a_file_a_restore_is_refused_and_changes_nothing(
    here: Installation, kept: Path, program: str, name: str, said: str, monkeypatch
):
    monkeypatch.setattr(taking, "PATIENCE_SECONDS", 0.2)
    move_on(here)
    moved_on = tables(here)
    with (
        other_process(program, here.home.root / name),
        pytest.raises(Transient, match=said),
    ):
        put_back(here, kept)
    here.__dict__.pop("home")
    assert tables(here) == moved_on
    assert not list(here.home.root.glob("*restor*"))


@pytest.mark.parametrize("harm", [b"no database at all" * 500, b""], ids=["damaged", "empty"])
def test_a_damaged_installation_is_restored(here: Installation, kept: Path, harm: bytes):
    before = tables(here)
    root = here.home.root
    here.home.ledger.close()
    for name in ("warehouse.duckdb", "ledger.sqlite"):
        (root / name).write_bytes(harm)
    aside = put_back(here, kept).aside
    assert tables(here) == before
    assert (aside / "warehouse.duckdb").read_bytes() == harm


def test_an_empty_folder_is_restored(here: Installation, kept: Path, tmp_path: Path):
    before = tables(here)
    artifacts = str(here.root / "home" / "artifacts")
    new = Home.locate({"SCOUT_ARTIFACTS": artifacts}, str(tmp_path / "new"))
    restore(new, kept, "ana", LATER)
    found = {name: len(new.warehouse.read(name)) for name in TABLES}
    assert found == {name: len(rows) for name, rows in before.items()}


def test_no_journal_of_the_old_files_is_played_into_the_new_ones(here: Installation, kept: Path):
    before = tables(here)
    here.home.ledger.close()
    for name in ("warehouse.duckdb.wal", "ledger.sqlite-shm"):
        (here.home.root / name).write_bytes(b"of a killed writer")
    put_back(here, kept)
    assert tables(here) == before
    assert not (here.home.root / "warehouse.duckdb.wal").exists()


def test_with_artifacts_a_backup_can_be_replayed_anywhere(here: Installation, tmp_path: Path):
    kept = backup(here.home, tmp_path / "kept", here.now, with_artifacts=True)
    assert manifest(kept).artifacts == len(here.home.artifacts.stored()) == 2
    new = Home.locate({}, str(tmp_path / "new"))
    assert restore(new, kept, "ana", LATER).missing == 0
    assert [raw.number for raw in new.snapshots.load("berg")] == [1]


def test_without_artifacts_it_says_how_many_are_missing(kept: Path, tmp_path: Path):
    new = Home.locate({}, str(tmp_path / "new"))
    assert restore(new, kept, "ana", LATER).missing == 2


def test_a_ledger_that_was_never_there_is_no_obstacle(kept: Path, tmp_path: Path):
    new = Home.locate({}, str(tmp_path / "new"))
    restore(new, kept, "ana", LATER)
    assert len(Ledger(tmp_path / "new" / "ledger.sqlite").sources()) == 2
