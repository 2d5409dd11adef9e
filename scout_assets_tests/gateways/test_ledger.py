"""The ledger: sources and their fetch state, snapshots, many processes, migrations."""

import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from scout_assets.domain.failures import BadConfig, Critical, NotFound, Transient
from scout_assets.domain.sources import Source, State
from scout_assets.gateways import (
    alerts,
    control,
    courier,
    decisions,
    dispatch,
    migrations,
    price_rules,
)
from scout_assets.gateways.ledger import Ledger, Page, Snapshot, metadata
from scout_assets.gateways.ledger_database import HEAD
from scout_assets.gateways.postgres import Postgres

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAGE = Page("products", "https://berg.example/products.json", "ab" * 32, '"e1"', None)


@pytest.fixture
def ledger(ledger_place: Path | Postgres) -> Ledger:
    return Ledger(ledger_place)


def source(key: str = "berg", **fields: object) -> Source:
    declared = {"key": key, "platform": "shopify", "location": "https://x.example"} | fields
    return Source.read(declared, "test")


def snapshot(number: int, digest: str = "h", key: str = "berg") -> Snapshot:
    return Snapshot(key, number, digest, NOW, (PAGE,), {"http/ok": 1})


def test_a_sync_makes_the_declared_sources_known(ledger):
    ledger.sync([source("b"), source("a")], NOW)
    assert [item.source.key for item in ledger.sources()] == ["a", "b"]
    assert ledger.source("a").source == source("a")
    assert ledger.source("a").state is State.ACTIVE
    assert ledger.sync([source("b"), source("a")], NOW).empty


def test_a_source_that_is_no_longer_declared_is_retired_and_can_come_back(ledger):
    ledger.sync([source("a"), source("b")], NOW)
    assert ledger.sync([source("a")], NOW).retired == ("b",)
    assert [item.source.key for item in ledger.sources(state=State.ACTIVE)] == ["a"]
    ledger.sync([source("a"), source("b")], NOW)
    assert ledger.source("b").state is State.ACTIVE


def test_sources_added_by_hand_are_not_touched_by_a_sync(ledger):
    ledger.add(source("mine"), NOW)
    ledger.sync([source("a")], NOW)
    ledger.sync([], NOW)
    assert ledger.source("mine").state is State.ACTIVE
    assert ledger.source("mine").origin == "cli"
    ledger.retire("mine", NOW)
    ledger.add(source("mine", currency="EUR"), NOW)
    assert ledger.source("mine").source.currency == "EUR"


def test_a_source_retired_by_hand_stays_so_until_it_is_revived(ledger):
    ledger.sync([source("a")], NOW)
    ledger.retire("a", NOW)
    assert ledger.sync([source("a", currency="EUR")], NOW).empty
    assert ledger.source("a").state is State.RETIRED
    ledger.revive("a", NOW)
    ledger.sync([source("a", currency="EUR")], NOW)
    assert ledger.source("a").state is State.ACTIVE
    assert ledger.source("a").source.currency == "EUR"


def test_a_source_moves_between_hand_and_file(ledger):
    ledger.add(source("k"), NOW)
    ledger.retire("k", NOW)
    ledger.add(source("k", currency="NOK"), NOW)
    assert ledger.source("k").origin == "cli"
    ledger.sync([source("f")], NOW)
    ledger.retire("f", NOW)
    ledger.add(source("f"), NOW)
    ledger.sync([], NOW)
    assert ledger.source("f").state is State.ACTIVE


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda ledger: ledger.add(source("a"), NOW), "is there already"),
        (lambda ledger: ledger.retire("nobody", NOW), "no source 'nobody'"),
        (lambda ledger: ledger.source("nobody"), "no source 'nobody'"),
        (lambda ledger: ledger.sync([source("a"), source("mine")], NOW), "added by hand"),
    ],
)
def test_wrong_requests_are_explained(ledger, act, said):
    ledger.sync([source("a")], NOW)
    ledger.add(source("mine"), NOW)
    with pytest.raises(BadConfig, match=said):
        act(ledger)


def test_a_transient_failure_backs_off_and_a_success_clears_it(ledger):
    ledger.sync([source()], NOW)
    ledger.record_failure("berg", Transient("503"), NOW)
    ledger.record_failure("berg", Transient("503 again"), NOW)
    fetch = ledger.source("berg").fetch
    assert (fetch.failures, fetch.failure) == (2, "503 again")
    assert not fetch.due(NOW + timedelta(minutes=9))
    assert fetch.due(NOW + timedelta(minutes=10))
    ledger.record_success("berg", NOW)
    fetch = ledger.source("berg").fetch
    assert (fetch.failures, fetch.failure, fetch.last_success_at) == (0, None, NOW)
    assert fetch.due(NOW)


def test_a_permanent_failure_waits_for_a_changed_declaration(ledger):
    ledger.sync([source()], NOW)
    ledger.record_failure("berg", NotFound("404"), NOW)
    assert not ledger.source("berg").fetch.due(NOW + timedelta(days=999))
    ledger.sync([source(location="https://moved.example")], NOW)
    assert ledger.source("berg").fetch.due(NOW)


def test_snapshots_land_once_and_in_order(ledger):
    assert ledger.land(snapshot(1), NOW)
    assert not ledger.land(snapshot(1, "other"), NOW), "the number is taken"
    assert ledger.land(snapshot(2, "h2"), NOW)
    assert [s.number for s in ledger.snapshots("berg")] == [1, 2]
    assert [s.number for s in ledger.snapshots("berg", after=1)] == [2]
    assert ledger.latest_snapshots(["berg", "other"]) == {"berg": snapshot(2, "h2")}


