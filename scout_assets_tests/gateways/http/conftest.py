"""A shop to fetch from: one server for the tests of a module."""

from collections import Counter
from collections.abc import Iterator

import pytest

from scout_assets_tests.gateways.http.fetching import FEED
from scout_assets_tests.loopback import Loopback, Reply, Store


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def shop(loopback: Loopback) -> Store:
    store = loopback.store()
    store.route("/feed.json", Reply.json(FEED))
    return store


@pytest.fixture
def counters() -> Counter[str]:
    return Counter()
