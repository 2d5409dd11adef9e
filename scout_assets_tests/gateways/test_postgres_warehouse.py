"""The warehouse on a real server: many writers, and what a server may do to them."""

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from scout_assets.domain.failures import BadConfig, Critical, ScoutFailure, Transient
from scout_assets.domain.tables import QUARANTINE
from scout_assets.gateways import postgres
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets_tests.gateways.test_warehouse import bad_rows, batch, offer, offers, places
from scout_assets_tests.postgres import Server

SOURCES = [f"s{number:03}" for number in range(100)]


@pytest.fixture
def warehouse(postgres_schema: Postgres) -> PostgresWarehouse:
    return PostgresWarehouse(postgres_schema, wait_seconds=20)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that a test may stop, or take its disk from."""
    server = Server(tmp_path_factory.mktemp("own"))
    yield server
    server.stop()


def rows_of(source: str, snapshot: int, count: int = 3) -> list[dict]:
    return bad_rows(source, *(f"{snapshot}-{n}" for n in range(count)), snapshot=snapshot)


def test_sixteen_writers_of_a_hundred_partitions_lose_nothing(warehouse: PostgresWarehouse):
    """All write all slices, in orders of their own: the newest snapshot of each stands whole."""

    def write(writer: int) -> None:
        mine = PostgresWarehouse(warehouse.server, wait_seconds=60)
        turned = SOURCES[writer * 6 :] + SOURCES[: writer * 6]
        for at in range(0, 100, 20):
            these = turned[at : at + 20]
            rows = [row for source in these for row in rows_of(source, writer + 1)]
            mine.write(batch(rows, **dict.fromkeys(these, writer + 1)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    assert places(warehouse) == sorted(f"{s}:16-{n}" for s in SOURCES for n in range(3))
    marks = warehouse.watermarks(QUARANTINE, "roaster")
    assert {mark.snapshot for mark in marks.values()} == {16}


def test_a_writer_of_a_slice_waits_and_others_go_on(warehouse: PostgresWarehouse):
    warehouse.write(batch(rows_of("a", 1), a=1))
    hurried = PostgresWarehouse(warehouse.server, wait_seconds=0.3)
    with warehouse.writing() as db:
        warehouse._claimed(db, batch([], a=2))
        with pytest.raises(Transient, match="away or busy"):
            hurried.write(batch(rows_of("a", 2), a=2))
        assert hurried.write(batch(rows_of("b", 1), b=1)).rows == 3
        assert places(hurried, "a") == ["a:1-0", "a:1-1", "a:1-2"], "readers do not wait"


def test_a_reader_sees_one_moment(warehouse: PostgresWarehouse):
    warehouse.write(batch(rows_of("a", 1), a=1))
    with warehouse.reading() as db:
        before = db.execute("SELECT count(*) FROM quarantine")
        warehouse.write(batch([], a=2))
        assert db.execute("SELECT count(*) FROM quarantine") == before
        assert db.watermarks(QUARANTINE, "roaster")["a"].snapshot == 1


def test_a_connection_cut_in_mid_write_leaves_what_was_there(
    warehouse: PostgresWarehouse, postgres: Server
):
    warehouse.write(batch(rows_of("a", 1), a=1))

    def cut() -> None:
        with warehouse.writing() as db:
            db.execute("DELETE FROM quarantine")
            ((pid,),) = db.execute("SELECT pg_backend_pid()")
            postgres.execute(f"SELECT pg_terminate_backend({pid})")
            db.execute("SELECT 1")

    with pytest.raises(Transient, match="tried again"):
        cut()
    assert warehouse.read("quarantine").num_rows == 3


def test_a_server_that_restarts_in_mid_write_is_told_and_then_goes_on(own_server: Server):
    warehouse = PostgresWarehouse(own_server.schema(), wait_seconds=20)
    told: list[ScoutFailure] = []
    stop = threading.Event()

    def write() -> None:
        snapshot = 0
        while not stop.is_set():
            snapshot += 1
            try:
                warehouse.write(batch(rows_of("a", snapshot, 500), a=snapshot))
            except ScoutFailure as failure:
                told.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    own_server.restart()
    stop.set()
    writer.join(30)
    assert told, "it was away for a while"
    assert {type(failure) for failure in told} == {Transient}
    mark = warehouse.watermarks(QUARANTINE, "roaster")["a"].snapshot
    assert places(warehouse) == sorted(f"a:{mark}-{number}" for number in range(500))


def test_a_full_disk_is_critical_and_leaves_what_was_there(own_server: Server):
    warehouse = PostgresWarehouse(own_server.schema(), wait_seconds=20)
    warehouse.write(batch(rows_of("a", 1), a=1))
    big = batch([row | {"row": "x" * 1000} for row in rows_of("a", 2, 40_000)], a=2)
    with limited(own_server, 24_000_000), pytest.raises(Critical, match="disk is full"):
        warehouse.write(big)
    assert places(warehouse) == ["a:1-0", "a:1-1", "a:1-2"]
    assert warehouse.write(big).rows == 40_000, "once there is room"


@contextmanager
def limited(server: Server, size: int) -> Iterator[None]:
    """No file of the server grows beyond so many bytes: as a quota of the disk does."""
    ours = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, ours[1]))  # it starts with our limits
    try:
        server.restart()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, ours)
    yield
    server.restart()


Opened = Callable[[Postgres], object]
OPENED: dict[str, Opened] = {
    "warehouse": lambda server: PostgresWarehouse(server).read("offers"),
    "ledger": Ledger,
}


@pytest.mark.parametrize("what", OPENED)
def test_a_wrong_password_is_told_without_it(postgres: Server, what: str):
    url = postgres.as_role("locked", "right").replace("right", "hunter2")
    with pytest.raises(BadConfig, match=rf"{what} at .*refuses this user or password") as told:
        OPENED[what](Postgres(url, "anything"))
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("what", OPENED)
def test_who_may_not_create_is_told_the_grant(postgres: Server, what: str):
    url = postgres.as_role("guest", "right")
    with pytest.raises(BadConfig, match=rf"{what} at .*GRANT CREATE ON DATABASE"):
        OPENED[what](Postgres(url, "of_a_guest"))


def test_a_schema_that_was_made_for_a_guest_needs_no_right_to_create_one(postgres: Server):
    url = postgres.as_role("lodger", "right")
    postgres.execute("CREATE SCHEMA of_a_lodger AUTHORIZATION lodger")
    assert PostgresWarehouse(Postgres(url, "of_a_lodger")).read("offers").num_rows == 0


@pytest.mark.parametrize("text", ["it's", "a\\'; DROP TABLE offers; --", "$1 $2", "", "ä\n'' "])
def test_texts_are_values_whatever_is_in_them(warehouse: PostgresWarehouse, text: str):
    with warehouse.reading() as db:
        (row,) = db.arrow("SELECT $1 AS one, $2 AS all", [text, [text, "b"]]).to_pylist()
    assert row == {"one": text, "all": [text, "b"]}


@pytest.mark.parametrize("what", OPENED)
def test_no_server_is_tried_again(what: str):
    nowhere = Postgres("postgresql://ana:hunter2@127.0.0.1:1/db", "anything")
    with pytest.raises(Transient, match="See that it runs and may be reached") as told:
        OPENED[what](nowhere)
    assert "hunter2" not in str(told.value)


def test_a_server_that_is_too_old_is_refused(
    warehouse: PostgresWarehouse, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgres, "OLDEST", 99)
    with pytest.raises(BadConfig, match=r"is Postgres \d+ .* needed are 99 or newer, and UTF8"):
        warehouse.read("offers")
    with pytest.raises(BadConfig, match=r"ledger at .* needed are 99 or newer"):
        Ledger(warehouse.server)


def test_texts_are_utf8_whatever_the_client_is_set_to(postgres: Server, monkeypatch):
    """And a database that keeps them otherwise is refused."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    warehouse = PostgresWarehouse(postgres.schema())
    warehouse.write(offers(offer(1) | {"price_raw": "Café € 12"}, upto=1))
    with warehouse.reading() as db:
        (length,) = db.execute("SELECT length(price_raw) FROM offers")
    assert length == (9,), "as every other program counts it"
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    latin = postgres.url.replace("/postgres?", "/latin?")
    with pytest.raises(BadConfig, match=r"the database in LATIN1.*ENCODING 'UTF8'"):
        PostgresWarehouse(Postgres(latin, "warehouse")).read("offers")


