"""Fixtures every test may use. No test reads the network or another folder's state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from scout_assets_tests.loopback import Loopback

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    """A server for the tests of a module; each opens stores of its own."""
    with Loopback() as running:
        yield running


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
