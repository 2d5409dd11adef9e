"""What robots.txt allows, and what holds while it cannot be read."""

import asyncio
from collections import Counter

import pytest

from scout_assets.domain.failures import Refused, Transient
from scout_assets.gateways.http import HttpGateway
from scout_assets.gateways.robots import RobotsRules
from scout_assets_tests.gateways.http.fetching import QUICK, Clock, failure, fetch, policy, run
from scout_assets_tests.loopback import Loopback, Reply, Store


def test_a_forbidden_url_is_refused_with_the_rule(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nDisallow: /admin\nDisallow: /feed # not for robots\n")
    error = failure(shop.url("/feed.json"), counters)
    assert isinstance(error, Refused)
    assert shop.url("/feed.json") in str(error)
    assert "line 3: Disallow: /feed" in str(error)
    assert "ask the site's owner" in str(error)
    assert shop.paths == ["/robots.txt"]
    assert counters["robots/denied"] == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("User-agent: *\nDisallow:", None),
        ("User-agent: *\nDisallow: /\nAllow: /feed", None),
        ("User-agent: other\nDisallow: /", None),
        ("User-agent: *\nDisallow: /*.json$", "line 2: Disallow: /*.json$"),
        ("\ufeffUser-agent: *\nDisallow: /feed", "line 2: Disallow: /feed"),
        (
            "User-agent: other\nDisallow: /feed.json\n\nUser-agent: scout-assets\nDisallow: /f",
            "line 5: Disallow: /f",
        ),
        ("User-agent: scout-assets\nAllow: /\n\nUser-agent: *\nDisallow: /", None),
        ("<html>Not here</html>", None),
    ],
)
def test_the_rules_of_our_own_group_decide(
    shop: Store, counters: Counter[str], text: str, rule: str | None
) -> None:
    shop.robots(text)
    if rule is None:
        assert fetch(shop.url("/feed.json"), counters).status == 200
    else:
        assert rule in str(failure(shop.url("/feed.json"), counters))


def test_the_deciding_rule_is_found_in_a_long_file() -> None:
    lines = ["User-agent: *", *(f"Disallow: /shop{'/x' * n}" for n in range(2000))]
    found = RobotsRules("\n".join(lines)).forbids("https://a.example/shop/x/x/y", "scout-assets")
    assert found == "line 4: Disallow: /shop/x/x"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_host_without_robots_txt_forbids_nothing(
    shop: Store, counters: Counter[str], status: int
) -> None:
    shop.route("/robots.txt", Reply(status=status))
    assert fetch(shop.url("/feed.json"), counters).status == 200
    assert counters["robots/absent"] == 1


@pytest.mark.parametrize(
    "fault", [Reply(status=500), Reply(status=429), Reply(hang_up=True)], ids=["500", "429", "-"]
)
def test_unknown_rules_forbid_everything_for_now(
    shop: Store, counters: Counter[str], fault: Reply
) -> None:
    shop.route("/robots.txt", fault)

    async def work(gateway: HttpGateway) -> None:
        for _ in range(2):
            with pytest.raises(Transient, match=r"robots\.txt all of 127\.0\.0\.1 is forbidden"):
                await gateway.get(shop.url("/feed.json"), policy=QUICK, counters=counters)

    run(work)
    assert shop.paths == ["/robots.txt"] * 3  # one round of attempts serves both
    assert counters["robots/unreachable"] == 2


def test_robots_txt_is_fetched_once_for_all_and_kept_a_day(
    shop: Store, counters: Counter[str]
) -> None:
    shop.robots("User-agent: *\nDisallow: /admin")
    clock = Clock()

    async def work(gateway: HttpGateway) -> None:
        url = shop.url("/feed.json")
        for _ in range(2):
            asked = [gateway.get(url, policy=QUICK, counters=counters) for _ in range(5)]
            await asyncio.gather(*asked)
        assert len(shop.to("/robots.txt")) == 1
        clock.now += 24 * 3600 + 1
        await gateway.get(url, policy=QUICK, counters=counters)

    run(work, clock=clock, sleep=clock.sleep)
    assert len(shop.to("/robots.txt")) == 2
    assert counters["robots/fetched"] == 2


def test_robots_txt_may_be_redirected(
    loopback: Loopback, shop: Store, counters: Counter[str]
) -> None:
    other = loopback.store()
    other.robots("User-agent: *\nDisallow: /feed")
    shop.route("/robots.txt", Reply(status=301, headers={"Location": other.url("/robots.txt")}))
    assert isinstance(failure(shop.url("/feed.json"), counters), Refused)


def test_crawl_delay_is_obeyed(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nCrawl-delay: 0.3")

    async def work(gateway: HttpGateway) -> None:
        asked = [shop.url(f"/feed.json?page={page}") for page in range(2)]
        await asyncio.gather(*(gateway.get(u, policy=QUICK, counters=counters) for u in asked))

    run(work)
    assert min(shop.gaps()) > 0.28


def test_a_crawl_delay_nobody_can_wait_for_is_refused(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nCrawl-delay: 86400")
    error = failure(shop.url("/feed.json"), counters)
    assert isinstance(error, Refused)
    assert "Crawl-delay 86400 s" in str(error)


def test_a_host_of_our_own_need_not_be_asked(shop: Store, counters: Counter[str]) -> None:
    shop.robots("User-agent: *\nDisallow: /")
    assert fetch(shop.url("/feed.json"), counters, policy(respect_robots=False)).status == 200
    assert shop.paths == ["/feed.json"]
