"""What raises alerts in Dagster, once each, and how they get out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import freeze_time
from dagster._utils.error import SerializableErrorInfo

from scout_assets.domain.alerts import Alert, Severity
from scout_assets_tests.loopback import Loopback, Reply, Store
from scout_assets_tests.orchestration.lanes import TestWeb, World, materialized
from scout_assets_tests.orchestration.ticks import Tick, tick
from scout_assets_tests.stores import (
    declared,
    serve_shopify,
    shopify_page,
    shopify_product,
    shopify_variant,
)

NOW = TestWeb().now()
SECRET = "hunter2secret"
BY_SENSOR = {"dagster/sensor_name": "due_sources"}


@pytest.fixture(autouse=True)
def no_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBHOOK", "SLACK", "EMAIL_TO", "EMAIL_FROM"):
        monkeypatch.delenv(f"SCOUT_ALERT_{name}", raising=False)
    monkeypatch.delenv("SCOUT_SMTP_URL", raising=False)


class Watch:
    """`watch_over`, evaluated again and again with its own cursor."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor: str | None = None

    def look(self, minutes: int = 0) -> list[Alert]:
        """The alerts that one evaluation raises, oldest first."""
        before = {one.alert.key for one in self.world.home.alerts.listed()}
        looked = tick(self.world, "watch_over", self.cursor, minutes)
        assert looked.requests == ()
        self.cursor = looked.cursor
        raised = [one.alert for one in reversed(self.world.home.alerts.listed())]
        new = [alert for alert in raised if alert.key not in before]
        assert looked.skipped == ("; ".join(alert.subject for alert in new) or "all is well")
        return new


@pytest.fixture
def watch(world: World) -> Watch:
    world.declare()
    return Watch(world)


# Runs


@dg.op
def _break() -> None:
    raise ValueError(
        f"no answer from https://me:{SECRET}@a.example/x?token={SECRET}\n" + "x\n" * 50
    )


@dg.job
def broken() -> None:
    _break()


def break_down(world: World, **tags: str) -> str:
    done = broken.execute_in_process(
        instance=world.instance, tags={k.replace("__", "/"): v for k, v in tags.items()},
        raise_on_error=False,
    )  # fmt: skip
    assert not done.success
    return done.run_id


def test_a_failed_run_is_told_once_with_the_first_lines_of_its_error(watch: Watch):
    run_id = break_down(watch.world, dagster__partition="berg")
    (alert,) = watch.look()
    assert (alert.key, alert.severity) == (f"run:{run_id}", Severity.ERROR)
    assert alert.subject == "run failed: broken (berg)"
    assert "launched by hand" in alert.text
    assert "_break: ValueError: no answer from https://a.example/x?…" in alert.text
    assert alert.text.count("x\n") < 10
    assert watch.look() == []


def test_runs_that_nobody_launched_are_told_too(watch: Watch):
    range_tags = {"dagster/asset_partition_range_start": "berg",
                  "dagster/asset_partition_range_end": "fjord"}  # fmt: skip
    break_down(watch.world, **BY_SENSOR, **range_tags)
    (alert,) = watch.look()
    assert alert.subject == "run failed: broken (berg…fjord)"
    assert "launched by itself" in alert.text


def test_every_failed_run_is_an_event_of_its_own(watch: Watch):
    runs = [break_down(watch.world) for _ in range(3)]
    assert [alert.key for alert in watch.look()] == [f"run:{run}" for run in runs]


def test_a_run_that_will_be_tried_again_is_not_told(watch: Watch):
    break_down(watch.world, dagster__will_retry="true")
    assert watch.look() == []


def test_a_lost_cursor_tells_nothing_twice(watch: Watch):
    break_down(watch.world)
    assert len(watch.look()) == 1
    for cursor in (None, "nonsense", '{"of": "another version"}'):
        watch.cursor = cursor
        assert watch.look() == []


def test_a_run_that_failed_long_before_the_first_look_is_history(watch: Watch):
    break_down(watch.world)
    with freeze_time(datetime.now(UTC) + timedelta(days=2)):
        assert watch.look() == []


def test_what_the_brake_refuses_is_no_failure(watch: Watch):
    (watch.world.root / "berg.json").write_bytes(shopify_page([shopify_product(1)]))
    watch.world.declare({"key": "berg", "platform": "shopify", "location": "berg.json"})
    refused = watch.world.run("roasters", "berg", tags=BY_SENSOR)
    assert not refused.success
    assert watch.look() == []


