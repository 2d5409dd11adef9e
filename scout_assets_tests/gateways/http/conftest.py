"""A shop to fetch from, and the counters of what was done."""

from collections import Counter

import pytest

from scout_assets_tests.gateways.http.fetching import FEED
from scout_assets_tests.loopback import Loopback, Reply, Store


@pytest.fixture
def shop(loopback: Loopback) -> Store:
    store = loopback.store()
    store.route("/feed.json", Reply.json(FEED))
    return store


@pytest.fixture
def counters() -> Counter[str]:
    return Counter()
