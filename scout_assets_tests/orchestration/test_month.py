"""A month of automation: every due slot is acted on once, none twice, none in manual.

Some days of two dozen sources in every test run; the month of three hundred with `make soak`,
which leaves its report in `.scout/month` (or SCOUT_MONTH_REPORT).
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from scout_assets_tests.loopback import Loopback, Reply
from scout_assets_tests.orchestration.foretold import acted, foretold, slots
from scout_assets_tests.orchestration.lanes import World
from scout_assets_tests.orchestration.month_report import figures, report
from scout_assets_tests.orchestration.months import (
    DAY,
    HOUR,
    LISTING,
    MINUTE,
    SECOND,
    Cadence,
    Life,
    Manual,
    Plan,
    Shop,
    Trouble,
    lived,
    products,
)
from scout_assets_tests.stores import shopify_page

QUIET = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "CRITICAL"}}
DEFAULT = Cadence("0 3 1 * *", "0 4 * * 0")
SIX_HOURLY = Cadence("0 3 * * 1", "0 */6 * * *")
HOURLY = Cadence("0 1 * * *", "0 * * * *", "Europe/Berlin")
CADENCES = [
    SIX_HOURLY,
    DEFAULT,
    # These two hours come twice in the night the clocks go back.
    Cadence("0 3 1 * *", "30 2 * * *", "Europe/Berlin"),
    Cadence("30 1 1 * *", "*/30 1-2 * * *", "America/New_York"),
    Cadence("@weekly", "@daily", "Asia/Kolkata"),
    Cadence("0 7 * * 1", "15 8-18/2 * * 1-5", "Europe/Berlin"),
    Cadence("5,35 4 1,15 * *", "5 4 * * *"),
    Cadence("@monthly", "15 1 * * *", "Europe/London"),
    Cadence("0 5 * * tue,fri", "10 */12 * * *", "Pacific/Auckland"),
]


def pairs(cadences: Sequence[Cadence], each: int) -> list[Cadence]:
    """Neighbours share a cadence, so many each."""
    return [cadence for cadence in cadences for _ in range(each)]


def moments(cadences: Sequence[Cadence], plan: Plan) -> list[datetime]:
    """When any of them is due."""
    found = {
        slot
        for cadence in set(cadences)
        for cron in (cadence.full, cadence.prices)
        for slot in slots(cron, cadence.zone, plan.start, plan.end)
    }
    return sorted(found)


NOT_FOUND, ERROR, GONE_AWAY = Reply(404), Reply(500), Reply(hang_up=True)
BUSY = Reply(503, headers={"Retry-After": "7200"})
HTML = Reply.text("<html>We have moved</html>", "text/html")
BROKEN_JSON = Reply.text('{"products": [', "application/json")
FORBIDDEN = Reply.text("User-agent: *\nDisallow: /")
EMPTY = Reply(body=shopify_page([]))
HANGING = Reply(pause=60)
SMALLER = Reply(body=products(4))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral(settings=QUIET) as instance:
        yield World(tmp_path, instance)


# Some days


def some_days() -> Plan:
    """Five days, in which the clocks of Europe go back, with a day in manual."""
    start = datetime(2026, 10, 22, tzinfo=UTC)
    return Plan(
        start=start,
        end=start + 5 * DAY,
        manual=[
            Manual(start + DAY + 7 * HOUR, start + 2 * DAY + 11 * HOUR + 59 * MINUTE + 55 * SECOND),
            Manual(start + 4 * DAY + 5 * HOUR, start + 4 * DAY + 14 * HOUR, catch_up=True),
        ],
        down=[(start + 3 * DAY + 2 * HOUR, start + 3 * DAY + 13 * HOUR)],
        deaths={start + 6 * HOUR: 30 * SECOND, start + 3 * DAY + 17 * HOUR: 7 * HOUR},
        twice=[start + 12 * HOUR],
    )


def few_troubles(start: datetime) -> dict[int, Trouble]:
    """Two pairs of neighbours fail at once: none of it is a fault of ours."""
    noon = start + 12 * HOUR - MINUTE
    return {
        0: Trouble("500", ERROR, noon, 5 * HOUR),
        1: Trouble("500", ERROR, noon, 5 * HOUR),
        2: Trouble("404", NOT_FOUND, start, permanent=True),
        10: Trouble("html", HTML, noon, permanent=True),
        11: Trouble("busy", BUSY, noon, DAY, wait=2 * HOUR),  # also in manual
        12: Trouble("smaller", SMALLER, noon, harmless=True),
        22: Trouble("gone away", GONE_AWAY, noon, 5 * HOUR),
        23: Trouble("gone away", GONE_AWAY, noon, 5 * HOUR),
    }


def test_some_days(world: World, loopback: Loopback, tmp_path: Path):
    plan = some_days()
    cadences = pairs([*CADENCES, DEFAULT, DEFAULT, SIX_HOURLY], 2)
    troubles = few_troubles(plan.start)
    life = lived(world, loopback, plan, cadences, troubles, moments(cadences, plan))
    assert_as_foretold(life)
    assert report(life, tmp_path).exists()


# The month


def month() -> Plan:
    """The clocks go back in Europe on 25 October, and in New York on 1 November."""
    start = datetime(2026, 10, 5, 0, 3, tzinfo=UTC)

    def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
        """Of October, whose last day is 31."""
        first = datetime(2026, 10, 1, hour, minute, second, tzinfo=UTC)
        return first + (day - 1) * DAY

    return Plan(
        start=start,
        end=start + 31 * DAY,
        manual=[
            Manual(at(9, 8, 20), at(9, 12, 40)),
            Manual(at(15, 10, 10), at(17, 9, 50)),
            # Back just before a slot, and while the daemon is down: slots follow before it ticks.
            Manual(at(20, 22), at(21, 11, 59, 55)),
            Manual(at(23, 22), at(24, 2, 30)),
            Manual(at(28, 0, 30), at(28, 16, 45), catch_up=True),
        ],
        down=[(at(12, 3, 20), at(12, 9, 10)), (at(24, 1), at(24, 7, 30))],
        deaths={at(6, 12): 30 * SECOND, at(18, 4): 5 * HOUR, at(32, 1): 30 * SECOND},
        twice=[at(7, 6), at(19, 0), at(32, 3)],
    )


def many_troubles(start: datetime) -> dict[int, Trouble]:
    """Fifteen of three hundred. Neighbours fail at once, as when a platform is down."""
    evening = datetime(2026, 10, 12, 17, 59, tzinfo=UTC)
    week = start + 7 * DAY
    return {
        3: Trouble("500 for a day", ERROR, evening, DAY),
        4: Trouble("500 for a day", ERROR, evening, DAY),
        5: Trouble("500 for a day", ERROR, evening, DAY),
        13: Trouble("gone away", GONE_AWAY, evening, DAY),
        14: Trouble("gone away", GONE_AWAY, evening, DAY),
        17: Trouble("busy", BUSY, evening + 2.5 * DAY, DAY, wait=2 * HOUR),  # also in manual
        27: Trouble("404 from the start", NOT_FOUND, start, permanent=True),
        44: Trouble("404", NOT_FOUND, week, permanent=True),
        62: Trouble("403", Reply(403), week, permanent=True),
        71: Trouble("robots", FORBIDDEN, week, path="/robots.txt", permanent=True),
        88: Trouble("html", HTML, week, permanent=True),
        103: Trouble("broken json", BROKEN_JSON, week, permanent=True),
        126: Trouble("hanging", HANGING, start, 6 * HOUR),
        141: Trouble("empty", EMPTY, week),
        158: Trouble("smaller", SMALLER, week, harmless=True),
    }


@pytest.mark.soak
def test_a_month(world: World, loopback: Loopback):
    plan = month()
    stripes = [HOURLY, *CADENCES, *(19 * [DEFAULT]), Cadence("0 0 * * *", "30 1,13 * * *")]
    cadences = pairs(stripes, 10)
    troubles = many_troubles(plan.start)
    assert (len(cadences), len(troubles)) == (300, 15)
    life = lived(world, loopback, plan, cadences, troubles, moments(cadences, plan))
    folder = Path(os.environ.get("SCOUT_MONTH_REPORT", ".scout/month"))
    print(f"\n{figures(life)}\nreport: {report(life, folder)}")
    assert_as_foretold(life)


# What is to be true of any of them


def assert_as_foretold(life: Life) -> None:
    assert_nothing_tripped(life)
    assert_nothing_in_manual(life)
    assert_every_slot_once(life)
    assert_stores_were_asked_as_often(life)


def assert_nothing_tripped(life: Life) -> None:
    """Failing sources are the sources' fault."""
    state = life.world.home.control.state()
    assert (state.is_auto, state.actor) == (True, "ana"), state.reason
    raised = [one.alert.key for one in life.world.home.alerts.listed(1000)]
    assert [key for key in raised if key.startswith("fail-safe:")] == []