# Sources


def test_a_store_that_stays_down_is_one_message_until_it_is_back(watch: Watch, loopback: Loopback):
    store = loopback.store()
    watch.world.declare(declared("berg", store))
    for minutes in (0, 10, 1000):
        store.route("/products.json", Reply(status=503))
        assert not watch.world.run("roasters", "berg", minutes=minutes).success
        raised = watch.look(minutes)
        assert [alert.subject for alert in raised] == (
            ["source failing: berg"] if minutes == 0 else []
        )
    (told,) = watch.world.home.alerts.listed()
    assert told.alert.severity is Severity.WARNING
    assert "- berg: " in told.alert.text
    assert "503" in told.alert.text
    serve_shopify(store, [shopify_product(1)])
    assert watch.world.run("roasters", "berg", minutes=2000).success
    assert watch.look(2000) == []
    store.route("/products.json", Reply(status=404))
    watch.world.run("roasters", "berg", minutes=2010)
    (again,) = watch.look(2010)
    assert again.subject == "source failing: berg"
    assert again.severity is Severity.ERROR, "nobody asks it again until a person acts"


def test_sources_that_begin_to_fail_together_are_one_message(watch: Watch):
    nowhere = [
        {"key": key, "platform": "shopify", "location": f"{key}.json"} for key in ("berg", "fjord")
    ]
    watch.world.declare(*nowhere)
    watch.world.run("roasters", "berg", "fjord")
    (alert,) = watch.look()
    assert alert.subject == "2 sources failing: berg, fjord"


# Checks


class Judge:
    """A check whose findings a test sets."""

    def __init__(self, world: World, name: str = "empty") -> None:
        self.world = world
        self.name = name

    def run(self, *failing: str, partition: str | None = None, error: bool = False) -> None:
        @dg.multi_asset_check(
            specs=[dg.AssetCheckSpec(self.name, asset=["roasters", "quarantine"])]
        )
        def judge() -> Iterator[dg.AssetCheckResult]:
            yield dg.AssetCheckResult(
                passed=not failing,
                check_name=self.name,
                asset_key=["roasters", "quarantine"],
                severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
                description=f"{len(failing)} findings",
                metadata={"failing sources": ", ".join(failing)} if failing else {},
            )

        tags = {} if partition is None else {"dagster/partition": partition}
        job = dg.Definitions(asset_checks=[judge]).resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=self.world.instance, tags=tags)


@pytest.fixture
def judge(world: World) -> Judge:
    return Judge(world)


def test_a_failed_check_is_told_when_it_begins_to_fail(watch: Watch, judge: Judge):
    judge.run()
    assert watch.look() == []
    judge.run("berg", "fjord")
    (alert,) = watch.look()
    assert alert.severity is Severity.WARNING
    assert alert.subject == "check failed: roasters/quarantine: empty (berg, fjord)"
    assert "2 findings" in alert.text
    judge.run("berg", "fjord")
    assert watch.look() == [], "it is known"
    judge.run()
    judge.run("berg")
    (again,) = watch.look()
    assert again.subject == "check failed: roasters/quarantine: empty (berg)"


def test_a_blocking_check_is_an_error(watch: Watch, judge: Judge):
    judge.run("berg", error=True)
    assert [alert.severity for alert in watch.look()] == [Severity.ERROR]


def test_what_one_source_passes_says_nothing_of_another(watch: Watch, judge: Judge):
    judge.run("berg", partition="berg")
    assert len(watch.look()) == 1
    judge.run(partition="fjord")
    judge.run("berg", partition="berg")
    assert watch.look() == [], "berg failed all the time"
    judge.run(partition="berg")
    judge.run("berg", partition="berg")
    assert len(watch.look()) == 1


def test_price_moves_are_told_as_prices_not_as_a_check(watch: Watch, world: World):
    Judge(world, "price_change").run("berg")
    assert watch.look() == []


def test_the_checks_of_the_lane_are_told(watch: Watch):
    page = shopify_page([shopify_product(1), shopify_product(2, title="")])
    (watch.world.root / "berg.json").write_bytes(page)
    watch.world.declare({"key": "berg", "platform": "shopify", "location": "berg.json"})
    assert watch.world.run("roasters", "berg").success
    assert "check failed: roasters/quarantine: empty (berg)" in [
        alert.subject for alert in watch.look()
    ]


# Sensors and schedules


