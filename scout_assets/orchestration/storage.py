"""Where Dagster keeps its runs, events and schedules.

Belongs here: the choice by environment, which dagster.yaml itself cannot make. Does not belong
here: either storage, which are Dagster's own (dagster-postgres, and SQLite files).
"""

import os
from collections.abc import Mapping
from typing import Any

from dagster._config import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from scout_assets.gateways.home import dagster_server

__all__ = ["ScoutStorage"]


class ScoutStorage(DagsterStorage[Any], ConfigurableClass):
    """Files in `base_dir`, or a schema of the server in SCOUT_DATABASE; named in dagster.yaml.

    The address stays in the environment: what Dagster passes on to its processes does not hold it.
    """

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"base_dir": StringSource}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster asks for a storage, whose it is
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage[Any]:
        server = dagster_server(os.environ)
        if server is None:
            return DagsterSqliteStorage(config_value["base_dir"], inst_data)
        from dagster_postgres import DagsterPostgresStorage  # of no use to who keeps files

        server.make_schema("Dagster's storage")
        return DagsterPostgresStorage(server.address("psycopg2"), inst_data=inst_data)
