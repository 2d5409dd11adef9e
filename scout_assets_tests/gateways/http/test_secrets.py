"""Logins and keys go to their own host and into no message."""

import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import ScoutFailure
from scout_assets.gateways.exchange import shown
from scout_assets_tests.gateways.http.fetching import FEED, failure, fetch, policy
from scout_assets_tests.loopback import Loopback, Reply, Store

SECRET = "hunter2"


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json(FEED),
        Reply(status=404),
        Reply(status=403),
        Reply(status=500),
        Reply(status=204),
        Reply(status=429, headers={"Retry-After": "3600"}),
        Reply(status=302, headers={"Location": "http://[::1"}),
        Reply(status=302, headers={"Location": f"/x?access_token={SECRET}"}),
        Reply(hang_up=True),
        Reply(body=b"<html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"x" * 2000),
        Reply.json(FEED, pause=1),
    ],
    ids=lambda reply: str(reply.status),
)
def test_no_message_counter_or_log_tells_a_secret(
    shop: Store, counters: Counter[str], reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop.route("/x", reply)
    url = shop.url(f"/x?access_token={SECRET}&page=2").replace("://", f"://me:{SECRET}@")
    rules = policy(max_bytes=1000, timeout_seconds=0.1)
    try:
        told = fetch(url, counters, rules).url
    except ScoutFailure as error:
        told = str(error)
    assert SECRET not in told
    assert SECRET not in repr(counters)
    assert SECRET not in caplog.text
    assert "page=2" in told
    assert "access_token=***" in told


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_a_shown_url_holds_no_login(password: str) -> None:
    url = f"https://me:{password}@shop.example/a?b=1&api_key={password}#{password}"
    assert shown(url) == "https://shop.example/a?b=1&api_key=***"


def test_a_url_that_cannot_be_parsed_is_not_repeated(counters: Counter[str]) -> None:
    assert SECRET not in str(failure(f"http://me:{SECRET}/x@shop.example/", counters))


def test_a_login_goes_to_its_own_host_only(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.route("/c", Reply.json(FEED))
    shop.route("/a", Reply(status=302, headers={"Location": shop.url("/b")}))
    shop.route("/b", Reply(status=302, headers={"Location": other.url("/c")}))
    fetch(shop.url("/a").replace("://", "://me:p%40ss@"), counters)
    logins = {request.path: request.headers.get("authorization") for request in shop.requests}
    assert logins == {"/robots.txt": None, "/a": "Basic bWU6cEBzcw==", "/b": "Basic bWU6cEBzcw=="}
    assert all("authorization" not in request.headers for request in other.requests)