class Instigators:
    """Dagster's records of sensors and schedules, as its daemon writes them."""

    def __init__(self, world: World) -> None:
        self.instance = world.instance
        self.place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")

    def switch_on(
        self, name: str, at: datetime, status: InstigatorStatus = InstigatorStatus.RUNNING
    ) -> InstigatorState:
        origin = RemoteInstigatorOrigin(self.place, name)
        if name == "master_sync":
            cron = ScheduleInstigatorData("0 */8 * * *", at.timestamp())
            state = InstigatorState(origin, InstigatorType.SCHEDULE, status, cron)
        else:
            data = SensorInstigatorData(last_sensor_start_timestamp=at.timestamp())
            state = InstigatorState(origin, InstigatorType.SENSOR, status, data)
        self.instance.add_instigator_state(state)
        return state

    def ticked(
        self, state: InstigatorState, at: datetime, status: TickStatus = TickStatus.SKIPPED
    ) -> None:
        error = SerializableErrorInfo(f"no answer from https://me:{SECRET}@a.example", [], None)
        self.instance.create_tick(
            TickData(
                state.instigator_origin_id,
                state.instigator_name,
                state.instigator_type,
                status,
                at.timestamp(),
                selector_id=state.selector_id,
                error=error if status is TickStatus.FAILURE else None,
            )
        )


@pytest.fixture
def instigators(world: World) -> Instigators:
    return Instigators(world)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def looks(watch: Watch, first: int, last: int) -> dict[int, list[str]]:
    """Look every minute, as the daemon does; minute → what was told."""
    told = {}
    for minute in range(first, last + 1):
        with freeze_time(NOON + minute * MINUTE):
            raised = watch.look(minute)
        if raised:
            told[minute] = [alert.subject for alert in raised]
    return told


def test_a_sensor_without_good_ticks_has_stalled(watch: Watch, instigators: Instigators):
    state = instigators.switch_on("watched_lists", NOON - timedelta(days=1))
    instigators.ticked(state, NOON)
    assert looks(watch, 0, 12) == {6: ["watched_lists has stalled"]}
    (told,) = watch.world.home.alerts.listed()
    assert "last good tick 2026-11-22 12:00:00 UTC; it is due every 30 s" in told.alert.text


def test_a_stall_that_ends_and_begins_again_is_told_again(watch: Watch, instigators: Instigators):
    state = instigators.switch_on("watched_lists", NOON - timedelta(days=1))
    instigators.ticked(state, NOON)
    assert list(looks(watch, 0, 8)) == [6]
    instigators.ticked(state, NOON + 9 * MINUTE)
    assert list(looks(watch, 9, 16)) == [15]


def test_a_sensor_that_only_fails_has_stalled(watch: Watch, instigators: Instigators):
    state = instigators.switch_on("review_follows", NOON - timedelta(days=1))
    for seconds in range(5):
        assert looks(watch, 0, 0) == {}
        instigators.ticked(state, NOON + timedelta(seconds=seconds), TickStatus.FAILURE)
    (alert,) = watch.look()
    assert alert.subject == "review_follows has stalled"
    assert "its last 5 ticks failed: no answer from https://a.example" in alert.text


def test_a_schedule_that_misses_its_slot_has_stalled(watch: Watch, instigators: Instigators):
    state = instigators.switch_on("master_sync", NOON - timedelta(days=1))
    instigators.ticked(state, NOON - timedelta(hours=4))
    with freeze_time(NOON + timedelta(hours=3, minutes=55)):
        assert watch.look() == []
    told = {}
    for minute in range(12):
        with freeze_time(NOON + timedelta(hours=3, minutes=56 + minute)):
            told[minute] = [alert.text for alert in watch.look()]
    assert {minute for minute, texts in told.items() if texts} == {10}
    assert "it was due at 2026-11-22 16:00 UTC" in told[10][0]


@dg.sensor(name="asleep", job=broken)
def asleep() -> None:
    """Off unless somebody switches it on."""


def test_what_is_off_or_gone_is_not_missed(
    watch: Watch, instigators: Instigators, monkeypatch: pytest.MonkeyPatch
):
    own = watch.world.defs
    with_another = dg.Definitions(sensors=[asleep], jobs=[broken])
    monkeypatch.setattr(
        watch.world, "defs", lambda *args: dg.Definitions.merge(own(*args), with_another)
    )
    long_ago = NOON - timedelta(days=9)
    instigators.switch_on("asleep", long_ago, InstigatorStatus.DECLARED_IN_CODE)
    instigators.switch_on("watched_lists", long_ago, InstigatorStatus.STOPPED)
    instigators.switch_on("a_sensor_of_an_older_version", long_ago)
    assert looks(watch, 0, 12) == {}


