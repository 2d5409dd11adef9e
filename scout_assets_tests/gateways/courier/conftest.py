"""A courier, the service it asks, and an address where nobody answers."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scout_assets_tests.gateways.courier.office import DONE, Clock, Office, Service
from scout_assets_tests.loopback import Loopback


@pytest.fixture
def service(loopback: Loopback) -> Service:
    return Service(loopback.store(), [DONE])


@pytest.fixture
def office(tmp_path: Path, service: Service) -> Office:
    return Office(tmp_path, Clock(), service.url)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """An address where nobody answers, and nobody else will while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
