"""`scout jobs`: lists at the ML service, seen and attempted again without Dagster."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from scout_assets.domain.jobs import Job, Phase
from scout_assets.gateways.home import Home
from scout_assets_tests.loopback import Loopback, Reply, Store
from scout_assets_tests.test_cli import scout

LIST = b"sku;name;price\nN-1;Kenya AB 250 g;10.40\n"


@pytest.fixture
def service(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """It takes every list; for the installation in the working directory."""
    store = loopback.store()
    store.route("/analyze/file", Reply.json({"job_id": "r1"}, status=202))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ML_ANALYZE_URL", store.url(""))
    monkeypatch.setenv("ML_POLL_INTERVAL_SECONDS", "0.001")
    for name in ("SCOUT_ARTIFACTS", "SCOUT_SHARED", "SCOUT_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    return store


def handed_over(service: Store, source: str, status: int = 202) -> Job:
    """A list of a supplier; another status than 202 refuses it for good."""
    service.route("/analyze/file", Reply.json({"job_id": "r1"}, status=status))
    courier = Home.locate().courier
    return asyncio.run(courier.start(source, "list.csv", LIST + source.encode(), Counter()))


def listed(*options: str) -> dict[str, str]:
    """Source → phase."""
    result = scout("jobs", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return {job["source"]: job["phase"] for job in json.loads(result.stdout)}


def test_jobs_are_listed_by_source_and_phase(service: Store):
    assert listed() == {}
    handed_over(service, "nord")
    handed_over(service, "sud", status=400)
    assert listed() == {"nord": "analyzing", "sud": "failed"}
    assert listed("--source", "nord") == {"nord": "analyzing"}
    assert listed("--phase", "failed") == {"sud": "failed"}
    shown = scout("jobs", "list").stdout
    assert "2 jobs" in shown
    assert "400" in shown


def test_a_named_job_is_attempted_again_though_nothing_promises_it_to_pass(service: Store):
    refused = handed_over(service, "sud", status=400)
    assert not refused.retryable
    assert "name one to attempt it" in scout("jobs", "retry").stdout
    service.route("/analyze/file", Reply.json({"job_id": "r2"}, status=202))
    result = scout("jobs", "retry", refused.job_id)
    assert result.exit_code == 0, result.output
    assert f"{refused.job_id}: analyzing" in result.stdout
    assert listed() == {"sud": "analyzing"}


def test_without_names_those_that_may_well_pass_are_attempted(service: Store):
    job = handed_over(service, "nord")
    service.route("/analyze/status/r1", Reply.json({"detail": "unknown"}, status=404))
    courier = Home.locate().courier
    (lost,) = asyncio.run(courier.poll(Counter()))
    assert (lost.phase, lost.retryable) == (Phase.FAILED, True)
    assert f"{job.job_id}: analyzing" in scout("jobs", "retry").stdout


@pytest.mark.parametrize("other", ["nobody.0", "open"])
def test_what_cannot_be_retried_is_told_before_anything_is(service: Store, other: str):
    refused = handed_over(service, "sud", status=400)
    other = handed_over(service, "nord").job_id if other == "open" else other
    result = scout("jobs", "retry", refused.job_id, other)
    assert result.exit_code == 1
    assert "only failed jobs are retried" in result.output or "no job" in result.output
    assert listed("--source", "sud") == {"sud": "failed"}
