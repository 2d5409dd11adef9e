"""Which addresses may be dialled, and who must prove to answer there."""

import ssl
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import trustme

from scout_assets.domain.failures import Permanent, Refused, Transient
from scout_assets.gateways.address_guard import is_public
from scout_assets.gateways.http import HttpGateway
from scout_assets_tests.gateways.http.fetching import (
    FEED,
    GUARDED,
    QUICK,
    Rerouted,
    failure,
    fetch,
    names,
    policy,
    run,
)
from scout_assets_tests.loopback import Loopback, Reply, Store

# Which addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.0.192", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("168.63.129.16", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("::127.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
        ("64:ff9b:1::8.8.8.8", False),
        ("2002:7f00:1::", False),
        ("2002:808:808::", True),
    ],
)
def test_public_addresses_are_told_from_special_ones(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"]
)
def test_every_spelling_of_the_loopback_is_refused(
    shop: Store, counters: Counter[str], host: str
) -> None:
    error = failure(shop.url("/feed.json", host), counters, GUARDED)
    assert isinstance(error, Refused)
    assert "allow_private: true" in str(error)
    assert shop.requests == []
    assert counters["address/refused"] == 1
    assert counters["http/retried"] == 0


def test_one_private_address_among_public_ones_condemns_the_name(
    shop: Store, counters: Counter[str]
) -> None:
    seams = {"network": Rerouted(), "resolve": names(mixed_example=["8.8.4.4", "10.0.0.7"])}
    error = failure(shop.url("/feed.json", "mixed.example"), counters, GUARDED, seams=seams)
    assert isinstance(error, Refused)
    assert "10.0.0.7" in str(error)
    assert shop.requests == []


def test_the_connection_goes_to_the_judged_address_and_asks_for_the_name(
    shop: Store, counters: Counter[str]
) -> None:
    network = Rerouted()
    seams = {"network": network, "resolve": names(public_example=["8.8.4.4"])}
    fetch(shop.url("/feed.json", "public.example"), counters, GUARDED, seams=seams)
    assert set(network.dialled) == {"8.8.4.4"}
    assert shop.requests[0].headers["host"] == f"public.example:{shop.port}"


def test_a_name_that_is_rebound_gains_nothing(shop: Store, counters: Counter[str]) -> None:
    answers = [["8.8.4.4"], ["127.0.0.1"]]
    network = Rerouted()

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    shop.route("/feed.json", Reply.json(FEED, headers={"Connection": "close"}))

    async def work(gateway: HttpGateway) -> None:
        url = shop.url("/feed.json", "rebound.example")
        rules = GUARDED.model_copy(update={"respect_robots": False})
        await gateway.get(url, policy=rules, counters=counters)
        with pytest.raises(Refused):
            await gateway.get(url, policy=rules, counters=counters)

    run(work, network=network, resolve=rebinding)
    assert network.dialled == ["8.8.4.4"]
    assert len(shop.requests) == 1


def test_a_connection_made_with_leave_is_not_lent_to_a_source_without(
    shop: Store, counters: Counter[str]
) -> None:
    async def work(gateway: HttpGateway) -> None:
        await gateway.get(shop.url("/feed.json"), policy=QUICK, counters=counters)
        with pytest.raises(Refused):
            await gateway.get(shop.url("/feed.json"), policy=GUARDED, counters=counters)

    run(work)
    assert len(shop.to("/feed.json")) == 1


def test_a_dead_first_address_leaves_the_next_one(shop: Store, counters: Counter[str]) -> None:
    # Nothing listens on 127.0.0.2: the store is bound to 127.0.0.1 alone.
    seams = {"resolve": names(two_example=["127.0.0.2", "127.0.0.1"])}
    assert fetch(shop.url("/feed.json", "two.example"), counters, seams=seams).status == 200


def test_a_name_without_address_is_transient(counters: Counter[str]) -> None:
    seams = {"resolve": names()}
    rules = policy(respect_robots=False)
    error = failure("http://nowhere.example/", counters, rules, seams=seams)
    assert type(error) is Transient
    assert "nowhere.example does not resolve" in str(error)
    assert counters["address/unresolved"] == 3


def test_proxies_of_the_environment_are_left_alone(
    shop: Store, counters: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(shop.url("/feed.json"), counters).status == 200


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever certifies the servers of these tests."""
    return trustme.CA()


@pytest.fixture
def secure(loopback: Loopback, authority: trustme.CA) -> Store:
    """A store with a certificate for secure.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("secure.example").configure_cert(context)
    store = loopback.store(tls=context)
    store.route("/feed.json", Reply.json(FEED))
    return store


def trusting(authority: trustme.CA, *hosts: str) -> dict[str, Any]:
    """Seams of a gateway that trusts `authority` alone and finds `hosts` on the loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    known = {host.replace(".", "_"): ["127.0.0.1"] for host in hosts}
    return {"tls": context, "resolve": names(**known)}


def test_tls_is_checked_against_the_name(
    secure: Store, authority: trustme.CA, counters: Counter[str]
) -> None:
    seams = trusting(authority, "secure.example", "other.example")
    assert fetch(secure.url("/feed.json", "secure.example"), counters, seams=seams).status == 200
    error = failure(secure.url("/feed.json", "other.example"), counters, seams=seams)
    assert type(error) is Permanent
    assert "certificate" in str(error)
    assert counters["http/retried"] == 0


def test_a_redirect_that_drops_encryption_is_refused(
    secure: Store, shop: Store, authority: trustme.CA, counters: Counter[str]
) -> None:
    secure.route("/a", Reply(status=301, headers={"Location": shop.url("/feed.json")}))
    seams = trusting(authority, "secure.example")
    error = failure(secure.url("/a", "secure.example"), counters, seams=seams)
    assert isinstance(error, Refused)
    assert "without encryption" in str(error)
    assert shop.requests == []
