"""Where everything of an installation lives.

Belongs here: the folder layout and the environment variables that move it. Does not belong
here: what is kept in those places.

`SCOUT_DATABASE` (postgresql://…) keeps warehouse, ledger and Dagster's records on a server, each in
a schema of its own; `SCOUT_WAREHOUSE` (or duckdb:///file) and `SCOUT_LEDGER` (or sqlite:///file)
move one of them alone; `SCOUT_WAREHOUSE_ANALYTICS` only the tables of that group. `SCOUT_PUBLISH`
(postgresql://…) names a server for applications, to which tables are copied. Without, all are
files: `SCOUT_HOME` (default `.scout` below the working directory) holds warehouse, ledger and
search cache; `SCOUT_ARTIFACTS` (default: a folder in it) may be any fsspec URL; `SCOUT_SOURCES`
(default `sources.yaml`) is the declared list of sources; `SCOUT_RATES` (default `rates.csv`) holds
dated exchange rates; `SCOUT_MASTER_LIST` is the list of suppliers (path or address;
`SCOUT_MASTER_LIST_PRIVATE=1` allows one in your own network); `SCOUT_WATCH_ROOTS` the folders that
local price lists may lie in; `SCOUT_USER_AGENT` tells stores who asks, with a contact;
`SCOUT_GOOGLE_SERVICE_ACCOUNT` is the key file of the account that may see private Google Sheets;
`TRIGGER_INGESTION_ON_STARTUP=true` asks every source once when Dagster starts in auto. The
variables of the ML service are those of `courier.CourierSettings`, of which `MAX_FILE_SIZE_MB` caps
every price list.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig
from scout_assets.domain.money import Rates, read_rates
from scout_assets.domain.sources import Source
from scout_assets.domain.tables import ANALYTICS, PUBLISHED, TABLES
from scout_assets.gateways.alerts import Alerts
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.channels import Configured, configured
from scout_assets.gateways.control import Control
from scout_assets.gateways.courier import Courier, CourierSettings
from scout_assets.gateways.decisions import Decisions
from scout_assets.gateways.dispatch import Dispatches
from scout_assets.gateways.duckdb_warehouse import DuckDbWarehouse
from scout_assets.gateways.google_sheets import GOOGLE, SERVICE_ACCOUNT
from scout_assets.gateways.http import Policy
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.mixed_warehouse import MixedWarehouse
from scout_assets.gateways.postgres import Postgres, is_postgres
from scout_assets.gateways.price_lists import ListAccess
from scout_assets.gateways.price_rules import PriceRules
from scout_assets.gateways.snapshots import Snapshots
from scout_assets.gateways.warehouse import Warehouse
from scout_assets.gateways.warehouse_views import VIEWS
from scout_assets.gateways.watched import ROOTS_VARIABLE, watch_roots

__all__ = ["DAGSTER_SCHEMA", "Home", "dagster_server", "open_warehouse"]

DAGSTER_SCHEMA = "dagster"


@dataclass(frozen=True)
class Home:
    """An installation. Opening its parts is lazy: a warehouse file appears when first used."""

    root: Path
    sources_file: Path
    artifacts_url: str
    warehouse_at: Path | Postgres
    ledger_at: Path | Postgres
    user_agent: str | None = None
    rates_file: Path = Path("rates.csv")
    master_list: str = ""
    master_list_private: bool = False
    watched: str = ""
    google_key: Path | None = None
    google: str = GOOGLE
    trigger_on_startup: bool = False
    publish_at: Postgres | None = None
    analytics_at: Path | Postgres | None = None

    @classmethod
    def locate(
        cls,
        environment: Mapping[str, str] = os.environ,
        root: str = "",
        sources_file: str = "",
    ) -> Self:
        """From explicit paths, else the environment, else the working directory."""
        home = Path(root or environment.get("SCOUT_HOME") or ".scout").expanduser().resolve()
        declared = sources_file or environment.get("SCOUT_SOURCES") or "sources.yaml"
        artifacts = environment.get("SCOUT_ARTIFACTS") or str(home / "artifacts")
        agent = environment.get("SCOUT_USER_AGENT") or None
        key = environment.get(SERVICE_ACCOUNT, "").strip()
        rates = Path(environment.get("SCOUT_RATES") or "rates.csv").expanduser().resolve()
        return cls(
            home,
            Path(declared).expanduser().resolve(),
            artifacts,
            _place(environment, "SCOUT_WAREHOUSE", home / "warehouse.duckdb"),
            _place(environment, "SCOUT_LEDGER", home / "ledger.sqlite"),
            agent,
            rates,
            environment.get("SCOUT_MASTER_LIST", "").strip(),
            _is_true(environment.get("SCOUT_MASTER_LIST_PRIVATE")),
            environment.get(ROOTS_VARIABLE, ""),
            Path(key).expanduser().resolve() if key else None,
            trigger_on_startup=_is_true(environment.get("TRIGGER_INGESTION_ON_STARTUP")),
            publish_at=_server(environment, "SCOUT_PUBLISH", "published"),
            analytics_at=_own_place(environment, "SCOUT_WAREHOUSE_ANALYTICS"),
        )

    def policy(self, **limits: float) -> Policy:
        """How stores are asked, in this installation's name."""
        own = {} if self.user_agent is None else {"user_agent": self.user_agent}
        try:
            return Policy.model_validate({**limits, **own})
        except ValidationError as error:
            raise BadConfig(f"SCOUT_USER_AGENT or a limit of ours is wrong: {error}") from None

    def engines(self, table: str | None = None) -> Mapping[str, str]:
        """What keeps warehouse (or one table of it) and ledger, by what does by default; opens
        neither."""
        warehouse: Path | Postgres = self.warehouse_at
        if table is not None and TABLES[table].group == ANALYTICS:
            warehouse = self.analytics_at or warehouse
        places = {"duckdb": warehouse, "sqlite": self.ledger_at}
        return {
            default: "postgres" if isinstance(at, Postgres) else default
            for default, at in places.items()
        }

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.ledger_at)

    @cached_property
    def warehouse(self) -> Warehouse:
        main = open_warehouse(self.warehouse_at)
        if self.analytics_at is None:
            return main
        other = open_warehouse(self.analytics_at)
        moved = [name for name, table in TABLES.items() if table.group == ANALYTICS]
        return MixedWarehouse(main, dict.fromkeys(moved, other))

    @cached_property
    def published(self) -> Warehouse | None:
        """The copy for applications; None when there is to be none."""
        if self.publish_at is None:
            return None
        from scout_assets.gateways.postgres_warehouse import PostgresWarehouse

        views = {name: VIEWS[name] for name in ("current_offers", "price_history")}
        return PostgresWarehouse(self.publish_at, tables=PUBLISHED, views=views)

    @cached_property
    def artifacts(self) -> Artifacts:
        return Artifacts(self.artifacts_url)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.ledger, self.artifacts, lambda: self.list_access)

    @property
    def list_access(self) -> ListAccess:
        """What is allowed for price lists. Raises BadConfig for a wrong setting."""
        limit = self.courier_settings.max_bytes
        return ListAccess(self.watch_roots, limit, self.google_key, self.google)

    @property
    def watch_roots(self) -> tuple[Path, ...]:
        """The folders that local price lists may lie in; none means anywhere."""
        return watch_roots({ROOTS_VARIABLE: self.watched})

    def resolved(self, source: Source) -> Source:
        """The source with what holds for all where it says nothing itself."""
        if source.kind is not Kind.SUPPLIER or source.use_ml_processing is not None:
            return source
        flag = {"use_ml_processing": self.courier_settings.use_ml_processing}
        return source.model_copy(update=flag)

    @cached_property
    def courier_settings(self) -> CourierSettings:
        return CourierSettings.from_environment(os.environ, self.root)

    @cached_property
    def courier(self) -> Courier:
        return Courier(self.ledger, self.artifacts, self.courier_settings)

    @cached_property
    def control(self) -> Control:
        return Control(self.ledger)

    @cached_property
    def dispatches(self) -> Dispatches:
        return Dispatches(self.ledger)

    @cached_property
    def alerts(self) -> Alerts:
        return Alerts(self.ledger)

    @property
    def channels(self) -> Configured:
        """Where alerts go; read anew each time."""
        return configured(os.environ, f"{socket.gethostname()}:{self.root}")

    @cached_property
    def price_rules(self) -> PriceRules:
        return PriceRules(self.ledger, self.warehouse)

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(self.ledger)

    @property
    def rates(self) -> Rates:
        """Exchange rates a person gave; none when there is no such file."""
        if not self.rates_file.exists():
            return Rates()
        with self.rates_file.open(encoding="utf-8-sig", newline="") as lines:
            return read_rates(lines, str(self.rates_file))

    @property
    def search_cache(self) -> Path:
        return self.root / "search"


