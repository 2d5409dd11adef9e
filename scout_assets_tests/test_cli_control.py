"""`scout stop|auto|manual|status`, with Dagster there, never started, or broken."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from scout_assets.cli.app import app

STORAGE = "storage:\n  sqlite:\n    base_dir: dagster\ntelemetry:\n  enabled: false\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with Dagster's settings beside."""
    for name in ("SCOUT_HOME", "SCOUT_SOURCES", "SCOUT_ARTIFACTS", "SCOUT_ACTOR", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dagster.yaml").write_text(STORAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scout(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def status() -> dict[str, object]:
    result = scout("status", "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, object] = json.loads(result.stdout)
    return told


def test_a_new_installation_is_manual_and_says_since_when_by_whom_and_why(place):
    told = status()
    assert (told["mode"], told["since"], told["actor"]) == ("manual", None, "system")
    assert told["reason"] == "nobody has said auto yet"
    assert told["audit"] == []


def test_auto_and_manual_are_kept_with_their_reasons(place):
    assert "auto since" in scout("auto", "--by", "ana", "--reason", "crawl checked").stdout
    assert (status()["mode"], status()["actor"]) == ("auto", "ana")
    assert scout("manual", "--by", "ben").exit_code == 0
    told = status()
    assert (told["mode"], told["actor"]) == ("manual", "ben")
    assert [entry["action"] for entry in told["audit"]] == ["mode manual", "mode auto"]
    shown = scout("status").stdout
    assert "crawl checked" in shown
    assert "the operator said manual" in shown


@pytest.mark.parametrize("command", ["auto", "manual", "stop"])
def test_a_switch_needs_a_name(place, command):
    refused = scout(command)
    assert refused.exit_code == 1
    assert "needs a name: --by NAME, or set SCOUT_ACTOR" in refused.stderr
    assert status()["audit"] == []


def test_stop_reaches_dagster_where_it_keeps_its_records(place):
    scout("auto", "--by", "ana")
    (place / "records").mkdir()
    with dg.instance_for_test(temp_dir=str(place / "records"), set_dagster_home=True):
        told = scout("stop", "--by", "ana")
    assert told.exit_code == 0, told.output
    assert "0 waiting runs cancelled, 0 ended, 0 backfills cancelled" in told.stdout
    assert status()["reason"] == "emergency stop"


def test_stop_works_where_dagster_never_ran(place):
    told = scout("stop", "--by", "ana")
    assert told.exit_code == 0, told.output
    assert status()["mode"] == "manual"


def test_stop_switches_first_and_says_when_dagster_cannot_be_reached(place, monkeypatch):
    scout("auto", "--by", "ana")
    monkeypatch.setenv("DAGSTER_HOME", str(place / "no" / "such" / "place"))
    told = scout("stop", "--by", "ana")
    assert told.exit_code == 1
    assert "Dagster's runs could not be reached" in told.stderr
    assert "nothing starts by itself any more" in told.stderr
    assert status()["mode"] == "manual"
    assert os.environ["DAGSTER_HOME"]
