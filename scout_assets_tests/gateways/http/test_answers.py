"""What one answer comes to: a page, nothing new, a final failure, a body too large."""

import gzip
from collections import Counter
from dataclasses import replace

import pytest

from scout_assets.domain.failures import BadConfig, BrokenContract, NotFound, Permanent, Refused
from scout_assets.gateways.http import HttpGateway, Validators
from scout_assets_tests.gateways.http.fetching import FEED, QUICK, failure, fetch, policy, run
from scout_assets_tests.loopback import Reply, Request, Store

# A page


def test_page_is_the_answer_as_bytes(shop: Store, counters: Counter[str]) -> None:
    page = fetch(shop.url("/feed.json?page=1#top"), counters)
    assert (page.status, page.not_modified, page.charset) == (200, False, "utf-8")
    assert page.body.startswith(b'{"products"')
    assert page.headers["CONTENT-TYPE"]
    assert page.url == shop.url("/feed.json?page=1")
    assert counters == {
        "http/requests": 2,  # robots.txt is one
        "robots/absent": 1,
        "http/ok": 1,
        "http/bytes": len(page.body),
    }


def test_request_says_who_asks_and_what_for(shop: Store, counters: Counter[str]) -> None:
    fetch(shop.url("/feed.json"), counters, accept="application/json, text/csv")
    sent = shop.to("/feed.json")[0].headers
    assert sent["user-agent"] == QUICK.user_agent
    assert "+https://" in sent["user-agent"]
    assert sent["accept"] == "application/json, text/csv"
    assert sent["accept-encoding"] == "gzip"
    assert sent["host"] == f"127.0.0.1:{shop.port}"
    assert "cookie" not in sent


def test_cookies_of_one_answer_are_not_sent_with_the_next(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/set.json", Reply.json({}, headers={"Set-Cookie": "sid=7; Path=/"}))

    async def work(gateway: HttpGateway) -> None:
        for path in ("/set.json", "/feed.json"):
            await gateway.get(shop.url(path), policy=QUICK, counters=counters)

    run(work)
    assert "cookie" not in shop.to("/feed.json")[0].headers


def test_bytes_that_are_not_utf8_pass_untouched(shop: Store, counters: Counter[str]) -> None:
    text = "Café Señor".encode("latin-1")
    headers = {"Content-Type": 'text/csv; charset="ISO-8859-1"'}
    shop.route("/list.csv", Reply(body=text, headers=headers))
    page = fetch(shop.url("/list.csv"), counters, accept="text/csv")
    assert (page.body, page.charset) == (text, "iso-8859-1")


@pytest.mark.parametrize(
    ("content_type", "accept", "good"),
    [
        ("application/json; charset=utf-8", "application/json", True),
        ("application/ld+json", "application/json", True),
        ("text/plain", "application/json", True),
        ("", "application/json", True),
        ("text/html; charset=utf-8", "application/json", False),
        ("TEXT/HTML", "application/json", False),
        ("application/xhtml+xml", "application/json", False),
        ("image/png", "application/json", False),
        ("text/html", "text/html, application/json;q=0.5", True),
        ("text/html", "*/*", True),
        ("image/png", "image/*", True),
        ("text/html", "text/csv", False),
    ],
)
def test_a_web_page_in_place_of_data_breaks_the_contract(
    shop: Store, counters: Counter[str], content_type: str, accept: str, good: bool
) -> None:
    shop.route("/x", Reply(body=b"<html>", headers={"Content-Type": content_type}))
    if good:
        assert fetch(shop.url("/x"), counters, accept=accept).body == b"<html>"
        return
    error = failure(shop.url("/x"), counters, accept=accept)
    assert isinstance(error, BrokenContract)
    assert content_type.partition(";")[0].lower() in str(error)
    assert counters["http/off_contract"] == 1
    assert len(shop.to("/x")) == 1


# Asking only for what changed


def test_validators_come_back_and_a_304_means_nothing_to_do(
    shop: Store, counters: Counter[str]
) -> None:
    day = "Mon, 02 Nov 2026 08:00:00 GMT"

    def answer(request: Request) -> Reply:
        if request.headers.get("if-none-match") == '"v1"':
            return Reply(status=304, headers={"ETag": '"v1"'})
        return Reply.json(FEED, headers={"ETag": '"v1"', "Last-Modified": day})

    shop.route("/feed.json", answer)
    first = fetch(shop.url("/feed.json"), counters)
    assert first.validators == Validators('"v1"', day)
    again = fetch(shop.url("/feed.json"), counters, validators=first.validators)
    assert (again.status, again.not_modified, again.body) == (304, True, b"")
    assert again.validators == first.validators  # what the 304 left out is kept
    assert shop.to("/feed.json")[1].headers["if-modified-since"] == day
    assert (counters["http/not_modified"], counters["http/ok"]) == (1, 1)


def test_a_304_that_nobody_asked_for_is_not_an_empty_result(
    shop: Store, counters: Counter[str]
) -> None:
    shop.route("/feed.json", Reply(status=304))
    assert isinstance(failure(shop.url("/feed.json"), counters), BrokenContract)


@pytest.mark.parametrize("etag", ["", '"v\r\nX-Evil: 1"', '"café"'])
def test_validators_no_header_can_carry_are_not_sent(
    shop: Store, counters: Counter[str], etag: str
) -> None:
    fetch(shop.url("/feed.json"), counters, validators=Validators(etag))
    sent = shop.to("/feed.json")[0].headers
    assert "if-none-match" not in sent
    assert "x-evil" not in sent


# Final answers


@pytest.mark.parametrize(
    ("status", "kind", "counter"),
    [
        (404, NotFound, "http/not_found"),
        (410, NotFound, "http/not_found"),
        (400, Permanent, "http/denied"),
        (401, Permanent, "http/denied"),
        (403, Permanent, "http/denied"),
        (405, Permanent, "http/denied"),
        (451, Permanent, "http/denied"),
        (202, BrokenContract, "http/off_contract"),
        (204, BrokenContract, "http/off_contract"),
        (206, BrokenContract, "http/off_contract"),
        (300, BrokenContract, "http/off_contract"),
    ],
)
def test_a_permanent_answer_is_asked_for_once(
    shop: Store, counters: Counter[str], status: int, kind: type[Permanent], counter: str
) -> None:
    shop.route("/x.json", Reply(status=status))
    error = failure(shop.url("/x.json"), counters)
    assert type(error) is kind
    assert shop.url("/x.json") in str(error)
    assert str(status) in str(error)
    assert len(shop.to("/x.json")) == 1
    assert counters[counter] == 1
    assert counters["http/retried"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "feed.json",
        "//shop.example/feed.json",
        "ftp://shop.example/list.csv",
        "file:///etc/passwd",
        "http://",
        "http://shop.example:70000/",
        "http://shop.example:port/",
        "http://[::1/",
        "http://a\x00b/",
    ],
)
def test_an_unusable_url_is_bad_config(counters: Counter[str], url: str) -> None:
    assert isinstance(failure(url, counters), BadConfig)
    assert not counters


