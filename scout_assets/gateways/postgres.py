"""A Postgres server: its address without the password, and what its errors mean.

Belongs here: what warehouse, ledger and Dagster's storage on Postgres share. Does not belong here:
what any of them keeps there.

Each keeps to a schema of its own in one database, for Dagster and the ledger both have a table
`snapshots`.
"""

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from scout_assets.domain.failures import BadConfig, Critical, ScoutFailure, Transient

if TYPE_CHECKING:
    from adbc_driver_manager import AdbcDatabase
    from adbc_driver_postgresql import dbapi

__all__ = ["OLDEST", "Postgres", "is_postgres"]

OLDEST = 15
"""The oldest version of the server that we try."""

LONGEST_TOLD = 600
"""Characters of an error of the server that are shown; some quote the whole query."""
FORMS = ("postgresql", "postgres")
_MAKING = 0x5C007
"""Who makes a schema holds this advisory lock: processes that start at once take turns."""
MEND = "postgresql://user:password@host:5432/database"


def is_postgres(url: str) -> bool:
    """Whether an address is one of a Postgres server."""
    return url.partition("://")[0].partition("+")[0] in FORMS


@dataclass(frozen=True)
class Postgres:
    """A schema of a database. `url`: its address, with the password; never shown."""

    url: str
    schema: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            known = is_postgres(self.url) and (parts.port or True)
            known = known and parts.netloc.count("@") < 2 and not parts.fragment
        except ValueError:
            known = False
        if not known or not re.fullmatch(r"[a-z_][a-z0-9_]*", self.schema):
            raise BadConfig(
                f"the address of the Postgres server cannot be read: give {MEND}, special "
                "characters of a password as %XX (@ is %40, # is %23)"
            )

    def __repr__(self) -> str:
        return f"Postgres({self.place})"

    @property
    def place(self) -> str:
        """Who and where, for people."""
        parts = urlsplit(self.url)
        asked = self._asked()
        host = (parts.hostname or asked.get("host", "")) + (f":{parts.port}" if parts.port else "")
        user = f"{unquote(parts.username)}@" if parts.username else ""
        return f"postgresql://{user}{host}{parts.path}, schema {self.schema}"

    def _asked(self) -> dict[str, str]:
        """What the address says after `?`; unlike in a web form, + is no blank there."""
        pairs = (one.partition("=") for one in urlsplit(self.url).query.split("&") if one)
        return {unquote(name): unquote(value) for name, _, value in pairs}

    @property
    def has_password(self) -> bool:
        """Whether the address tells it, rather than PGPASSWORD or ~/.pgpass."""
        return bool(self._secrets())

    def address(self, driver: str = "", **settings: str) -> str:
        """For a driver: names mean those of the schema only, and settings of the session.

        Other programs keep tables of the same names in `public`: Dagster, Alembic.
        """
        parts = urlsplit(self.url)
        asked = self._asked()
        wanted = {"search_path": self.schema, "TimeZone": "UTC"}
        wanted |= {"standard_conforming_strings": "on", **settings}
        told = " ".join(f"-c {name}={value}" for name, value in wanted.items())
        asked["options"] = f"{asked.get('options', '')} {told}".strip()
        asked.setdefault("application_name", "scout")
        asked.setdefault("connect_timeout", "10")
        asked["client_encoding"] = "UTF8"
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        query = urlencode(asked, quote_via=quote)
        return f"{scheme}://{parts.netloc}{parts.path}?{query}"

    def make_schema(self, what: str) -> None:
        """Create the schema unless it is there: to look needs no right to create.

        Raises BadConfig for a server that is too old or keeps texts otherwise than as UTF-8, else
        what `failure` says of the server.
        """
        with self.connection(what) as raw, raw.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version_num')::int, "
                "current_setting('server_encoding')"
            )
            version, encoding = cursor.fetchone() or (0, "")
            if version < OLDEST * 10_000 or encoding != "UTF8":
                raise BadConfig(
                    f"{what} at {self.place}: the server is Postgres {version // 10_000} and the "
                    f"database in {encoding}; needed are {OLDEST} or newer, and UTF8. Upgrade it, "
                    "or name another database (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE "
                    "template0)"
                )
            cursor.execute("SELECT pg_advisory_xact_lock($1)", (_MAKING,))
            cursor.fetchall()
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = $1", (self.schema,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE SCHEMA "{self.schema}"')
                raw.commit()

    @contextlib.contextmanager
    def connection(self, what: str) -> "Iterator[dbapi.Connection]":
        """An open connection by ADBC, in a transaction that only `commit` keeps.

        Its errors are told as what they mean for `what`.
        """
        import adbc_driver_manager  # of no use to who keeps files, and half a second to import
        from adbc_driver_postgresql import dbapi

        try:
            database = _database(self.address())
            with dbapi.Connection(database, adbc_driver_manager.AdbcConnection(database)) as raw:
                yield raw
        except adbc_driver_manager.Error as error:
            raise self.failure(error, what, error.sqlstate) from None

    def hidden(self, text: str) -> str:
        """The text without the password; drivers quote it when they cannot read the address."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _secrets(self) -> set[str]:
        """As the address has them, and as they are."""
        parts = urlsplit(self.url)
        asked = (one.partition("=") for one in parts.query.split("&"))
        given = [parts.password or "", *(value for name, _, value in asked if "password" in name)]
        return {one for secret in given for one in (secret, unquote(secret)) if one}

    def failure(self, error: Exception, what: str, state: str | None = None) -> ScoutFailure:
        """What an error of the server means for `what` (warehouse or ledger), and the mend.

        `state`: its SQLSTATE (Postgres manual, appendix A); None when there was no connection.
        """
        told = shorten(self.hidden(str(error)), LONGEST_TOLD)
        where = f"{what} at {self.place}"
        if state == "53100" or DISK_FULL.search(str(error)):
            return Critical(
                f"{where}: the server's disk is full. Make room, then `scout auto` ({told})"
            )
        for found, kind, mend in MEANINGS:
            if found.search(state or str(error)):
                return kind(f"{where}: {mend.format(schema=self.schema)} ({told})")
        if state is None:  # the server never got as far as to say what is wrong
            return Transient(f"{where}: {_RETRIED} ({told})")
        return Critical(f"{where} cannot be used ({told})")


@functools.cache
def _database(address: str) -> "AdbcDatabase":
    """What connections of this process share: the server's types, which take 40 ms to look up.

    It holds no connection.
    """
    import adbc_driver_manager
    import adbc_driver_postgresql

    class Shared(adbc_driver_manager.AdbcDatabase):
        def close(self) -> None:
            """Not with the first of its connections."""

    return Shared(driver=adbc_driver_postgresql._driver_path(), uri=address)


DISK_FULL = re.compile(r"No space left on device|Check free disk space|SQLSTATE: 53100")
"""Told by the text: of a quota the state says nothing."""
_RETRIED = "the server is away or busy; it is tried again. See that it runs and may be reached"

MEANINGS: tuple[tuple[re.Pattern[str], type[ScoutFailure], str], ...] = tuple(
    (re.compile(found), kind, mend)
    for found, kind, mend in (
        (
            r"^28|password authentication failed|no password supplied|role .* does not exist",
            BadConfig,
            "the server refuses this user or password. Correct them in the address",
        ),
        (r"^3D000|database .* does not exist", BadConfig, "there is no such database: create it"),
        (
            r"no pg_hba.conf entry",
            BadConfig,
            "the server lets nobody in from here. Allow it in its pg_hba.conf",
        ),
        (
            r"^(42501|3F000)",
            BadConfig,
            "this user may not do that. As the owner: GRANT CREATE ON DATABASE … TO the user, or "
            "CREATE SCHEMA {schema} AUTHORIZATION the user; if the schema is there, ALTER SCHEMA "
            "{schema} OWNER TO the user",
        ),
        (
            r"^2BP01",
            BadConfig,
            "views of yours stand on ours, which are to be made anew. Drop yours, start again",
        ),
        (
            r"invalid percent-encoded|invalid URI|invalid port|invalid connection option|missing",
            BadConfig,
            f"the address cannot be read. Give {MEND}, special characters as %XX",
        ),
        (
            r"^42P01|^42703",
            Critical,
            "it is damaged: tables are missing. Restore a backup",
        ),
        (r"^23", Critical, "rows that break a key or rule of their table are not taken in"),
        (
            r"^(08|57P|53200|53300|53400|40001|40P01|55P03|55006|57014|25006|25P03)",
            Transient,
            _RETRIED,
        ),
    )
)