def test_after_a_night_without_the_daemon_nobody_is_called_stalled(
    watch: Watch, instigators: Instigators
):
    state = instigators.switch_on("watched_lists", NOON - timedelta(days=1))
    instigators.ticked(state, NOON - timedelta(hours=10))
    with freeze_time(NOON - timedelta(hours=10)):
        watch.look()
    assert list(looks(watch, 0, 9)) == [6], "counted from the return of the daemon"


# Delivering


@pytest.fixture
def hook(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = loopback.store()
    store.route(f"/{SECRET}", Reply.text("ok"))
    monkeypatch.setenv("SCOUT_ALERT_WEBHOOK", store.url(f"/{SECRET}"))
    return store


def deliver(world: World, minutes: int = 1) -> Tick:
    return tick(world, "deliver_alerts", minutes=minutes)


def test_alerts_go_out_in_manual_mode_too(watch: Watch, hook: Store):
    world = watch.world
    assert not world.home.control.state().is_auto
    assert deliver(world).skipped == "nothing to deliver"
    run_id = break_down(world)
    watch.look()
    assert deliver(world).skipped == "log: 1 sent; webhook: 1 sent"
    assert deliver(world).skipped == "nothing to deliver"
    (request,) = hook.requests
    assert json.loads(request.body)["key"] == f"run:{run_id}"
    assert SECRET not in request.body.decode()


def test_a_channel_that_is_down_is_shown_and_served_later(world: World, hook: Store):
    hook.route(f"/{SECRET}", Reply.text(SECRET, status=500), Reply.text("ok"))
    world.home.alerts.raise_(Alert("k", Severity.CRITICAL, "automation stopped"), NOW)
    told = deliver(world)
    assert f"webhook: http://127.0.0.1:{hook.port} answered 500" in told.skipped
    assert "(next try 12:01:30 UTC)" in told.skipped
    assert "answered 500" in told.log
    assert SECRET not in told.skipped + told.log
    assert deliver(world, minutes=2).skipped == "webhook: 1 sent"


def test_a_wrong_setting_is_shown_and_keeps_no_other_channel_back(
    world: World, hook: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SCOUT_ALERT_SLACK", f"nonsense {SECRET}")
    world.home.alerts.raise_(Alert("k", Severity.INFO, "news"), NOW)
    told = deliver(world)
    assert "webhook: 1 sent" in told.skipped
    assert "SCOUT_ALERT_SLACK is no address" in told.skipped
    assert SECRET not in told.skipped + told.log


@pytest.mark.parametrize("name", ["watch_over", "deliver_alerts"])
def test_the_sensors_of_alerts_are_on_by_themselves(world: World, name: str):
    sensor = world.defs().resolve_sensor_def(name)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.description


# Prices


def priced(world: World, price: str, minutes: int) -> dg.ExecuteInProcessResult:
    """The store asks another price; its offers are refreshed."""
    page = shopify_page([shopify_product(1, [shopify_variant(11, price)])])
    (world.root / "berg.json").write_bytes(page)
    return world.run("roasters_prices", "berg", minutes=minutes)


def prices_told(world: World, minutes: int) -> dict[str, Any]:
    done = world.run("__ASSET_JOB", selection=["catalogue/price_alerts"], minutes=minutes)
    assert done.success
    return materialized(done, "price_alerts")[None]


def test_price_alerts_are_evaluated_in_a_run_and_told_once(world: World, tmp_path: Path):
    (world.root / "berg.json").write_bytes(shopify_page([shopify_product(1)]))
    source = {"key": "berg", "platform": "shopify", "location": "berg.json", "currency": "EUR"}
    world.declare(source)
    assert world.run("roasters", "berg").success
    assert prices_told(world, 1)["alerts/fired"] == 0
    assert priced(world, "10.00", 10).success
    told = prices_told(world, 11)
    assert (told["alerts/fired"], told["rules/asked"]) == (1, 1)
    assert "Coffee number 1" in told["fired"]
    assert "moved by more than 10.00 %" in told["fired"]
    assert prices_told(world, 12)["alerts/fired"] == 0
    (one,) = world.home.alerts.listed()
    assert one.alert.key == "price:move-berg:berg/11@2"
    assert "price 10.00 EUR, before 12.50 (-20.00 %)" in one.alert.text
