"""An installation in files moved to a server: whole, verified, again after every interruption."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scout_assets.domain.control import Mode
from scout_assets.domain.failures import BadConfig, Critical, Refused
from scout_assets.domain.tables import OFFERS, TABLES
from scout_assets.gateways.home import Home
from scout_assets.gateways.moving import Moved, move
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Watermark
from scout_assets_tests.gateways.test_pgvector import hidden
from scout_assets_tests.gateways.test_warehouse import bad_rows, batch
from scout_assets_tests.postgres import Server
from scout_assets_tests.supplies import START, Installation, coffees, csv_list


@pytest.fixture(scope="module")
def stood(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Two captures of a roaster, a supplier's list, a decision, a price rule, in manual mode."""
    here = Installation(tmp_path_factory.mktemp("stood"))
    here.supplier("acme", csv_list())
    here.run()
    dearer = coffees()[:3]
    dearer[0]["variants"][0]["price"] = "99.00"
    here.store(dearer)
    here.fetch("berg")
    here.read()
    here.match()
    here.price()
    here.decide("acme/A-3", "reject")
    here.home.control.switch(Mode.MANUAL, "ana", "moving house", here.now)
    return here


@pytest.fixture
def here(stood: Installation, tmp_path: Path) -> Installation:
    return stood.copied(tmp_path / "place")


@pytest.fixture
def server(postgres: Server) -> str:
    return postgres.database()


def arrived(here: Installation, url: str) -> Installation:
    """The same installation on the server."""
    other = here.copied(here.root.with_name("arrived"))
    environment = {"SCOUT_DATABASE": url, "SCOUT_RATES": str(here.root / "rates.csv")}
    other.__dict__["home"] = Home.locate(
        environment, str(other.root / "home"), str(other.root / "sources.yaml")
    )
    return other


def test_every_row_and_all_history_arrive(here: Installation, server: str):
    told: list[Moved] = []
    moved = move(here.home, server, told.append)
    there = arrived(here, server)
    assert told == moved
    for name in TABLES:
        assert there.rows(name) == here.rows(name), name
    assert there.rows("price_history") == here.rows("price_history")
    assert len(there.home.ledger.latest_snapshots(["berg", "acme"])) == 2
    assert there.home.decisions.all() == here.home.decisions.all()
    assert there.home.control.state() == here.home.control.state()
    rows = {one.table: one.rows for one in moved if one.part == "warehouse"}
    assert rows == {name: len(here.rows(name)) for name in TABLES}


def test_the_new_place_goes_on_where_the_old_one_stopped(here: Installation, server: str):
    move(here.home, server, lambda _: None)
    there = arrived(here, server)
    there.store(coffees())
    there.fetch("berg")
    there.read()
    there.match()
    before = {row["offer_id"]: row for row in here.rows("offers")}
    after = {row["offer_id"]: row for row in there.rows("offers")}
    assert before.items() < after.items(), "history was carried on, not begun anew"
    there.decide("acme/A-2", "reject")
    assert len(there.home.decisions.all()) == 2, "numbers go on after those that came along"


def test_moved_again_it_writes_nothing(here: Installation, server: str):
    move(here.home, server, lambda _: None)
    again = move(here.home, server, lambda _: None)
    assert {one.written for one in again} == {0}


def test_what_changed_here_meanwhile_is_brought_too(here: Installation, server: str):
    """Interrupted before the ledger was moved, and a run was made by hand."""
    steps = iter(range(5))
    with pytest.raises(KeyboardInterrupt):
        move(here.home, server, interrupting(lambda: next(steps) == 4))
    here.store(coffees())
    here.fetch("berg")
    here.read()
    move(here.home, server, lambda _: None)
    assert arrived(here, server).rows("offers") == here.rows("offers")


def interrupting(when: Callable[[], bool]) -> Callable[[Moved], None]:
    def told(_: Moved) -> None:
        if when():
            raise KeyboardInterrupt

    return told


MOVE = """
import sys
from scout_assets.gateways import copying
from scout_assets.gateways.home import Home
from scout_assets.gateways.moving import move
copying.PIECE = 50
bring = copying.Warehouse.mirror
def slowly(self, batch):
    written = bring(self, batch)
    print(batch.table.name, written.rows, flush=True)
    return written
copying.Warehouse.mirror = slowly
move(Home.locate({}, sys.argv[1]), sys.argv[2], lambda one: print(one.table, flush=True))
"""


def grown(here: Installation, slices: int, rows: int) -> None:
    """Synthetic offers of many sources, besides what is there."""
    (row, *_) = here.rows("offers")
    for source in (f"made-up-{number}" for number in range(slices)):
        made = [
            row | {"source": source, "offer_id": f"{source}/{n}", "product_id": f"{source}/{n}"}
            for n in range(rows)
        ]
        marks = {source: Watermark(1, "1")}
        here.home.warehouse.write(Batch(OFFERS, "roaster", OFFERS.arrow(made), marks))


def test_killed_twice_it_goes_on(here: Installation, server: str):
    grown(here, 12, 40)
    here.home.ledger.close()
    command = [sys.executable, "-c", MOVE, str(here.root / "home"), server]
    for lines in (4, 6):
        moving_on = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert moving_on.stdout is not None
        for _ in range(lines):
            assert moving_on.stdout.readline()
        os.kill(moving_on.pid, signal.SIGKILL)
        moving_on.wait()
    moved = {one.table: one for one in move(here.home, server, lambda _: None)}
    assert 0 < moved["offers"].written < moved["offers"].rows, "some of it stood already"
    assert arrived(here, server).rows("offers") == here.rows("offers")


