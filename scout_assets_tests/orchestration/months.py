"""An installation's life on a clock of its own: stores with cadences and faults, and a daemon.

Belongs here: what the stores serve when, when people switch the mode, when the daemon is down or
dies, and a record of all that happened. Does not belong here: what should have happened
(`foretold`), the report (`month_report`).

The daemon ticks the real sensor `due_sources` shortly after each moment at which a cadence may be
due, and runs what it asks for in this process, each run key once. Dagster's own clock follows.
"""

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import dagster as dg
import sqlalchemy as sa
import yaml
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG
from dagster._core.test_utils import freeze_time

from scout_assets.domain.control import Mode
from scout_assets.domain.dispatch import WAITING_AT_MOST
from scout_assets.gateways.ledger import SourceRow
from scout_assets.orchestration.resources import Web
from scout_assets.orchestration.tags import DISPATCH_TAG
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.orchestration.lanes import TestWeb, World
from scout_assets_tests.orchestration.ticks import evaluated
from scout_assets_tests.stores import declared, shopify_page, shopify_product, shopify_variant

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = 24 * HOUR
LISTING = "/products.json"


@dataclass
class Clock:
    """What time it is, for the daemon, its runs and the stores."""

    now: datetime


def web_of(clock: Clock) -> Web:
    """HTTP that asks `clock` what time it is."""

    class MovedWeb(TestWeb):
        def now(self) -> datetime:
            return clock.now

    return MovedWeb(timeout_seconds=2.0)


@dataclass(frozen=True)
class Cadence:
    """When a source is to be refreshed, wholly and for prices."""

    full: str
    prices: str
    zone: str = "UTC"


@dataclass(frozen=True)
class Trouble:
    """How a store fails: `reply` on `path`, from `since` for `lasting`, else for ever.

    `permanent`: asking again cannot help. `wait`: what its Retry-After says. `harmless`: it only
    looks like trouble.
    """

    name: str
    reply: Reply
    since: datetime
    lasting: timedelta | None = None
    path: str = LISTING
    permanent: bool = False
    wait: timedelta = timedelta()
    harmless: bool = False

    def holds(self, at: datetime) -> bool:
        """Whether the store fails then."""
        return self.since <= at and (self.lasting is None or at < self.since + self.lasting)


@dataclass(frozen=True)
class Shop:
    """One source: what its store serves by the clock, with its trouble."""

    key: str
    cadence: Cadence
    store: Store
    clock: Clock
    trouble: Trouble | None = None

    def open(self) -> None:
        self.store.route(LISTING, self._listing)
        self.store.route("/robots.txt", lambda _: self._troubled("/robots.txt") or Reply(404))

    def declared(self) -> Mapping[str, object]:
        cadence = self.cadence
        return declared(self.key, self.store) | {
            "currency": "EUR",
            "full_cadence": cadence.full,
            "price_cadence": cadence.prices,
            "timezone": cadence.zone,
        }

    def fails(self, at: datetime) -> Trouble | None:
        """The trouble that a fetch then meets."""
        trouble = self.trouble
        return trouble if trouble and trouble.holds(at) and not trouble.harmless else None

    def _troubled(self, path: str) -> Reply | None:
        trouble = self.trouble
        if trouble is None or trouble.path != path or not trouble.holds(self.clock.now):
            return None
        return trouble.reply

    def _listing(self, request: Request) -> Reply:
        if request.query["page"] != "1":
            return Reply(body=shopify_page([]))
        return self._troubled(LISTING) or self._products(request)

    def _products(self, request: Request) -> Reply:
        """Prices that change by the day; every third store keeps its own and says so."""
        price = 12 if self.store.port % 3 == 0 else 10 + self.clock.now.day % 9
        tag = f'"{price}"'
        if request.headers.get("if-none-match") == tag:
            return Reply(304, headers={"ETag": tag})
        listed = products(6, price)
        return Reply(body=listed, headers={"ETag": tag, "Content-Type": "application/json"})


def products(count: int, price: int = 12) -> bytes:
    """A listing of so many products."""
    return shopify_page(
        shopify_product(number, [shopify_variant(number, f"{price}.00")])
        for number in range(1, count + 1)
    )


@dataclass(frozen=True)
class Manual:
    """A time in which a person let nothing act; with `catch_up` what was missed is acted on."""

    since: datetime
    until: datetime
    catch_up: bool = False

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


