"""Two `dagster dev` at once, and one that is killed again and again: nothing is done twice.

Real processes in auto over real servers; the stores count what they are asked.
"""

import os
import random
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from scout_assets.domain.dispatch import Reason
from scout_assets.domain.tables import TABLES
from scout_assets.gateways.home import Home
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.orchestration.commands import Workplace
from scout_assets_tests.orchestration.live import ENDED, Live, all_runs, wait_until
from scout_assets_tests.stores import declared, shopify_page, shopify_product

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("live")]

YEARLY = {"full_cadence": "0 3 1 1 *", "price_cadence": "0 3 1 1 *"}
"""No slot comes while a test runs: what is due is due because the test says so."""
KILLS = 5


class Town:
    """Stores of some pages each, the installation that watches them, and its folders.

    The first store has `pages` pages, and each next one has `more` than the one before.
    """

    def __init__(
        self, root: Path, loopback: Loopback, stores: int, pages: int, pause: float, more: int = 0
    ):
        self.root = root
        root.mkdir()
        self.stores = {
            f"store-{number:02}": paged(loopback.store(), number, pages + more * number, pause)
            for number in range(stores)
        }
        self.sources = root / "sources.yaml"
        listed = [{**declared(key, store), **YEARLY} for key, store in self.stores.items()]
        self.sources.write_text(yaml.safe_dump({"sources": listed}))

    @property
    def environment(self) -> dict[str, str]:
        return {"SCOUT_HOME": str(self.root / "home"), "SCOUT_SOURCES": str(self.sources)}

    @property
    def home(self) -> Home:
        return Home.locate(self.environment)

    def place(self, name: str) -> Workplace:
        """A folder with a dagster.yaml of its own, so with Dagster's records of its own."""
        return Workplace(self.root / name)

    def scout(self, place: Workplace, *words: str) -> str:
        told = (f"{name}={value}" for name, value in self.environment.items())
        return place.run("env", *told, "scout", *words, "--by", "ana")

    def dagster_dev(self, place: Workplace) -> Live:
        return Live(place, **self.environment)

    def crawls(self) -> dict[str, int]:
        """How often each store was asked for its first page."""
        return {
            key: sum(request.query.get("page") == "1" for request in store.to("/products.json"))
            for key, store in self.stores.items()
        }

    def requests(self) -> int:
        return sum(len(store.requests) for store in self.stores.values())

    def landed(self) -> dict[str, int]:
        """The number of the last snapshot of each store that has one."""
        found = self.home.ledger.latest_snapshots(list(self.stores))
        return {key: snapshot.number for key, snapshot in found.items()}

    def asked(self) -> set[str]:
        """Stores whose fetch is over, for good or ill."""
        known = self.home.ledger.sources(keys=list(self.stores))
        return {one.source.key for one in known if one.fetch.last_attempt_at is not None}

    def crawled(self, times: int) -> bool:
        """Whether that many rounds are over: every store was asked, no dispatch is open."""
        home = self.home
        enough = min(self.crawls().values()) >= times and len(self.landed()) == len(self.stores)
        return enough and not home.dispatches.open() and not home.dispatches.due(now())


def paged(store: Store, number: int, pages: int, pause: float) -> Store:
    def page(request: Request) -> Reply:
        at = int(request.query["page"])
        listed = [shopify_product(number * 1000 + at)] if at <= pages else []
        return Reply(body=shopify_page(listed), pause=pause)

    store.route("/products.json", page)
    store.route("/meta.json", Reply.json({"currency": "EUR"}))
    return store


def now() -> datetime:
    return datetime.now(UTC)


def told(text: str) -> None:
    print(f"\n{text}; load {os.getloadavg()[0]:.1f}", flush=True)


def waits_for_another(daemon: Live) -> bool:
    said = daemon.skipped("due_sources")
    return any("runs the automation of this installation" in reason for reason in said)


def idle(daemons: Iterable[Live]) -> bool:
    runs = chain.from_iterable(all_runs(daemon).values() for daemon in daemons)
    return all(run.status in ENDED for run in runs)


def together(stack: ExitStack, town: Town, places: Sequence[Workplace]) -> list[Live]:
    """One `dagster dev` in each of the places; the installation is in auto once all are up."""
    daemons = []
    for place in places:  # one after the other: Dagster makes its records as it starts
        daemons.append(town.dagster_dev(place))
        stack.callback(daemons[-1].end)
        daemons[-1].wait_until_up()
    town.scout(places[0], "auto")
    return daemons


def test_of_two_installations_of_dagster_one_acts_and_the_other_takes_over(tmp_path: Path):
    with Loopback() as loopback, ExitStack() as stack:
        town = Town(tmp_path / "town", loopback, stores=20, pages=2, pause=0.2)
        started = time.monotonic()
        daemons = together(stack, town, [town.place("one"), town.place("two")])
        wait_until(lambda: town.crawled(1), 300, "the first round")
        told(f"20 stores crawled {time.monotonic() - started:.0f} s after the start")
        wait_until(lambda: any(map(waits_for_another, daemons)), 90, "a tick that says who acts")
        assert set(town.crawls().values()) == {1}
        (waiting,) = (daemon for daemon in daemons if waits_for_another(daemon))
        (holder,) = (daemon for daemon in daemons if daemon is not waiting)
        assert any(run.tags.get("scout/dispatch") for run in all_runs(holder).values())
        assert not any(run.tags.get("scout/dispatch") for run in all_runs(waiting).values())

        killed = time.monotonic()
        holder.kill()
        town.home.dispatches.ask(town.stores, Reason.CHANGE, now())
        wait_until(lambda: min(town.crawls().values()) > 1, 300, "the other to take over")
        first = min(
            request.at
            for store in town.stores.values()
            for request in store.requests
            if request.at > killed
        )
        told(f"the other asked its first store {first - killed:.0f} s after the kill")
        assert first - killed < 120
        wait_until(lambda: town.crawled(2) and idle([waiting]), 300, "the second round")
        assert set(town.crawls().values()) == {2}
        assert set(town.landed().values()) == {1}, "what is unchanged lands nothing"


