"""Artifacts: immutable bytes by their sha256, on disk or any fsspec URL."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import Critical
from scout_assets.gateways.artifacts import Artifacts


@given(st.binary(max_size=2000))
def test_bytes_come_back_exactly_from_any_filesystem(body):
    artifacts = Artifacts("memory://artifacts")
    digest = artifacts.put(body)
    assert artifacts.put(body) == digest
    assert artifacts.get(digest) == body


def test_a_folder_holds_one_file_per_content_and_nothing_half_written(tmp_path: Path):
    artifacts = Artifacts(str(tmp_path))
    digests = {artifacts.put(body) for body in (b"a", b"b", b"a")}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == digests


def test_a_missing_or_damaged_artifact_is_critical(tmp_path: Path):
    artifacts = Artifacts(str(tmp_path))
    digest = artifacts.put(b"whole")
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_bytes(b"half")
    with pytest.raises(Critical, match="damaged"):
        artifacts.get(digest)
    path.unlink()
    with pytest.raises(Critical, match="gone"):
        artifacts.get(digest)


NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=2)
A_DAY_AGO = NOW - timedelta(days=1)


def aged(root: Path, *names: str) -> None:
    """As if the files had been stored long ago."""
    for path in root.rglob("*"):
        if path.name in names:
            os.utime(path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path))


def test_what_nobody_points_at_goes_after_its_time(store: Artifacts, tmp_path: Path):
    used, unused, young = (store.put(body) for body in (b"used", b"unused", b"young"))
    aged(tmp_path, used, unused)
    told = store.remove_unused(lambda: {used}, A_DAY_AGO, dry_run=True)
    assert told == {unused: 6}
    assert store.stored() == {used, unused, young}, "a preview removes nothing"
    assert store.remove_unused(lambda: {used}, A_DAY_AGO) == told
    assert store.stored() == {used, young}
    assert store.remove_unused(lambda: {used}, A_DAY_AGO) == {}


def test_what_a_kill_left_half_written_goes_and_foreign_files_stay(
    store: Artifacts, tmp_path: Path
):
    digest = store.put(b"whole")
    folder = next(tmp_path.rglob(digest)).parent
    half = folder / f"{digest}.{'0' * 32}.part"
    foreign = [tmp_path / "readme.txt", folder / "notes", tmp_path / ("f" * 64)]
    for path in (half, *foreign):
        path.write_text("x")
    aged(tmp_path, half.name, *(path.name for path in foreign))
    assert store.remove_unused(lambda: {digest}, A_DAY_AGO) == {half.name: 1}
    assert all(path.exists() for path in foreign)


def test_what_comes_again_counts_as_new(store: Artifacts, tmp_path: Path):
    """A fetch stores first and points later: what it found stored must not go in between."""
    digest = store.put(b"came back")
    aged(tmp_path, digest)
    store.put(b"came back")
    assert store.remove_unused(set, A_DAY_AGO) == {}


def test_what_comes_again_while_a_cleaning_looks_stays(store: Artifacts, tmp_path: Path):
    digest = store.put(b"came back")
    aged(tmp_path, digest)

    def used() -> set[str]:
        store.put(b"came back")
        return set()

    assert store.remove_unused(used, A_DAY_AGO) == {}
    assert store.get(digest) == b"came back"


def test_an_object_store_is_cleaned_too_and_renews_what_comes_again():
    memory = fsspec.filesystem("memory")
    store = Artifacts("memory://cleaned")
    old, back = store.put(b"old"), store.put(b"back")
    for path in memory.find("/cleaned"):
        memory.store[path].modified = LONG_AGO
    store.put(b"back")
    assert set(store.remove_unused(set, A_DAY_AGO)) == {old}
    assert store.stored() == {back}
