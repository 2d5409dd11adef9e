"""`scout stop|auto|manual|status|settings|runs|audit`: with Dagster there, absent, or broken."""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from scout_assets.cli.app import app
from scout_assets.domain.sources import Platform, Source
from scout_assets.gateways.home import Home
from scout_assets.orchestration.control import dagster_instance

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


def test_settings_are_shown_with_their_meaning_and_changed_by_name(place):
    assert "Say what automation would do" in scout("settings").stdout
    made = scout(
        "settings", "dry_run=true", "blacklist_titles=mug, gift card", "--by", "ana", "--json"
    )
    assert json.loads(made.stdout)["blacklist_titles"] == ["mug", "gift card"]
    assert status()["settings"]["dry_run"] is True  # type: ignore[index]
    for words, why in (
        (["nonsense=1", "--by", "ana"], "setting nonsense"),
        (["dry_run", "--by", "ana"], "expected name=value"),
        (["dry_run=no"], "--by NAME"),
    ):
        refused = scout("settings", *words)
        assert (refused.exit_code, why in refused.stderr) == (1, True)


def test_the_audit_log_names_who_changed_what(place):
    scout("sources", "add", "berg", "shopify", "https://berg.example", "--by", "bo")
    scout("sources", "retire", "berg")
    scout("settings", "failure_budget=9", "--by", "ana")
    found = json.loads(scout("audit", "--json").stdout)
    assert [(one["entity"], one["action"]) for one in found] == [
        ("parser_settings", "set failure_budget"),
        ("source berg", "retired"),
        ("source berg", "added"),
    ]
    assert [one["actor"] for one in found[::2]] == ["ana", "bo"]
    assert found[1]["actor"] == getpass.getuser(), "without a name that of the login"
    assert "failure_budget" in scout("audit").stdout


def test_runs_tell_what_was_asked_and_what_came_of_it(place):
    home = Home.locate()
    now = datetime.now(UTC)
    home.ledger.add(
        Source(key="berg", platform=Platform.SHOPIFY, location="https://b.example"), now
    )
    (dispatch,) = home.dispatches.claim("roaster", ["berg"], now)
    home.dispatches.begin(dispatch.number, "a-run", None, now)
    home.dispatches.end(dispatch.number, "FETCHED", now, {"sources/fetched": 1})
    (told,) = json.loads(scout("runs", "--json").stdout)
    assert (told["sources"], told["reason"], told["status"]) == ("berg", "new", "FETCHED")
    assert told["counters"] == {"sources/fetched": 1}
    assert "1 sources, 0 due, 0 failing" in scout("status").stdout


@dg.job
def follow() -> None:
    pass


def test_runs_hold_all_that_dagster_launched_by_itself(place):
    ends = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "d"}
    with dagster_instance() as instance:
        follow.execute_in_process(instance=instance, tags={"dagster/partition": "mine"})
        follow.execute_in_process(
            instance=instance,
            tags={"dagster/sensor_name": "flow_on", "scout/trigger": "flow_on", **ends},
        )
    (told,) = json.loads(scout("runs", "--json").stdout)
    assert (told["trigger"], told["sources"], told["status"]) == ("flow_on", "a...d", "SUCCESS")
    assert "a...d" in scout("runs").stdout


def test_auto_without_a_daemon_is_told(place):
    scout("auto", "--by", "ana")
    assert "nobody acts" in scout("status").stdout
    Home.locate().control.hold(datetime.now(UTC))
    assert f"process {os.getpid()} acts" in scout("status").stdout
    assert str(status()["acting"]).endswith(f"process {os.getpid()}")
