"""Docs that lag behind the code fail here: every command of README is run, those of the runbook
parsed, and run where that is quick and harmless."""

import gc
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click.testing
import pytest
import typer.main
from dagster._cli import create_dagster_cli

from scout_assets.cli.app import app
from scout_assets_tests import recorded
from scout_assets_tests.orchestration.commands import PROJECT, Workplace

README = (PROJECT / "README.md").read_text()
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """The lines of its shell blocks, without remarks."""
    return [
        line.split("   ")[0].strip() for block in SHELL.findall(page) for line in block.splitlines()
    ]


COMMANDS = commands(README)
OF_RUNBOOK = list(dict.fromkeys(commands(RUNBOOK)))
PROGRAMS = {"scout": typer.main.get_command(app), "dagster": create_dagster_cli()}
SERVED = {"make run", "make test", "make ui", "make run-postgres"}
"""Commands that install or serve: their Makefile targets are checked, not run again here."""


def test_tables_page_is_current():
    """Changed on purpose? `python -m scout_assets_tests.recorded`."""
    assert recorded.TABLES_PAGE.read_text() == recorded.tables_page() + "\n"


def test_make_targets_of_the_readme_exist():
    makefile = (PROJECT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)`?", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert {command for command in COMMANDS if command.startswith("make")} == SERVED


def test_every_readme_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of their need: the graph's first, then what asks it."""
    place = Workplace(tmp_path / "place")
    wanted = [command for command in COMMANDS if command not in SERVED]
    assert len(wanted) >= 12
    first, *dagsters = (one for one in wanted if one.startswith("dagster "))
    for command in (first, *(one for one in wanted if one.startswith("dg "))):
        assert "Traceback" not in place.run(*shlex.split(command), timeout=180), command
    assert_run(dagsters, place, monkeypatch)
    assert_run((one for one in wanted if one.startswith("scout ")), place, monkeypatch)


def assert_run(commands: Iterable[str], place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: starting one for each would take longer than all of them."""
    monkeypatch.chdir(place.root)
    for name in ("HOME", "SOURCES", "ARTIFACTS", "ACTOR", "ALERT_WEBHOOK", "ALERT_SLACK"):
        monkeypatch.delenv(f"SCOUT_{name}", raising=False)
    for command in commands:
        gc.collect()  # a process would have let go of the ledger, which a restore wants alone
        name, *words = words_of(command)
        result = click.testing.CliRunner().invoke(PROGRAMS[name], words)
        assert result.exit_code == 0, f"{command}: {result.output}{result.exception}"


def words_of(command: str) -> list[str]:
    """Without the variables before it."""
    return [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]


@pytest.mark.parametrize("command", OF_RUNBOOK)
def test_every_command_of_the_runbook_is_there_with_its_options(command: str):
    name, *words = words_of(command)
    if name not in PROGRAMS:
        assert name == "fuser"
        return
    program: Any = PROGRAMS[name]
    while hasattr(program, "commands"):
        name = words.pop(0)
        program = program.commands[name]
    program.make_context(name, words)  # raises for an unknown option or a missing argument


def test_every_scout_command_of_the_runbook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of the page, on sources that nobody has asked yet."""
    wanted = [command for command in OF_RUNBOOK if command.startswith("scout ")]
    assert len(wanted) >= 30
    place = Workplace(tmp_path / "place")
    assert_run(("scout sources sync", *wanted), place, monkeypatch)


def test_readme_names_every_command_of_scout():
    for name in PROGRAMS["scout"].commands:
        assert f"scout {name}" in README, name


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/runbook.md"])
def test_sections_that_are_linked_to_are_there(page: str):
    text = (PROJECT / page).read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/runbook.md"])
def test_links_and_paths_lead_somewhere(page: str):
    text = (PROJECT / page).read_text()
    folder = (PROJECT / page).parent
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / link).exists(), link
    for module in re.findall(r"`((?:domain|gateways|orchestration)(?:\.[a-z_]+)+)`", text):
        path = PROJECT / "scout_assets" / module.replace(".", "/")
        named = [path.with_suffix(".py"), path.parent.with_suffix(".py"), path.parent]
        assert any(candidate.exists() for candidate in named), module
