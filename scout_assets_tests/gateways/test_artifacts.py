"""Artifacts: immutable bytes by their sha256, on disk or any fsspec URL."""

from pathlib import Path

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
