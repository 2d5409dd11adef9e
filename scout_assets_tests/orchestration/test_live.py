"""The real thing: `dagster dev` with its daemon, driven by a browser and by its GraphQL API."""

import json
import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from scout_assets.gateways.home import Home
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.orchestration.commands import Workplace
from scout_assets_tests.stores import declared, serve_shopify, shopify_page, shopify_product

pytestmark = pytest.mark.xdist_group("live")

STORES = [f"store-{number}" for number in range(8)]
BROKEN = {
    "store-2": Reply(status=404),
    "store-5": Reply(body=b"<html>closed</html>", headers={"Content-Type": "application/json"}),
}
AT_ONCE = 4  # `max_concurrent_runs` of dagster.yaml
SLOW = [f"slow-{number}" for number in range(8)]
"""Stores of many pages, each of which takes a while: more of them than may run at once."""
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


class Live:
    """A running `dagster dev`."""

    def __init__(self, place: Workplace, port: int, slow: Sequence[Store]) -> None:
        self.place = place
        self.slow = slow
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.address}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
        assert "errors" not in told, told
        return dict(told["data"])

    def statuses(self, asset: str) -> dict[str, str]:
        found = self.ask(STATUSES, path=["roasters", asset])["assetNodeOrError"]
        partitions = found["assetPartitionStatuses"]
        return {
            key: state
            for state in ("unmaterialized", "materialized", "failed", "materializing")
            for key in partitions[f"{state}Partitions"]
        }


STATUSES = """
query Statuses($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses {
          materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions
        }
      }
    }
  }
}
"""
BACKFILL = """
mutation Backfill($assets: [AssetKeyInput!]!, $partitions: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $partitions}) {
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


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(1)


def is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=2):
            return True
    except OSError:
        return False


def slow_store(loopback: Loopback) -> Store:
    store = loopback.store()

    def page(request: Request) -> Reply:
        listed = [shopify_product(int(request.query["page"]))]
        return Reply(body=shopify_page(listed), pause=0.1)

    store.route("/products.json", page)
    return store


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Loopback() as loopback, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        place = Workplace(tmp_path_factory.mktemp("live") / "place")
        sources = yaml.safe_load((place.root / "sources.yaml").read_text())
        for number, key in enumerate(STORES):
            store = loopback.store()
            serve_shopify(store, [shopify_product(100 + number)])
            if key in BROKEN:
                store.route("/products.json", BROKEN[key])
            sources["sources"].append(declared(key, store))
        slow = [slow_store(loopback) for _ in SLOW]
        sources["sources"] += [declared(key, one) for key, one in zip(SLOW, slow, strict=True)]
        (place.root / "sources.yaml").write_text(yaml.safe_dump(sources))
        place.run(*place.materialize("key:catalogue/sources"))
        log = place.root / "dev.log"
        process = place.start("sh", "-c", f"exec dagster dev -p {port} >{log} 2>&1")
        running = Live(place, port, slow)
        try:
            wait_until(lambda: is_up(running.address), 120, f"dagster dev; see {log}")
            yield running
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


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
    launched = live.ask(
        BACKFILL,
        assets=[{"path": ["roasters", asset]} for asset in ASSETS],
        partitions=STORES,
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
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
RUN = """
query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status endTime } } }
"""


def launched_by_a_sensor(live: Live, source: str) -> str:
    """A run as the daemon launches it for a sensor."""
    selector = {
        "repositoryLocationName": "scout_assets.definitions",
        "repositoryName": "__repository__",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["roasters", "snapshots"]}],
    }
    tags = {"dagster/partition": source, "dagster/sensor_name": "due_sources"}
    told = live.ask(
        LAUNCH, selector=selector, tags=[{"key": k, "value": v} for k, v in tags.items()]
    )["launchRun"]
    assert told["__typename"] == "LaunchRunSuccess", told
    return str(told["run"]["runId"])


def run_status(live: Live, run_id: str) -> str:
    return str(live.ask(RUN, id=run_id)["runOrError"]["status"])


class Drill(NamedTuple):
    """Seconds from the switch to the last request of any fetch, and to the end of all runs."""

    last_request: float
    last_end: float


ENDED = {"CANCELED", "FAILURE"}


def drill(live: Live, sources: Sequence[str]) -> Drill:
    """Launch a run for each source, let as many run as may, stop, and look."""
    live.place.run("scout", "auto", "--by", "ana")
    before = [len(store.requests) for store in live.slow]
    runs = [launched_by_a_sensor(live, key) for key in sources]
    wait_until(
        lambda: sum(len(s.requests) > n for s, n in zip(live.slow, before, strict=True)) >= AT_ONCE,
        120,
        "as many fetches as may run at once",
    )
    assert {run_status(live, run) for run in runs} >= {"STARTED", "QUEUED"}
    live.place.run("scout", "stop", "--by", "ana", "--reason", "drill")
    switched = json.loads(live.place.run("scout", "status", "--json"))
    assert (switched["mode"], switched["reason"]) == ("manual", "drill")
    since = datetime.fromisoformat(switched["since"]).timestamp()
    wait_until(lambda: {run_status(live, run) for run in runs} <= ENDED, 60, "the runs' end")
    ends = [live.ask(RUN, id=run)["runOrError"]["endTime"] for run in runs]
    began = time.time() - time.monotonic()
    last = max(request.at for store in live.slow for request in store.requests) + began
    return Drill(last - since, max(ends) - since)


def test_the_stop_ends_what_runs_and_cancels_what_waits(live: Live):
    found = drill(live, SLOW)
    assert found.last_request < 2
    assert found.last_end < 10
    home = Home.locate({"SCOUT_HOME": str(live.place.root / ".scout")})
    assert home.ledger.latest_snapshots(SLOW) == {}, "what was stopped lands nothing"
    assert {one.fetch.failures for one in home.ledger.sources(keys=SLOW)} == {0}

    asked = [len(store.requests) for store in live.slow]
    refused = launched_by_a_sensor(live, SLOW[0])
    wait_until(lambda: run_status(live, refused) in ENDED, 60, "the refusal of a late run")
    assert [len(store.requests) for store in live.slow] == asked


@pytest.mark.soak
@pytest.mark.parametrize("time_around", range(10))
def test_the_stop_holds_with_fifty_runs_waiting(live: Live, time_around: int):
    found = drill(live, [SLOW[number % len(SLOW)] for number in range(AT_ONCE + 50)])
    print(f"stop {time_around}: {found}")
    assert found.last_request < 2
    assert found.last_end < 10