# Size


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"x" * 1000, repeat=99_000),
        Reply(body=b"x" * 1000, repeat=99_000, undeclared=True),
        Reply(body=b"x" * 1000, repeat=99_000, chunked=True),
        Reply(body=b"\0" * 50_000_000).gzipped(),
        replace(Reply(chunked=True).gzipped(), repeat=9_000),
    ],
    ids=["declared", "undeclared", "chunked", "gzip bomb", "endless empty gzip members"],
)
def test_a_body_beyond_the_cap_is_refused_while_it_streams(
    shop: Store, counters: Counter[str], reply: Reply
) -> None:
    shop.route("/big.json", reply)
    error = failure(shop.url("/big.json"), counters, policy(max_bytes=100_000))
    assert isinstance(error, Refused)
    assert "larger than 100,000 bytes" in str(error)
    assert "raise max_bytes of the resource `web`" in str(error)
    assert counters["http/oversized"] == 1
    assert len(shop.to("/big.json")) == 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("size", "good"), [(999, True), (1000, True), (1001, False)])
def test_the_cap_counts_decoded_bytes_exactly(
    shop: Store, counters: Counter[str], packed: bool, size: int, good: bool
) -> None:
    reply = Reply(body=b"x" * size, chunked=True)
    shop.route("/x", reply.gzipped() if packed else reply)
    rules = policy(max_bytes=1000)
    if good:
        assert fetch(shop.url("/x"), counters, rules).body == b"x" * size
        assert counters["http/bytes"] == size
    else:
        assert isinstance(failure(shop.url("/x"), counters, rules), Refused)


@pytest.mark.parametrize(
    "tail", [b"", b"\0" * 700, gzip.compress(b"!")], ids=["none", "padding", "a member"]
)
def test_gzip_may_come_in_members_and_padded(
    shop: Store, counters: Counter[str], tail: bytes
) -> None:
    body = gzip.compress(b"beans " * 500) + gzip.compress(b"ground") + tail
    reply = Reply(body=body, headers={"Content-Encoding": "gzip"}, drip=7, drip_pause=0.0)
    shop.route("/x", reply)
    extra = b"!" if tail.startswith(b"\x1f") else b""
    assert fetch(shop.url("/x"), counters).body == b"beans " * 500 + b"ground" + extra


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_a_coding_that_was_not_offered_breaks_the_contract(
    shop: Store, counters: Counter[str], coding: str
) -> None:
    shop.route("/x", Reply(body=b"??", headers={"Content-Encoding": coding}))
    error = failure(shop.url("/x"), counters)
    assert isinstance(error, BrokenContract)
    assert coding in str(error)
