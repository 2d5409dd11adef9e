"""`scout clean|backup|restore`, as a person uses them, with Dagster down."""

import gc
import json
from pathlib import Path

import pytest

from scout_assets.domain.control import Mode
from scout_assets.gateways.home import Home
from scout_assets.gateways.maintenance import STEPS
from scout_assets_tests.supplies import START, Installation
from scout_assets_tests.test_cli import scout


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A roaster's coffees, in the installation of the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOUT_HOME", str(tmp_path / "home"))
    for name in ("SCOUT_ARTIFACTS", "SCOUT_SHARED", "SCOUT_SOURCES", "SCOUT_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    made = Installation(tmp_path)
    made.fetch("berg")
    made.read()
    made.home.ledger.close()
    return made


def vanish(here: Installation) -> None:
    """One coffee went long ago."""
    with here.home.warehouse.writing() as db:
        for table in ("products", "parents"):
            db.execute(
                f"UPDATE {table} SET gone_at = '2026-01-01' WHERE source = 'berg' "
                f"AND starts_with({table[:-1]}_id, 'berg/4')"
            )


def test_a_preview_and_a_cleaning_say_the_same(here: Installation):
    vanish(here)
    preview = scout("clean", "--dry-run", "--json")
    assert preview.exit_code == 0, preview.output
    told = json.loads(preview.stdout)
    assert [one["step"] for one in told] == list(STEPS)
    assert told[0]["counts"] == {"products": 1, "parents": 1}
    assert len(here.rows("products")) == 5
    assert json.loads(scout("clean", "--json").stdout) == told
    assert len(here.rows("products")) == 4


def test_only_the_named_steps_are_taken(here: Installation):
    vanish(here)
    shown = scout("clean", "--only", "quarantine", "--only", "space").stdout
    assert "quarantine" in shown
    assert "vanished" not in shown
    assert len(here.rows("products")) == 5
    unknown = scout("clean", "--only", "everything")
    assert unknown.exit_code == 1
    assert "no step everything; there are vanished" in unknown.stderr


def test_a_failing_step_is_named_and_the_command_fails(here: Installation):
    here.home.warehouse.path.write_bytes(b"no database" * 1000)
    result = scout("clean", "--json")
    assert result.exit_code == 1
    assert "steps that failed: vanished, orphans, quarantine, space" in result.stderr
    failures = {one["step"]: one["failure"] for one in json.loads(result.stdout)}
    assert "warehouse.duckdb" in failures["vanished"]
    assert failures["artifacts"] is None


def test_backup_and_restore(here: Installation, tmp_path: Path):
    done = scout("backup", "kept")
    assert done.exit_code == 0, done.output
    assert f"backup in {tmp_path / 'kept'}" in done.stdout
    assert f"without artifacts; they stay in {tmp_path / 'home' / 'artifacts'}" in done.stdout
    before = here.rows("products")
    vanish(here)
    gc.collect()
    restored = scout("restore", "kept", "--by", "ana")
    assert restored.exit_code == 0, restored.output
    assert "mode manual" in restored.stdout
    assert f"what was there is kept in {tmp_path / 'home' / 'before-restore-'}" in restored.stdout
    assert here.rows("products") == before
    state = Home.locate().control.state()
    assert (state.mode, state.actor) == (Mode.MANUAL, "ana")


def test_with_artifacts_a_backup_says_nothing_more(here: Installation, tmp_path: Path):
    assert "without artifacts" not in scout("backup", "kept", "--artifacts").stdout
    assert any((tmp_path / "kept" / "artifacts").rglob("*"))


def test_a_restore_without_its_artifacts_warns(here: Installation, monkeypatch, tmp_path: Path):
    scout("backup", "kept")
    monkeypatch.setenv("SCOUT_HOME", str(tmp_path / "elsewhere"))
    result = scout("restore", "kept", "--by", "ana")
    assert result.exit_code == 0, result.output
    assert "1 artifacts of its snapshots are not here" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "kept"), "--by NAME, or set SCOUT_ACTOR"),
        (("restore", "nothing", "--by", "ana"), "is no backup"),
        (("backup", "kept/kept/ledger.sqlite"), "is there already"),
    ],
)
def test_what_is_wrong_is_explained(here: Installation, words: tuple[str, ...], said: str):
    scout("backup", "kept")
    Path("kept/kept").mkdir()
    Path("kept/kept/ledger.sqlite").write_text("a file in the way")
    result = scout(*words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_in_auto_a_restore_waits_for_a_stop(here: Installation):
    scout("backup", "kept")
    here.home.control.switch(Mode.AUTO, "ana", "go", START)
    here.home.ledger.close()
    result = scout("restore", "kept", "--by", "ana")
    assert result.exit_code == 1
    assert "`scout stop --by NAME` first" in result.stderr