def test_started_twice_by_mistake_nothing_is_done_twice(tmp_path: Path):
    with Loopback() as loopback, ExitStack() as stack:
        town = Town(tmp_path / "town", loopback, stores=20, pages=2, pause=0.2)
        place = town.place("one")
        daemons = together(stack, town, [place, place])
        for rounds in (1, 2, 3):
            started = time.monotonic()
            wait_until(partial(town.crawled, rounds), 300, "a round")
            wait_until(lambda: idle(daemons), 300, "what follows")
            told(f"round {rounds} took {time.monotonic() - started:.0f} s: {runs_of(daemons[0])}")
            assert set(town.crawls().values()) == {rounds}
            if rounds < 3:
                town.home.dispatches.ask(town.stores, Reason.CHANGE, now())
        assert set(town.landed().values()) == {1}


def runs_of(daemon: Live) -> str:
    """How many runs each trigger launched."""
    triggers = [run.tags.get("scout/trigger", "hand") for run in all_runs(daemon).values()]
    return ", ".join(f"{triggers.count(one)} by {one}" for one in sorted(set(triggers)))


def test_killed_again_and_again_it_ends_where_an_undisturbed_one_does(tmp_path: Path):
    with Loopback() as loopback, ExitStack() as stack:
        town = Town(tmp_path / "town", loopback, stores=12, pages=4, pause=0.5, more=4)
        wanted = undisturbed(town)
        before = town.crawls()
        place = town.place("killed")
        town.scout(place, "settings", "failure_budget=1000")
        (daemon,) = together(stack, town, [place])
        over: dict[str, int] = {}
        for number in range(KILLS):
            moment = some_moment(town, number)
            daemon.kill()
            over |= {key: town.crawls()[key] for key in town.asked() - over.keys()}
            told(f"kill {number} {moment}, {len(over)} of 12 stores asked")
            daemon = town.dagster_dev(place)
            stack.callback(daemon.end)
            daemon.wait_until_up()
        started = time.monotonic()
        wait_until(lambda: len(town.landed()) == 12, 900, "every store to land")
        told(f"every store landed {time.monotonic() - started:.0f} s after the last start")
        wait_until(lambda: comparable(town.home) == wanted, 900, "the tables of an undisturbed run")
        told(f"all tables equal {time.monotonic() - started:.0f} s after the last start")
        wait_until(lambda: idle([daemon]), 300, "its end")
        assert comparable(town.home) == wanted
        assert set(town.landed().values()) == {1}, "each store landed once"
        crawls = {key: count - before[key] for key, count in town.crawls().items()}
        told(f"crawls of each store: {sorted(crawls.values())}")
        assert max(crawls.values()) <= 1 + KILLS, "one for each killed run, and the one that landed"
        assert {key: town.crawls()[key] for key in over} == over, "what was fetched is not again"


def some_moment(town: Town, number: int) -> str:
    """Wait for a moment to kill at: while stores are asked, every second time and if any still is.

    The process of a run that had not begun is missed after three minutes (Dagster's
    `start_timeout_seconds`).
    """
    before = town.requests()
    if number % 2 or len(town.asked()) == len(town.stores):
        seconds = random.uniform(5, 60)
        time.sleep(seconds)
        return f"{seconds:.0f} s after the start, with {town.requests() - before} requests since"
    wait_until(lambda: town.requests() > before, 300, "requests")
    seconds = random.uniform(0, 15)
    time.sleep(seconds)
    return f"{seconds:.1f} s after the first of {town.requests() - before} requests"


def undisturbed(town: Town) -> dict[str, Any]:
    """The tables that one run by hand makes of the same stores, in a home of its own."""
    place = Workplace(town.root / "undisturbed")
    home = place.root / "home"
    told = ("env", f"SCOUT_HOME={home}", f"SCOUT_SOURCES={town.sources}")
    first, *_, last = town.stores
    place.run(*told, *place.materialize("key:catalogue/sources"))
    steps = ("--partition-range", f"{first}...{last}")
    place.run(*told, *place.materialize("group:roasters", *steps), timeout=300)
    place.run(*told, *place.materialize("key:catalogue/best_prices"))
    return comparable(Home.locate({"SCOUT_HOME": str(home)}))


def comparable(home: Home) -> dict[str, Any]:
    """All rows without their times: those are when each store was asked."""
    return {
        table.name: sorted(map(timeless, home.warehouse.read(table.name).to_pylist()))
        for table in TABLES.values()
    }


def timeless(row: dict[str, Any]) -> str:
    kept = {name: value for name, value in row.items() if not isinstance(value, datetime)}
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", "then", repr(kept))