@dataclass(frozen=True)
class Plan:
    """What happens when. `down`: the daemon is not there. `deaths`: it ends after the first tick
    from then on, before it has launched what was asked for, and is back so much later. `twice`:
    two ticks fall together, as where two daemons meet."""

    start: datetime
    end: datetime
    manual: Sequence[Manual] = ()
    down: Sequence[tuple[datetime, datetime]] = ()
    deaths: Mapping[datetime, timedelta] = field(default_factory=dict)
    twice: Sequence[datetime] = ()

    @property
    def switches(self) -> list[tuple[datetime, Mode, bool]]:
        off = [(one.since, Mode.MANUAL, False) for one in self.manual]
        on = [(one.until, Mode.AUTO, one.catch_up) for one in self.manual]
        return sorted(off + on)

    def is_manual(self, at: datetime) -> bool:
        return any(one.holds(at) for one in self.manual)

    def erased_before(self, at: datetime) -> datetime:
        """Slots before it that were not acted on then are not acted on any more."""
        returns = [one.until for one in self.manual if not one.catch_up and one.until <= at]
        return max(returns, default=self.start)


@dataclass(frozen=True)
class Tick:
    """An evaluation of the sensor. `asked`: runs it asked for; `launches`: the daemon lived on."""

    at: datetime
    asked: int
    launches: bool
    skipped: str
    seconds: float

    @property
    def full(self) -> bool:
        """Some that were due had to wait for the next tick."""
        return self.asked >= WAITING_AT_MOST


@dataclass(frozen=True)
class Launched:
    """One run: of which dispatch, when, and from when to when by `time.monotonic`."""

    number: int
    at: datetime
    success: bool
    began: float
    ended: float


class Daemon:
    """Dagster's daemon as far as `due_sources` and `failure_budget` go."""

    def __init__(self, world: World, clock: Clock, plan: Plan) -> None:
        self.world, self.clock, self.plan = world, clock, plan
        self.ticks: list[Tick] = []
        self.runs: list[Launched] = []
        self._run_keys: set[str] = set()
        self._deaths = sorted(plan.deaths)
        self._twice = sorted(plan.twice)
        self._down_until = plan.start
        self._again_at = plan.start

    @cached_property
    def repository(self) -> dg.RepositoryDefinition:
        return self.world.defs(web=web_of(self.clock)).get_repository_def()

    def live(self, moments: Sequence[datetime]) -> None:
        """Tick after each of `moments`, after each pause of a failing source, and when due again
        by itself; people switch the mode when the plan says so."""
        switches = self.plan.switches
        ahead = [moment for moment in moments if moment < self.plan.end]
        while True:
            at = self._next(ahead, [at for at, _, _ in switches])
            if at >= self.plan.end:
                break
            self.clock.now = at
            while ahead and ahead[0] <= at:
                ahead.pop(0)
            if switches and switches[0][0] <= at:
                self._switch(*switches.pop(0)[1:])
            elif not self._is_down(at):
                self._turn()

    def _next(self, ahead: list[datetime], switches: list[datetime]) -> datetime:
        now = self.clock.now
        slots = [after(moment) for moment in (*ahead[:1], *self._pause_ends(now))]
        backs = [self._down_until, self._again_at, *(until for _, until in self.plan.down)]
        later = [moment for moment in (*slots, *backs) if moment > now]
        if any(after(moment) <= now for moment in ahead[:1]):
            later.append(now + SECOND)
        return min((*later, *switches[:1], self.plan.end))

    def _pause_ends(self, now: datetime) -> list[datetime]:
        """When failing sources may be asked again."""
        ends = sa.select(SourceRow.next_attempt_at).where(SourceRow.next_attempt_at > now - MINUTE)
        with self.world.home.ledger.session() as session:
            return [end for end in session.scalars(ends) if end is not None]

    def _is_down(self, at: datetime) -> bool:
        down = any(since <= at < until for since, until in self.plan.down)
        return down or at < self._down_until

    def _switch(self, mode: Mode, catch_up: bool) -> None:
        self.world.home.control.switch(mode, "ana", "as planned", self.clock.now, catch_up)
        self._again_at = self.clock.now + 20 * SECOND

    def _turn(self) -> None:
        """One tick, and the runs it asks for."""
        at, requests = self.clock.now, self._tick()
        if self._deaths and at >= self._deaths[0] and requests:
            self._down_until = at + self.plan.deaths[self._deaths.pop(0)]
            return
        if self._twice and at >= self._twice[0] and requests:
            self._twice.pop(0)
            requests += self._tick(counts=False)
        self.ticks[-1] = replace(self.ticks[-1], launches=True)
        for request in requests:
            self._launch(request)
        if self.ticks[-1].full:
            self._again_at = self.clock.now + 30 * SECOND

    def _tick(self, counts: bool = True) -> list[dg.RunRequest]:
        began = time.perf_counter()
        with freeze_time(self.clock.now):
            found = evaluated(self.world.instance, self.repository, "due_sources")
        taken = time.perf_counter() - began
        if counts:
            tick = Tick(self.clock.now, len(found.requests), False, found.skipped, taken)
            self.ticks.append(tick)
        return list(found.requests)

    def _launch(self, request: dg.RunRequest) -> None:
        """As the daemon does: a run key that was launched is not launched again."""
        run_key = str(request.run_key)
        if run_key in self._run_keys:
            return
        self._run_keys.add(run_key)
        self.clock.now += SECOND
        began = time.monotonic()
        with freeze_time(self.clock.now):
            result = self.repository.get_job(str(request.job_name)).execute_in_process(
                instance=self.world.instance,
                partition_key=request.partition_key,
                tags={**request.tags, SENSOR_NAME_TAG: "due_sources", RUN_KEY_TAG: run_key},
                raise_on_error=False,
            )
            if not result.success:
                self._tell_budget(result)
        number = int(request.tags[DISPATCH_TAG])
        ended = time.monotonic()
        self.runs.append(Launched(number, self.clock.now, result.success, began, ended))

    def _tell_budget(self, failed: dg.ExecuteInProcessResult) -> None:
        resources = self.repository.get_top_level_resources()
        wanted = {name: resources[name] for name in ("home", "web")}
        with dg.build_resources(wanted, instance=self.world.instance) as built:
            context = dg.build_run_status_sensor_context(
                "failure_budget",
                failed.get_run_failure_event(),
                self.world.instance,
                failed.dagster_run,
                resources={"home": built.home, "web": built.web},
            ).for_run_failure()
            self.repository.get_sensor_def("failure_budget")(context)


