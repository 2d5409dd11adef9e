"""The real thing: `dagster dev` with its daemon, driven by a browser and by its GraphQL API."""

import contextlib
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from scout_assets.domain.tables import TABLES
from scout_assets.gateways.home import Home
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.orchestration.commands import Workplace
from scout_assets_tests.orchestration.live import ENDED, Live, Run, all_runs, wait_until
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

pytestmark = pytest.mark.xdist_group("live")

STORES = [f"store-{number}" for number in range(8)]
BROKEN = {
    "store-2": Reply(status=404),
    "store-5": Reply(body=b"<html>closed</html>", headers={"Content-Type": "application/json"}),
}
AT_ONCE = 4  # automated runs, as `concurrency` in dagster.yaml has it
SLOW = [f"slow-{number}" for number in range(8)]
"""Stores of many pages, each of which takes a while: more of them than may run at once."""
PAUSE = 2.0
ASSETS = (
    "snapshots",
    "parents",
    "products",
    "offers",
    "quarantine",
    "embeddings",
    "vector_index",
    "stats",
)


BACKFILL = """
mutation Backfill($assets: [AssetKeyInput!]!, $partitions: [String!]!, $tags: [ExecutionTag!]) {
  launchPartitionBackfill(backfillParams: {
    assetSelection: $assets, partitionNames: $partitions, tags: $tags
  }) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
BACKFILL_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}
"""
RUNS = """
query Runs($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results { status assetSelection { path } } }
  }
}
"""


def never_ends(store: Store, pause: float = PAUSE) -> Store:
    """A store that is still being asked when the test is over: of a hundred pages, no more."""

    def page(request: Request) -> Reply:
        listed = [shopify_product(int(request.query["page"]))]
        return Reply(body=shopify_page(listed), pause=pause)

    store.route("/products.json", page)
    return store


def let_run(settings: Path, at_once: int) -> None:
    """Change how many automated runs go on at once; people keep as many places as they had."""
    told = yaml.safe_load(settings.read_text())
    runs = told["concurrency"]["runs"]
    limits = runs["tag_concurrency_limits"]
    assert {one["limit"] for one in limits} == {AT_ONCE}
    runs["max_concurrent_runs"] += at_once - AT_ONCE
    for one in limits:
        one["limit"] = at_once
    settings.write_text(yaml.safe_dump(told))


@contextlib.contextmanager
def dagster_dev(root: Path, at_once: int = AT_ONCE, pause: float = PAUSE) -> Iterator[Live]:
    """A running `dagster dev` over stores that are good, broken and slow."""
    with Loopback() as loopback:
        place = Workplace(root)
        let_run(root / "dagster.yaml", at_once)
        sources = yaml.safe_load((root / "sources.yaml").read_text())
        for number, key in enumerate(STORES):
            store = loopback.store()
            serve_shopify(store, [shopify_product(100 + number)])
            if key in BROKEN:
                store.route("/products.json", BROKEN[key])
            sources["sources"].append(declared(key, store))
        slow = [never_ends(loopback.store(), pause) for _ in SLOW]
        sources["sources"] += [declared(key, one) for key, one in zip(SLOW, slow, strict=True)]
        (root / "sources.yaml").write_text(yaml.safe_dump(sources))
        place.run(*place.materialize("key:catalogue/sources"))
        running = Live(place, slow)
        try:
            running.wait_until_up()
            yield running
        finally:
            running.end()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with dagster_dev(tmp_path_factory.mktemp("live") / "place") as running:
        yield running


