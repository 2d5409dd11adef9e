"""Where a redirect may lead."""

from collections import Counter

import pytest

from scout_assets.domain.failures import BrokenContract, Permanent, Refused
from scout_assets_tests.gateways.http.fetching import (
    GUARDED,
    Rerouted,
    failure,
    fetch,
    names,
    policy,
)
from scout_assets_tests.loopback import Loopback, Reply, Store


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_to_the_final_address(
    shop: Store, counters: Counter[str], status: int
) -> None:
    shop.route("/old/a.json", Reply(status=status, headers={"Location": "../b.json"}))
    shop.route("/b.json", Reply(status=status, headers={"Location": shop.url("/feed.json#x")}))
    page = fetch(shop.url("/old/a.json"), counters)
    assert page.url == shop.url("/feed.json")
    assert counters["http/redirected"] == 2


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        ("/here.json", Permanent, "in a circle"),
        ("ftp://shop.example/x", BrokenContract, "usable Location"),
        ("file:///etc/passwd", BrokenContract, "usable Location"),
        ("http://[::1", BrokenContract, "usable Location"),
        (None, BrokenContract, "usable Location"),
    ],
)
def test_a_redirect_to_nowhere_is_permanent(
    shop: Store, counters: Counter[str], location: str | None, kind: type[Permanent], words: str
) -> None:
    headers = {} if location is None else {"Location": location}
    shop.route("/here.json", Reply(status=302, headers=headers))
    error = failure(shop.url("/here.json"), counters)
    assert type(error) is kind
    assert words in str(error)
    assert counters["redirect/refused"] == 1
    assert len(shop.to("/here.json")) == 1


def test_redirects_are_counted(shop: Store, counters: Counter[str]) -> None:
    for step in range(9):
        shop.route(f"/{step}", Reply(status=302, headers={"Location": f"/{step + 1}"}))
    error = failure(shop.url("/0"), counters, policy(max_redirects=2))
    assert type(error) is Permanent
    assert "more than 2 times" in str(error)
    assert shop.paths == ["/robots.txt", "/0", "/1", "/2"]


def test_a_redirect_obeys_the_robots_txt_of_the_new_host(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.robots("User-agent: *\nDisallow: /private")
    shop.route("/a", Reply(status=302, headers={"Location": other.url("/private/b")}))
    error = failure(shop.url("/a"), counters)
    assert isinstance(error, Refused)
    assert "Disallow: /private" in str(error)
    assert other.paths == ["/robots.txt"]


def test_a_redirect_into_the_own_network_is_refused(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    inner = loopback.store()
    shop.route("/a", Reply(status=302, headers={"Location": inner.url("/secret")}))
    known = {"public_example": ["8.8.4.4"], "127_0_0_1": ["127.0.0.1"]}
    seams = {"network": Rerouted(), "resolve": names(**known)}
    error = failure(shop.url("/a", "public.example"), counters, GUARDED, seams=seams)
    assert isinstance(error, Refused)
    assert "127.0.0.1" in str(error)
    assert shop.paths[-1] == "/a"
    assert inner.requests == []
    assert counters["address/refused"] == 1