def test_rows_that_arrive_otherwise_are_noticed(
    here: Installation, server: str, monkeypatch: pytest.MonkeyPatch
):
    move(here.home, server, lambda _: None)
    with PostgresWarehouse(Postgres(server, "warehouse")).writing() as db:
        db.execute("UPDATE offers SET price = price + 0.0001 WHERE offer_id LIKE 'berg%'")
    with pytest.raises(Critical, match=r"table offers: 1 slices did not arrive.*roaster/berg"):
        move(here.home, server, lambda _: None)


def test_an_installation_that_is_there_is_left_alone(
    here: Installation, server: str, tmp_path: Path
):
    """Even one with a source of the same key that has not come as far."""
    (tmp_path / "other").mkdir()
    other = Installation(tmp_path / "other", START - timedelta(days=1))
    other.fetch("berg")
    other.read()
    other.home.control.switch(Mode.MANUAL, "ana", "moving house", other.now)
    move(other.home, server, lambda _: None)
    with pytest.raises(BadConfig, match=r"that of another installation.*Name an empty database"):
        move(here.home, server, lambda _: None)
    assert arrived(other, server).rows("offers") == other.rows("offers")


def test_a_warehouse_that_is_there_without_its_ledger_is_left_alone(
    here: Installation, server: str
):
    there = PostgresWarehouse(Postgres(server, "warehouse"))
    there.write(batch(bad_rows("berg", "1"), berg=1))
    with pytest.raises(BadConfig, match=r"holds what is not from this installation"):
        move(here.home, server, lambda _: None)
    assert there.read("quarantine").num_rows == 1


def test_an_empty_home_is_not_moved(server: str, tmp_path: Path):
    with pytest.raises(BadConfig, match=r"knows no source: is SCOUT_HOME the right folder"):
        move(Home.locate({}, str(tmp_path / "mistyped")), server, lambda _: None)


def test_what_an_older_version_kept_of_a_character_that_no_server_keeps_is_no_obstacle(
    here: Installation, server: str
):
    with here.home.warehouse.writing() as db:
        db.execute("UPDATE parents SET title = title || chr(0) WHERE external_id = '1'")
    with here.home.ledger.session() as session:
        session.execute(sa.text("UPDATE sources SET failure = 'a' || char(0) WHERE key = 'berg'"))
    move(here.home, server, lambda _: None)
    assert {one.written for one in move(here.home, server, lambda _: None)} == {0}


def test_a_ledger_that_went_on_there_is_left_alone(here: Installation, server: str):
    move(here.home, server, lambda _: None)
    there = arrived(here, server)
    there.home.control.switch(Mode.AUTO, "ana", "we live here now", here.now)
    with pytest.raises(BadConfig, match=r"has gone on by itself: audit, parser_settings are"):
        move(here.home, server, lambda _: None)
    assert there.home.control.state().is_auto


def test_in_auto_nothing_is_moved(here: Installation, server: str):
    here.home.control.switch(Mode.AUTO, "ana", "on", here.now)
    with pytest.raises(Refused, match="mode is auto: `scout stop --by NAME`, end Dagster"):
        move(here.home, server, lambda _: None)


def test_what_is_on_a_server_already_is_not_moved(here: Installation, server: str):
    there = arrived(here, server)
    with pytest.raises(BadConfig, match="are not one file each: unset SCOUT_DATABASE"):
        move(there.home, server, lambda _: None)


def scout(here: Installation, *arguments: str, **environment: str) -> Any:
    return subprocess.run(
        [str(Path(sys.executable).with_name("scout")), *arguments],
        cwd=here.root,
        env={**os.environ, "SCOUT_HOME": str(here.root / "home"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_what_it_did_and_what_comes_next(here: Installation, server: str):
    here.home.ledger.close()
    done = scout(here, "migrate", "--to", server)
    assert done.returncode == 0, done.stderr
    assert re.search(r"warehouse\.offers: \d+ rows verified, \d+ of them written", done.stdout)
    assert "ledger.sources: 2 rows verified" in done.stdout
    assert "runs of Dagster written" in done.stdout
    with Postgres(server, "warehouse").connection("test") as raw, raw.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension WHERE extname = 'vector'")
        assert cursor.fetchone() == ("vector",), "search works there at once"
    assert "set SCOUT_DATABASE to the address, start Dagster, `scout auto`" in done.stdout


def test_a_password_goes_into_the_variable(here: Installation, postgres: Server):
    address = postgres.as_role("mover", "hunter2")
    told = scout(here, "migrate", "--to", address)
    assert told.returncode == 1
    assert "password on the command line. Set SCOUT_MIGRATE_TO" in told.stderr
    hidden = scout(here, "migrate", SCOUT_MIGRATE_TO=address)
    assert "GRANT CREATE" in hidden.stderr
    assert "hunter2" not in told.stdout + told.stderr + hidden.stdout + hidden.stderr


def test_what_search_lacks_there_does_not_take_the_move_back(here: Installation, postgres: Server):
    here.home.ledger.close()
    server = hidden(postgres).url
    done = scout(here, "migrate", "--to", server)
    assert done.returncode == 0, done.stderr
    assert "all is moved, but search on Postgres needs the extension `vector`" in done.stderr
    assert "stands verified" in done.stdout