def browser_path() -> str | None:
    """The system's browser; None leaves the choice to Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(
                executable_path=browser_path(),
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--no-first-run",
                ],
            )
        except PlaywrightError as error:
            pytest.fail(
                "no browser: `apt install chromium`, or `.venv/bin/playwright install chromium`; "
                f"{error}"
            )
        yield launched
        launched.close()


def test_a_partition_is_materialised_by_clicking_and_shows_its_plot(
    live: Live, chromium: Browser, tmp_path: Path
):
    page = chromium.new_page(viewport={"width": 1500, "height": 1100})
    page.set_default_timeout(60_000)
    lineage = "/locations/scout_assets.definitions/asset-groups/roasters/lineage"
    page.goto(live.address + lineage)
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Select a partition or create one").click()
    page.get_by_text("fjordlys", exact=True).first.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch 1 run").click()
    wait_until(
        lambda: live.statuses("vector_index").get("fjordlys") == "materialized",
        180,
        "the run launched by clicking",
    )
    page.screenshot(path=tmp_path / "graph.png")

    page.goto(f"{live.address}/assets/roasters/stats?view=partitions&partition=fjordlys")
    expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
    page.get_by_text("[Show Markdown]").click()
    plot = page.locator("img[alt='fjordlys']")
    expect(plot).to_be_visible()
    assert natural_width(page) > 800, "the picture is drawn, not broken"
    page.screenshot(path=tmp_path / "plot.png")

    page.goto(f"{live.address}/assets/roasters/offers?view=checks")
    expect(page.get_by_text("price_change").first).to_be_visible()
    page.close()


def natural_width(page: Page) -> int:
    return int(page.locator("img[alt='fjordlys']").evaluate("image => image.naturalWidth"))


def test_a_backfill_carries_on_exactly_the_partitions_that_landed(live: Live):
    """Failing partitions that are not neighbours: every status is right, good ones run once."""
    launched = backfill(live, ASSETS, STORES)
    wait_until(lambda: backfill_status(live, launched) not in RUNNING, 300, "the backfill")

    wanted = {key: "failed" if key in BROKEN else "materialized" for key in STORES}
    got = {asset: live.statuses(asset) for asset in ASSETS}
    assert {key: got["snapshots"][key] for key in STORES} == wanted
    for asset in ASSETS[1:]:
        good = {key for key in STORES if got[asset][key] == "materialized"}
        assert good == set(STORES) - BROKEN.keys(), asset
    runs = live.ask(RUNS, id=launched["backfillId"])["runsOrError"]["results"]
    fetching = [run for run in runs if ["roasters", "snapshots"] in paths(run)]
    assert len(fetching) == 1, "what failed is not asked again by the same backfill"
    others = [run for run in runs if run not in fetching]
    assert {run["status"] for run in others} == {"SUCCESS"}
    assert len(others) == 3, "one run per contiguous range of what landed"


RUNNING = {"REQUESTED", "CANCELING", "FAILING"}


def backfill(
    live: Live, assets: Sequence[str], partitions: Sequence[str], **tags: str
) -> dict[str, Any]:
    told = live.ask(
        BACKFILL,
        assets=[{"path": ["roasters", asset]} for asset in assets],
        partitions=list(partitions),
        tags=[{"key": f"dagster/{name}", "value": value} for name, value in tags.items()],
    )["launchPartitionBackfill"]
    assert told["__typename"] == "LaunchBackfillSuccess", told
    return dict(told)


def backfill_status(live: Live, launched: dict[str, Any]) -> str:
    told = live.ask(BACKFILL_STATUS, id=launched["backfillId"])
    return str(told["partitionBackfillOrError"]["status"])


def paths(run: dict[str, Any]) -> list[list[str]]:
    return [key["path"] for key in run["assetSelection"] or []]


LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def launched_by_a_sensor(live: Live, source: str) -> str:
    """A run as the daemon launches it for a sensor."""
    return launched(live, source, {"dagster/sensor_name": "due_sources"})


def launched(live: Live, source: str, tags: dict[str, str]) -> str:
    selector = {
        "repositoryLocationName": "scout_assets.definitions",
        "repositoryName": "__repository__",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["roasters", "snapshots"]}],
    }
    told = live.ask(
        LAUNCH,
        selector=selector,
        tags=[{"key": k, "value": v} for k, v in {"dagster/partition": source, **tags}.items()],
    )["launchRun"]
    assert told["__typename"] == "LaunchRunSuccess", told
    return str(told["run"]["runId"])


class Drill(NamedTuple):
    """Seconds from the switch to the last request of any fetch, and to the end of all runs."""

    last_request: float
    last_end: float
    running: int
    waiting: int


def drill(live: Live, waiting: int, at_once: int = AT_ONCE) -> Drill:
    """Let as many runs go on as may, some of them launched by a backfill, and stop.

    The sensors of an installation in auto launch runs too, and these must end as well.
    """
    before = stored(live)
    live.place.run("scout", "auto", "--by", "ana")
    made = backfill(live, ["snapshots"], SLOW[:2], auto_materialize="true")
    wait_until(lambda: of_backfill(live, made) != [], 120, "the backfill's run")
    for number in range(at_once + waiting):
        launched_by_a_sensor(live, SLOW[number % len(SLOW)])
    wait_until(lambda: counted(live, "STARTED") >= at_once, 600, "as many runs as may go on")
    asked = [len(store.requests) for store in live.slow]
    wait_until(lambda: [len(store.requests) for store in live.slow] != asked, 60, "requests")
    running, queued = counted(live, "STARTED"), counted(live, "QUEUED")

    live.place.run("scout", "stop", "--by", "ana", "--reason", "drill")
    switched = json.loads(live.place.run("scout", "status", "--json"))
    assert (switched["mode"], switched["reason"]) == ("manual", "drill")
    since = datetime.fromisoformat(switched["since"]).timestamp()
    wait_until(lambda: all(run.status in ENDED for run in there(live, since)), 60, "the runs' end")
    wait_until(lambda: backfill_status(live, made) == "CANCELED", 120, "the backfill's end")
    assert {run.status for run in of_backfill(live, made)} <= {"CANCELED", "FAILURE"}
    assert stored(live) == before, "what was stopped leaves nothing behind"
    last = max(request.at for store in live.slow for request in store.requests)
    ends = max(run.ended for run in there(live, since))
    return Drill(last + time.time() - time.monotonic() - since, ends - since, running, queued)


def there(live: Live, moment: float) -> list[Run]:
    """The runs that waited or went on at that moment."""
    return [
        run
        for run in all_runs(live).values()
        if run.created < moment and (run.ended == 0 or run.ended > moment)
    ]


def counted(live: Live, status: str) -> int:
    return sum(run.status == status for run in all_runs(live).values())


def of_backfill(live: Live, made: dict[str, Any]) -> list[Run]:
    tag = ("dagster/backfill", made["backfillId"])
    return [run for run in all_runs(live).values() if tag in run.tags.items()]


def stored(live: Live) -> dict[str, Any]:
    """All that is kept of the slow stores: snapshots, failures, and rows of every table."""
    home = Home.locate({"SCOUT_HOME": str(live.place.root / ".scout")})
    rows = {
        table.name: [row for row in home.warehouse.read(table.name).to_pylist() if of_slow(row)]
        for table in TABLES.values()
    }
    failures = {one.source.key: one.fetch.failures for one in home.ledger.sources(keys=SLOW)}
    return {"landed": home.ledger.latest_snapshots(SLOW), "failures": failures, **rows}


def of_slow(row: dict[str, Any]) -> bool:
    return row.get("source") in SLOW


def lands_by_hand(live: Live, key: str) -> bool:
    """Whether a person's run of a store that was stopped lands it; the store has an end then."""
    store = live.slow[SLOW.index(key)]
    serve_shopify(store, [shopify_product(1)])
    run = launched(live, key, {})
    wait_until(lambda: all_runs(live)[run].status in ENDED, 120, "a run by hand")
    never_ends(store)
    return key in stored(live)["landed"]


