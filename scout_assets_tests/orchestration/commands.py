"""The project's commands in a folder of their own, as a user runs them.

Belongs here: starting `dagster` and `scout` as processes on a copy of the sample world.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Workplace:
    """A folder with the project's dagster.yaml, workspace.yaml, sources and samples."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        for name in ("dagster.yaml", "workspace.yaml", "sources.yaml", "pyproject.toml"):
            shutil.copy(PROJECT / name, root / name)
        shutil.copytree(PROJECT / "samples", root / "samples")
        (root / "scout_assets").symlink_to(PROJECT / "scout_assets")  # where `dg` looks for it

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ}
        return kept | {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command; its output is one text."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, timeout: float = 120) -> str:
        """Run a command that must succeed; returns its output."""
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=timeout)
        assert process.returncode == 0, output
        return output

    def materialize(self, select: str, *options: str) -> tuple[str, ...]:
        """The words of a `dagster asset materialize` command."""
        module = ("-m", "scout_assets.definitions")
        return ("dagster", "asset", "materialize", "--select", select, *options, *module)
