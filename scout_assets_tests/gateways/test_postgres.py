"""A Postgres server: its address without the password, and what its errors mean."""

import pytest

from scout_assets.domain.failures import BadConfig, Critical, Transient
from scout_assets.gateways.postgres import Postgres, is_postgres

SECRET = "hun%2Fter2"


def at(url: str) -> Postgres:
    return Postgres(url, "warehouse")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://ana:x@db.example/shop", "postgresql://ana@db.example/shop"),
        ("postgres://ana:x@db.example:5433/shop", "postgresql://ana@db.example:5433/shop"),
        ("postgresql://db.example/shop?sslmode=require", "postgresql://db.example/shop"),
        ("postgresql://ana@/shop?host=/run/pg", "postgresql://ana@/run/pg/shop"),
        ("postgresql://a%40b:x@[::1]:1/d", "postgresql://a@b@::1:1/d"),
    ],
)
def test_a_place_is_told_without_its_password(url: str, place: str):
    server = at(url)
    assert server.place == f"{place}, schema warehouse"
    assert repr(server) == f"Postgres({server.place})"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://a:s3cret@h/d",
        "postgresql://a:s3cret@h:port/d",
        "/tmp/file",
        "postgresql://[h/d",
        "postgresql://a:hunter@s3cret@h/d",  # an @ of the password that is not written %40
        "postgresql://a:s3cret#tail@h/d",
        "postgresql://a:s3cret?tail@h/d",
        "postgresql://a:s3cret/tail@h/d",
    ],
)
def test_an_address_that_cannot_be_read_says_what_to_give(url: str):
    with pytest.raises(BadConfig, match=r"give postgresql://user:password@host") as told:
        at(url)
    assert "s3cret" not in str(told.value)


def test_what_is_a_postgres_server():
    assert is_postgres("postgresql+psycopg2://h/d")
    assert not is_postgres("duckdb:///x")


def test_an_address_for_a_driver_names_schema_zone_and_settings_and_keeps_what_was_asked():
    asked = at("postgres://a:b@h/d?sslmode=require&options=-c%20work_mem%3D64MB")
    address = asked.address("psycopg2", lock_timeout="5s")
    assert address.startswith("postgresql+psycopg2://a:b@h/d?sslmode=require&options=")
    for wanted in ("work_mem%3D64MB", "search_path%3Dwarehouse%20", "lock_timeout%3D5s"):
        assert wanted in address


@pytest.mark.parametrize(
    ("state", "text", "kind", "mend"),
    [
        ("28P01", "password authentication failed", BadConfig, "Correct them in the address"),
        (None, 'password authentication failed for user "a"', BadConfig, "refuses this user"),
        (None, 'FATAL: database "d" does not exist', BadConfig, "create it"),
        (None, "no pg_hba.conf entry for host", BadConfig, "pg_hba.conf"),
        ("42501", "permission denied for database d", BadConfig, "GRANT CREATE ON DATABASE"),
        ("3F000", "no schema has been selected to create in", BadConfig, "OWNER TO the user"),
        ("2BP01", "cannot drop view current_offers", BadConfig, "Drop yours, start again"),
        (None, 'invalid percent-encoded token: "%zz"', BadConfig, "special characters as %XX"),
        ("53100", "could not extend file: No space left on device", Critical, "disk is full"),
        ("42P01", 'relation "offers" does not exist', Critical, "tables are missing"),
        ("23505", "duplicate key value", Critical, "break a key"),
        ("40P01", "deadlock detected", Transient, "tried again"),
        ("55P03", "canceling statement due to lock timeout", Transient, "away or busy"),
        ("57P01", "terminating connection", Transient, "away or busy"),
        (None, "connection refused", Transient, "See that it runs"),
        (None, "server closed the connection unexpectedly", Transient, "away or busy"),
        (None, "FATAL: sorry, too many clients already", Transient, "away or busy"),
        (None, "FATAL: das Datenbanksystem startet", Transient, "away or busy"),
        ("25006", "cannot execute INSERT in a read-only transaction", Transient, "away or busy"),
        ("53100", "auf dem Gerät ist kein Speicherplatz mehr", Critical, "disk is full"),
        ("XX000", "something else", Critical, "cannot be used"),
    ],
)
def test_an_error_is_told_as_what_it_means_with_the_mend(state, text, kind, mend):
    failure = at("postgresql://a:hunter2@h/d").failure(RuntimeError(text), "ledger", state)
    assert type(failure) is kind
    assert str(failure).startswith("ledger at postgresql://a@h/d, schema warehouse")
    assert mend in str(failure)
    assert text in str(failure)


@pytest.mark.parametrize(
    "url",
    [f"postgresql://a:{SECRET}@h/d", f"postgresql://a@h/d?password={SECRET}"],
)
def test_a_driver_that_quotes_the_password_does_not_get_it_told(url: str):
    quoted = RuntimeError(f'invalid token: "{SECRET}" or hun/ter2')
    assert str(at(url).failure(quoted, "ledger")).endswith('(invalid token: "***" or ***)')