def open_warehouse(at: Path | Postgres) -> Warehouse:
    """The warehouse in a file, or on a server."""
    if isinstance(at, Path):
        return DuckDbWarehouse(at)
    from scout_assets.gateways.postgres_warehouse import PostgresWarehouse

    return PostgresWarehouse(at)


def dagster_server(environment: Mapping[str, str]) -> Postgres | None:
    """Where Dagster keeps its own records; None means files."""
    return _server(environment, "SCOUT_DATABASE", DAGSTER_SCHEMA)


def _server(environment: Mapping[str, str], variable: str, schema: str) -> Postgres | None:
    url = environment.get(variable, "").strip()
    return Postgres(url, schema) if url else None


FILES = {
    "SCOUT_WAREHOUSE": "duckdb",
    "SCOUT_WAREHOUSE_ANALYTICS": "duckdb",
    "SCOUT_LEDGER": "sqlite",
}
"""What a file in each place is opened with."""


def _place(environment: Mapping[str, str], variable: str, default: Path) -> Path | Postgres:
    """A place of its own, else the common server, else a file in the home."""
    common = _server(environment, "SCOUT_DATABASE", _schema(variable))
    return _own_place(environment, variable) or common or default


def _own_place(environment: Mapping[str, str], variable: str) -> Path | Postgres | None:
    url = environment.get(variable, "").strip()
    if not url or is_postgres(url):
        return Postgres(url, _schema(variable)) if url else None
    scheme, divider, path = url.partition(":///")
    if not divider or scheme != FILES[variable] or not path:
        raise BadConfig(
            f"{variable} cannot be read: give postgresql://user:password@host:5432/database or "
            f"{FILES[variable]}:///path/to/file"
        )
    return Path(path).expanduser().resolve()


def _schema(variable: str) -> str:
    return variable.removeprefix("SCOUT_").lower()


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in {"1", "true"}