def test_the_stop_ends_what_runs_and_cancels_what_waits(live: Live):
    found = drill(live, len(SLOW) - AT_ONCE)
    assert found.last_request < 2
    assert found.last_end < 10
    asked = [len(store.requests) for store in live.slow]
    refused = launched_by_a_sensor(live, SLOW[0])
    wait_until(lambda: all_runs(live)[refused].status in ENDED, 60, "the refusal of a late run")
    assert [len(store.requests) for store in live.slow] == asked
    assert lands_by_hand(live, SLOW[0])


@pytest.mark.soak
def test_the_stop_holds_with_fifty_runs_waiting_ten_times(live: Live):
    drills = [told(drill(live, 50)) for _ in range(10)]
    summed_up(drills)
    assert max(found.last_request for found in drills) < 2
    assert max(found.last_end for found in drills) < 10
    assert lands_by_hand(live, SLOW[1])


@pytest.mark.soak
def test_the_stop_holds_with_twenty_runs_at_once(tmp_path: Path):
    with dagster_dev(tmp_path / "place", at_once=20, pause=4) as crowded:
        drills = [told(drill(crowded, 50, at_once=20)) for _ in range(2)]
        summed_up(drills)
        assert lands_by_hand(crowded, SLOW[0])
    assert max(found.last_request for found in drills) < 2
    assert max(found.last_end for found in drills) < 30


def told(found: Drill) -> Drill:
    print(f"\n{found}, load {os.getloadavg()[0]:.1f}", flush=True)
    return found


def summed_up(drills: Sequence[Drill]) -> None:
    for name in ("last_request", "last_end"):
        values = sorted(getattr(found, name) for found in drills)
        middle = statistics.median(values)
        print(f"{name}: min {values[0]:.2f}, median {middle:.2f}, max {values[-1]:.2f} s")
