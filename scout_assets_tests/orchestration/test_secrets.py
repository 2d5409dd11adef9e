"""A server's password stays in the environment: it is looked for wherever people look."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets_tests.orchestration.commands import Workplace
from scout_assets_tests.orchestration.live import ENDED, PLACE, Live, all_runs, wait_until
from scout_assets_tests.postgres import Server

PASSWORD = "hun/ter 2"
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD))

LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!) {
  launchPipelineExecution(executionParams: {selector: $selector, mode: "default"}) {
    __typename ... on PythonError { message }
  }
}
"""
SHOWN = """
{ instance { info } version
  repositoriesOrError { ... on RepositoryConnection { nodes {
    allTopLevelResourceDetails { name configuredValues { key value } }
    assetNodes { assetKey { path } description kinds metadataEntries { label description } }
  } } }
  runsOrError { ... on Runs { results { tags { key value } runConfigYaml } } }
}
"""


class OnServer(Workplace):
    """Everything of it is kept on a server."""

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        self.url = url

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "SCOUT_DATABASE": self.url}


@pytest.fixture
def place(tmp_path: Path, postgres: Server) -> OnServer:
    url = postgres.as_role("keeper", PASSWORD)
    postgres.execute("GRANT CREATE ON DATABASE postgres TO keeper")
    return OnServer(tmp_path / "place", url)


def assert_hidden(shown: Mapping[str, str]) -> None:
    assert {where for where, text in shown.items() for one in SECRETS if one in text} == set()


def test_no_password_is_printed_kept_or_listed(place: OnServer, postgres: Server):
    shown, listed = {}, []
    with place.start(*place.materialize("group:roasters", "--partition", "fjordlys")) as unknown:
        while unknown.poll() is None:
            listed += arguments()
            time.sleep(0.2)
        assert unknown.stdout is not None
        shown["a source nobody knows"] = unknown.stdout.read()
    assert any("dagster" in one for one in listed), "processes were seen"
    PostgresWarehouse(Postgres(place.url, "warehouse")).read("offers")  # its tables are there
    shown["sync"] = place.run("scout", "sources", "sync")
    shown |= {"ps": "\n".join(listed), **files(place.root), **tables(postgres.url)}
    postgres.execute("ALTER ROLE keeper PASSWORD 'another'")
    for command in (("scout", "status"), place.materialize("key:catalogue/sources")):
        with place.start(*command) as refused:
            shown[f"refused {command[0]}"] = refused.communicate(timeout=120)[0]
        assert refused.returncode != 0
        assert "password" in shown[f"refused {command[0]}"], "it says what is wrong"
    assert_hidden(shown)


@pytest.mark.soak
def test_no_password_is_shown_in_the_ui(place: OnServer, postgres: Server):
    live = Live(place)
    try:
        live.wait_until_up()
        selector = {**PLACE, "pipelineName": "maintenance"}
        launched = live.ask(LAUNCH, selector=selector)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        place.run("scout", "auto", "--by", "ana")
        wait_until(lambda: len(all_runs(live)) > 1, 120, "an automated run")
        wait_until(lambda: any(r.status in ENDED for r in all_runs(live).values()), 120, "a run")
        shown = {"UI": str(live.ask(SHOWN)), "ps": "\n".join(arguments())}
        PostgresWarehouse(Postgres(place.url, "warehouse")).read("offers")
    finally:
        live.end()
    assert_hidden(shown | files(place.root) | tables(postgres.url))


def arguments() -> Iterator[str]:
    """Of every process of this machine, as `ps` lists them."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended


def files(root: Path) -> Mapping[str, str]:
    return {
        str(path.relative_to(root)): path.read_bytes().decode("latin-1")
        for folder, _, names in os.walk(root)
        for path in (Path(folder, name) for name in names)
        if path.is_file()
    }


def tables(url: str) -> Mapping[str, str]:
    """Every row of every table of the server, as text."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname IN ('dagster', 'ledger', 'warehouse')"
        )
        names = [name for (name,) in cursor.fetchall()]
        assert {"dagster.event_logs", "ledger.sources", "warehouse.offers"} <= set(names)
        found = {}
        for name in names:
            cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {name} t")
            found[name] = cursor.fetchone()[0] or ""  # type: ignore[index]
        return found