def after(moment: datetime) -> datetime:
    """When the daemon ticks next after a moment: within half a minute."""
    return moment + (5 + moment.timestamp() // 60 % 25) * SECOND


@dataclass(frozen=True)
class Life:
    """What came of a plan."""

    plan: Plan
    shops: Sequence[Shop]
    world: World
    daemon: Daemon

    def visits(self, shop: Shop) -> list[datetime]:
        """The runs in which its store was really asked, each by its moment."""
        return sorted({self._run_at(request.at) for request in shop.store.requests})

    def _run_at(self, asked_at: float) -> datetime:
        """The moment of the run that made a request."""
        place = bisect_right(self.daemon.runs, asked_at, key=lambda run: run.began) - 1
        run = self.daemon.runs[place]
        assert run.began <= asked_at <= run.ended, "a store was asked outside of any run"
        return run.at


def lived(
    world: World,
    loopback: Loopback,
    plan: Plan,
    cadences: Sequence[Cadence],
    troubles: Mapping[int, Trouble],
    moments: Sequence[datetime],
) -> Life:
    """A store for each of `cadences`, `troubles` by its number, and a daemon that lives the plan.

    `moments`: those at which a cadence may be due.
    """
    clock = Clock(plan.start)
    shops = [
        Shop(f"s{number:03}", cadence, loopback.store(), clock, troubles.get(number))
        for number, cadence in enumerate(cadences)
    ]
    for shop in shops:
        shop.open()
    sources = {"sources": [dict(shop.declared()) for shop in shops]}
    world.sources_file.write_text(yaml.safe_dump(sources))
    synced = world.run("__ASSET_JOB", selection=["catalogue/sources"], web=web_of(clock))
    assert synced.success
    world.home.control.switch(Mode.AUTO, "ana", "go", plan.start)
    daemon = Daemon(world, clock, plan)
    daemon.live(moments)
    return Life(plan, shops, world, daemon)
