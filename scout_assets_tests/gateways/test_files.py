"""Captures kept as files, and sources.yaml."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scout_assets.domain.failures import BadConfig, NotFound
from scout_assets.gateways.files import captures, declared_sources

SOURCES = """
sources:
  - key: near
    platform: shopify
    location: stores/near
  - key: far
    platform: woocommerce
    location: https://far.example
"""


def test_locations_are_relative_to_the_file_and_addresses_stay(tmp_path: Path):
    (tmp_path / "sources.yaml").write_text(SOURCES)
    near, far = declared_sources(tmp_path / "sources.yaml")
    assert near.location == str(tmp_path / "stores" / "near")
    assert far.location == "https://far.example"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        ("sources: [", "is not YAML"),
        ("\xff\xfe", "expected a list under"),
        ("sources:\n  - key: x\n", "field 'platform'"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error_never_an_empty_list(tmp_path, content, said):
    path = tmp_path / "sources.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadConfig, match=said):
        declared_sources(path)


def test_a_file_is_one_capture_as_of_its_last_change(tmp_path: Path):
    path = tmp_path / "products.json"
    path.write_text("{}")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (capture,) = captures(str(path))
    assert capture.captured_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert not capture.dated
    assert capture.read() == (b"{}",)


def test_dated_entries_are_a_series_oldest_first(tmp_path: Path):
    (tmp_path / "2026-09-07.json").write_text("2")
    (tmp_path / "store.2026-08.json").write_text("1")
    (tmp_path / "2026-10-05").mkdir()
    (tmp_path / "2026-10-05" / "page-1.json").write_text("3")
    (tmp_path / "2026-10-05" / "page-2.json").write_text("4")
    (tmp_path / "README.md").write_text("not a capture")
    found = captures(str(tmp_path))
    assert [capture.captured_at for capture in found] == [
        datetime(2026, 8, 1, tzinfo=UTC),
        datetime(2026, 9, 7, tzinfo=UTC),
        datetime(2026, 10, 5, tzinfo=UTC),
    ]
    assert [capture.read() for capture in found] == [(b"1",), (b"2",), (b"3", b"4")]


def test_a_folder_of_pages_without_dates_is_one_capture(tmp_path: Path):
    (tmp_path / "page-1.json").write_text("1")
    (tmp_path / "page-2.json").write_text("2")
    (capture,) = captures(str(tmp_path))
    assert capture.read() == (b"1", b"2")


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_there_is_not_an_empty_capture(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        captures(str(tmp_path / name))


def test_a_date_that_does_not_exist_is_named(tmp_path: Path):
    (tmp_path / "2026-13-01.json").write_text("1")
    with pytest.raises(BadConfig, match="2026-13-01 is not a date"):
        captures(str(tmp_path))
