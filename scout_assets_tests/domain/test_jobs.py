"""The life of a job handed to the analysis service, and the service's answers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.jobs import (
    GIVE_UP_AFTER,
    STALLED_AFTER,
    Accepted,
    Job,
    Phase,
    Status,
    file_type,
    job_id,
    safe_name,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW = Job("nord.00", "nord", "list.csv", "csv", "nord.00.list.csv", "ab" * 32, 9, NOW, NOW)
RUNNING = NEW.accepted(Accepted(job_id="r1"), NOW)


def status(**fields: object) -> Status:
    return Status.model_validate({"job_id": "r1", "status": "processing", **fields})


def after(**fields: object) -> datetime:
    return NOW + timedelta(**fields)


def test_a_job_moves_through_its_phases_and_never_back():
    assert NEW.phase is Phase.DOWNLOADING
    assert RUNNING.phase is Phase.ANALYZING
    matching = RUNNING.reported(status(phase="matching", progress_percentage=80), after(minutes=1))
    assert (matching.phase, matching.progress) == (Phase.MATCHING, 80)
    late = matching.reported(status(phase="analyzing", progress_percentage=10), after(minutes=2))
    assert (late.phase, late.progress) == (Phase.MATCHING, 80)
    done = late.completed("cd" * 32, 12, after(minutes=3))
    assert (done.phase, done.progress, done.rows, done.is_open) == (Phase.COMPLETE, 100, 12, False)


def test_a_failure_of_the_service_ends_the_job_with_its_words():
    failed = RUNNING.reported(status(status="failed", error="page 3 is a photo"), NOW)
    assert failed.phase is Phase.FAILED
    assert failed.error == "the service could not analyse list.csv: page 3 is a photo"
    assert not failed.retryable


def test_a_silent_service_is_given_up_after_a_while_and_any_answer_starts_anew():
    quiet = RUNNING.silent("refused", NOW)
    assert quiet.is_open
    assert quiet.error == "refused"
    almost = quiet.silent("refused", NOW + GIVE_UP_AFTER - timedelta(seconds=1))
    assert almost.is_open
    heard = almost.reported(status(), after(minutes=40))
    assert (heard.silent_since, heard.error) == (None, None)
    assert heard.silent("refused", after(minutes=50)).is_open
    dead = almost.silent("refused", NOW + GIVE_UP_AFTER)
    assert dead.phase is Phase.FAILED
    assert dead.retryable
    assert "30 min (refused)" in dead.error
    assert "ML_ANALYZE_URL" in dead.error


def test_a_job_without_progress_is_taken_for_lost():
    same = RUNNING.reported(status(), NOW + STALLED_AFTER - timedelta(seconds=1))
    assert same.is_open
    assert same.changed_at == NOW
    moved = same.reported(status(progress_percentage=1), NOW + STALLED_AFTER)
    assert moved.is_open
    lost = same.reported(status(), NOW + STALLED_AFTER)
    assert (lost.phase, lost.retryable) == (Phase.FAILED, True)


def test_only_failed_jobs_are_attempted_again():
    again = RUNNING.failed("no", NOW, True).again(after(hours=1))
    assert (again.phase, again.attempts, again.remote_id, again.error) == (
        Phase.DOWNLOADING,
        2,
        None,
        None,
    )
    with pytest.raises(BadConfig, match="is analyzing: only failed"):
        RUNNING.again(NOW)


@pytest.mark.parametrize(
    ("fields", "progress"),
    [
        ({}, 0),
        ({"progress_percentage": None}, 0),
        ({"progress_percentage": 45.7}, 45),
        ({"progress_percentage": 250}, 100),
        ({"progress_percentage": -3}, 0),
        ({"progress_percentage": float("inf")}, 100),
        ({"status": " PROCESSING", "eta": "soon", "phase": 3, "error": {"a": 1}}, 0),
        ({"job_id": 17}, 0),
    ],
)
def test_careless_answers_are_read_all_the_same(fields, progress):
    assert status(**fields).progress_percentage == progress


@pytest.mark.parametrize(
    "fields",
    [{"status": "sleeping"}, {"job_id": ""}, {"items": "none"}, {"progress_percentage": "half"}],
)
def test_answers_off_the_contract_are_refused(fields):
    with pytest.raises(ValidationError):
        status(**fields)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("A.XLSX", "excel"), ("a.b.ods", "excel"), ("l.tsv", "csv"), ("x.pdf", "pdf")],
)
def test_the_name_tells_the_type(name, kind):
    assert file_type(name) == kind


@pytest.mark.parametrize("name", ["list", "list.exe", ".xlsx.", "", "a.xlsx/b"])
def test_names_of_no_price_list_are_refused(name):
    with pytest.raises(BadConfig, match=r"no price list by its name; known: \.xlsx"):
        file_type(name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../Liste Früh 2026.XLSX", "nord.00.liste-fruh-2026.xlsx"),
        ("C:\\lists\\a.csv", "nord.00.a.csv"),
        ("прайс.pdf", "nord.00.prais.pdf"),
        ("…", "nord.00.list"),
        (".csv", "nord.00.list.csv"),
    ],
)
def test_a_file_name_is_made_safe(name, safe):
    assert safe_name("nord.00", name) == safe


@given(st.text(max_size=200))
def test_no_name_leads_out_of_the_folder(name):
    safe = safe_name("nord.00", name)
    assert safe.isascii()
    assert not set(safe) & set("/\\\0 \n")
    assert safe.startswith("nord.00.")
    assert len(safe) < 100


def test_the_same_bytes_of_a_source_are_one_job():
    assert job_id("nord", "0123456789abcdef" * 4) == "nord.0123456789abcdef"