def test_newer_validators_of_the_same_bytes_are_kept(ledger):
    first = Snapshot("berg", 1, Snapshot.hash_of([PAGE]), NOW, (PAGE,))
    ledger.land(first, NOW)
    newer = Page(PAGE.role, PAGE.url, PAGE.sha256, '"e2"', "Sun, 22 Nov 2026 12:00:00 GMT")
    ledger.renew_validators(first, [newer])
    assert ledger.latest_snapshots(["berg"])["berg"].pages == (newer,)
    other_bytes = Page(PAGE.role, PAGE.url, "cd" * 32, '"e3"')
    ledger.renew_validators(first, [other_bytes])
    assert ledger.latest_snapshots(["berg"])["berg"].pages == (newer,)


def _open_and_land(where: Path | Postgres, results: "multiprocessing.Queue[bool]") -> None:
    results.put(Ledger(where).land(snapshot(1), NOW))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_processes_that_start_at_once_migrate_once_and_one_lands(tmp_path, postgres, engine):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    path = tmp_path / "ledger.sqlite" if engine == "sqlite" else postgres.schema()
    racers = [spawn.Process(target=_open_and_land, args=(path, results)) for _ in range(5)]
    for racer in racers:
        racer.start()
    landed = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(60)
    assert sorted(landed) == [False, False, False, False, True]


def test_migrations_lead_to_the_models_and_head_is_the_newest(ledger):
    # Each brings its own tables.
    for module in (alerts, control, courier, decisions, dispatch, price_rules):
        assert module.Base.metadata is metadata
    with raw(ledger).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    script = ScriptDirectory.from_config(migrations.config(sa.create_engine("sqlite://")))
    assert script.get_current_head() == HEAD


def test_a_migration_can_be_taken_back(ledger):
    engine = raw(ledger)
    command.downgrade(migrations.config(engine), "base")
    assert set(sa.inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    assert Ledger(ledger.where).sources() == ()


@pytest.mark.parametrize("revision", ["0001", "0003", "0005"])
def test_a_filled_ledger_of_an_older_version_is_brought_up_to_date(ledger, revision):
    ledger.sync([source("berg")], NOW)
    before = ledger.sources()
    engine = raw(ledger)
    command.downgrade(migrations.config(engine), revision)
    with engine.begin() as connection:
        old = connection.execute(sa.text("SELECT key FROM sources")).scalars().all()
        assert (old, MigrationContext.configure(connection).get_current_revision()) == (
            ["berg"],
            revision,
        )
    engine.dispose()
    again = Ledger(ledger.where)
    assert [known.source for known in again.sources()] == [known.source for known in before]
    with raw(again).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def raw(ledger: Ledger) -> sa.Engine:
    """Its database, as it is."""
    if isinstance(ledger.where, Postgres):
        return sa.create_engine(ledger.where.address("psycopg2"))
    return sa.create_engine(f"sqlite:///{ledger.where}")


def test_a_ledger_without_its_tables_is_told_as_damaged(ledger):
    ledger.sync([source()], NOW)
    with raw(ledger).begin() as connection:
        connection.execute(sa.text("ALTER TABLE snapshots RENAME TO elsewhere"))
    with pytest.raises(Critical, match=r"ledger .* is damaged"):
        ledger.snapshots("berg")


# Overrides

HOURLY = {"price_cadence": "0 * * * *"}


def test_a_field_set_by_hand_wins_over_the_list_and_survives_a_sync(ledger):
    ledger.sync([source("berg")], NOW)
    ledger.override("berg", HOURLY, NOW, "ana")
    ledger.sync([source("berg", full_cadence="@daily")], NOW)
    known = ledger.source("berg")
    assert (known.source.price_cadence, known.source.full_cadence) == ("0 * * * *", "@daily")
    assert known.overrides == HOURLY
    ledger.override("berg", {"price_cadence": None}, NOW, "ana")
    assert ledger.source("berg").source.price_cadence == "0 4 * * 0"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"price_cadence": "often"}, "overrides: source 'berg', field 'price_cadence'"),
        ({"speed": "3"}, "field 'speed'"),
        ({"timezone": "Mars/Base"}, "no time zone"),
        ({"key": "tal"}, "key cannot be set"),
    ],
)
def test_a_wrong_override_is_named_and_changes_nothing(ledger, values, why):
    ledger.sync([source("berg")], NOW)
    with pytest.raises(BadConfig, match=why):
        ledger.override("berg", values, NOW)
    assert ledger.source("berg").overrides == {}
    with pytest.raises(BadConfig, match="no source 'nobody'"):
        ledger.override("nobody", HOURLY, NOW)


@pytest.mark.parametrize(
    ("values", "asked_again"), [(HOURLY, False), ({"location": "https://new.example"}, True)]
)
def test_a_change_of_when_asks_nobody_anew_a_change_of_what_does(ledger, values, asked_again):
    ledger.sync([source("berg")], NOW)
    ledger.record_failure("berg", NotFound("404"), NOW)
    ledger.override("berg", values, NOW + timedelta(hours=1))
    known = ledger.source("berg")
    assert known.is_new is asked_again
    assert (known.fetch.failures == 0) is asked_again


# A file that is none


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"this is no database" * 999), "is damaged"),
        (lambda path: version(path, "9999"), r"is of a newer version \(9999\) than this program"),
        (lambda path: sqlite3.connect(path).execute("DROP TABLE sources"), "is damaged .*no such"),
    ],
    ids=["damaged", "newer", "a table gone"],
)
def test_a_ledger_that_cannot_be_used_says_how_to_mend_it(tmp_path: Path, spoil, why):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    spoil(path)
    with pytest.raises((Critical, BadConfig), match=f"(?s){why}.*scout restore"):
        Ledger(path).sources()


def version(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", [revision])
