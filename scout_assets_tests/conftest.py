"""Fixtures every test may use. No test reads the network or another folder's state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from scout_assets.gateways.postgres import Postgres
from scout_assets_tests.loopback import Loopback
from scout_assets_tests.postgres import Server

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    """A server for the tests of a module; each opens stores of its own."""
    with Loopback() as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this test process."""
    server = Server(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture
def postgres_schema(postgres: Server) -> Postgres:
    """A schema of its own, which is not there yet."""
    return postgres.schema()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Postgres:
    """Where a new ledger is, on each engine."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.ledger()


@pytest.fixture
def home_root(tmp_path: Path) -> Path:
    return tmp_path / "home"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, else one worker ends alone: live tests, and whole pages of commands."""

    def is_short(item: pytest.Item) -> bool:
        return item.get_closest_marker("xdist_group") is None and not item.name.startswith(
            "test_every_"
        )

    items.sort(key=is_short)