def assert_nothing_in_manual(life: Life) -> None:
    in_manual = [tick for tick in life.daemon.ticks if life.plan.is_manual(tick.at)]
    assert in_manual
    assert all("mode is manual" in tick.skipped and tick.asked == 0 for tick in in_manual)
    assert not [run for run in life.daemon.runs if life.plan.is_manual(run.at)]


def assert_every_slot_once(life: Life) -> None:
    """Each source was asked when it should, for what it should, and never else."""
    found = acted(life)
    wrong = []
    for shop in life.shops:
        should, did = foretold(life, shop, found[shop.key]), list(found[shop.key])
        if did != should:
            wrong.append(f"{shop.key} {shop.cadence} {shop.trouble}: {_first(did, should)}")
        asked = Counter((act.scope, act.slot) for act in did)
        assert set(asked.values()) == {1}, f"{shop.key}: a slot was acted on twice"
    assert not wrong, "\n".join(wrong)


def _first(did: Sequence[object], should: Sequence[object]) -> str:
    """The first difference."""
    place = next((n for n, (a, b) in enumerate(zip(did, should, strict=False)) if a != b), -1)
    if place == -1:
        place = min(len(did), len(should))
    return f"did {did[place : place + 2]}, should {should[place : place + 2]}"


def assert_stores_were_asked_as_often(life: Life) -> None:
    """What the ledger says is what the stores saw: a crawl for each act, none besides."""
    found = acted(life)
    for shop in life.shops:
        assert life.visits(shop) == list(found[shop.key].values()), shop.key
        if shop.trouble is None:
            assert first_pages(shop) == len(found[shop.key]), shop.key


def first_pages(shop: Shop) -> int:
    return sum(request.query["page"] == "1" for request in shop.store.to(LISTING))
