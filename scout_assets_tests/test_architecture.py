"""The layer contract, types and style: what a reviewer should never have to say."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PACKAGE = sorted((PROJECT / "scout_assets").rglob("*.py"))


@pytest.mark.parametrize(
    "command",
    [
        ("lint-imports",),
        ("mypy",),
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
    ],
    ids=" ".join,
)
def test_tools_find_nothing(command: tuple[str, ...]):
    tool, *arguments = command
    done = subprocess.run(
        [str(BIN / tool), *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_module_says_what_belongs_in_it(path: Path):
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert doc
    if path.name != "__init__.py" and "migrations" not in path.parts:
        assert re.search(r"Belongs here|: the tree, and nothing else|The only module", doc), doc


def test_init_files_import_nothing():
    for path in PACKAGE:
        if path.name == "__init__.py" and "migrations" not in path.parts:
            nodes = ast.walk(ast.parse(path.read_text()))
            assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes), path


def test_functions_are_short():
    lengths = {
        f"{path.relative_to(PROJECT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert statistics.median(lengths.values()) <= 10
    long = {name: length for name, length in lengths.items() if length > 40}
    assert len(long) <= len(lengths) * 0.01, long
    assert max(lengths.values()) <= 60, long


def test_modules_are_of_a_readable_size():
    assert [p.name for p in PACKAGE if p.read_text().count("\n") > 600] == []


def test_domain_reads_no_clock_environment_or_file():
    told = re.compile(
        r"datetime\.now|time\.time|os\.environ|getenv|\bopen\(|import (socket|requests)"
    )
    for path in (PROJECT / "scout_assets" / "domain").rglob("*.py"):
        assert not told.findall(path.read_text()), path
