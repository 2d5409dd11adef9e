"""Docs that lag behind the code fail here: every command of README is run."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scout_assets.cli.app import app
from scout_assets_tests import recorded
from scout_assets_tests.orchestration.commands import PROJECT, Workplace

README = (PROJECT / "README.md").read_text()
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.split("   ")[0].strip() for block in SHELL.findall(README) for line in block.splitlines()
]
SERVED = {"make run", "make test", "make ui"}
"""Commands that install or serve: their Makefile targets are checked, not run again here."""


def test_tables_page_is_current():
    """Changed on purpose? `python -m scout_assets_tests.recorded`."""
    assert recorded.TABLES_PAGE.read_text() == recorded.tables_page() + "\n"


def test_make_targets_of_the_readme_exist():
    makefile = (PROJECT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z]+)`?", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert {command for command in COMMANDS if command.startswith("make")} == SERVED


def test_every_readme_command_runs(tmp_path: Path):
    """In the order of their need: the graph's first, then what asks it."""
    place = Workplace(tmp_path / "place")
    wanted = [command for command in COMMANDS if command not in SERVED]
    wanted.sort(key=lambda command: command.startswith("scout"))
    assert len(wanted) >= 12
    for command in wanted:
        output = place.run(*shlex.split(command), timeout=180)
        assert "Traceback" not in output, command


def test_readme_names_every_command_of_scout():
    told = CliRunner().invoke(app, ["--help"]).stdout
    for name in (
        "try",
        "search",
        "summary",
        "sources",
        "review",
        "explain",
        "calibrate",
        "jobs",
        "match",
        "quarantine",
    ):
        assert re.search(rf"\b{name}\b", told)
        assert f"scout {name}" in README


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_links_and_paths_lead_somewhere(page: str):
    text = (PROJECT / page).read_text()
    folder = (PROJECT / page).parent
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / link).exists(), link
    for module in re.findall(r"`((?:domain|gateways|orchestration)(?:\.[a-z_]+)+)`", text):
        path = PROJECT / "scout_assets" / module.replace(".", "/")
        named = [path.with_suffix(".py"), path.parent.with_suffix(".py"), path.parent]
        assert any(candidate.exists() for candidate in named), module