def test_tables_of_others_in_public_are_neither_used_nor_in_the_way(postgres: Server):
    """Other programs of the same database have tables of the same names: Dagster, Alembic."""
    address = postgres.database()
    with Postgres(address, "public").connection("test") as raw, raw.cursor() as cursor:
        for table in ("alembic_version (version_num text)", "offers (a int)", "watermarks (a int)"):
            cursor.execute(f"CREATE TABLE {table}")
        cursor.execute("INSERT INTO alembic_version VALUES ('app_1')")
        raw.commit()
    warehouse = PostgresWarehouse(Postgres(address, "warehouse"))
    warehouse.write(offers(offer(1), upto=1))
    assert warehouse.read("offers").num_rows == 1
    assert Ledger(Postgres(address, "ledger")).sources() == ()


def test_cleaning_beside_writers_waits_for_them_and_they_for_it(warehouse: PostgresWarehouse):
    """Both begin with the watermarks: no deadlock."""
    for source in SOURCES[:8]:
        warehouse.write(batch(rows_of(source, 1), **{source: 1}))

    def write(number: int) -> None:
        for snapshot in range(2, 8):
            source = SOURCES[number % 8]
            warehouse.write(batch(rows_of(source, snapshot), **{source: snapshot}))

    def clean(number: int) -> None:
        warehouse.forget(QUARANTINE, [("roaster", source) for source in SOURCES[:8][::-1]])

    with ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(write if n % 3 else clean, n) for n in range(24)]
        for job in jobs:
            job.result()


def test_what_appends_twice_at_once_is_there_once(warehouse: PostgresWarehouse):
    same = offers(offer(1), offer(2, "13"), upto=2)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: PostgresWarehouse(warehouse.server).write(same), range(4)))
    assert sorted(written.rows for written in done) == [0, 0, 0, 2]
    assert warehouse.read("offers").num_rows == 2
