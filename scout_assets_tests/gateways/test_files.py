"""Captures kept as files, and sources.yaml."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scout_assets.domain.failures import BadConfig, NotFound, Refused, Transient
from scout_assets.gateways.files import captures, declared_sources, lists

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


@pytest.mark.parametrize("name", ["Preisliste 2024-25", "4711-12", "2024-00", "12024-10-01"])
def test_numbers_that_are_no_date_date_nothing(tmp_path: Path, name: str):
    path = tmp_path / f"{name}.csv"
    path.write_text("a;1")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (capture,) = lists(str(path))
    assert not capture.dated
    assert capture.captured_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_in_a_series_of_lists_a_wrong_date_and_a_link_out_keep_no_other_back(tmp_path: Path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (tmp_path / "secret.csv").write_text("s;1")
    (folder / "2026-09-01.csv").write_text("a;1")
    (folder / "2026-09-31.csv").write_text("a;2")
    (folder / "2026-09-15.csv").symlink_to(tmp_path / "secret.csv")
    found = {c.pages[0].stem: c for c in lists(str(folder), (folder.resolve(),))}
    assert found["2026-09-01"].read() == (b"a;1",)
    with pytest.raises(Refused, match="is not below an allowed folder"):
        found["secret"].read()
    with pytest.raises(BadConfig, match="2026-09-31 is not a date; rename it"):
        found["2026-09-31"].read()


def test_a_pipe_or_folder_named_like_a_list_is_none(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(NotFound, match="holds no price list"):
        lists(str(tmp_path))


def test_a_pipe_that_took_the_place_of_a_list_is_refused_and_blocks_nobody(tmp_path: Path):
    path = tmp_path / "acme.csv"
    path.write_bytes(b"a;1")
    (capture,) = lists(str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Refused, match="no plain file"):
        capture.read()


@pytest.mark.parametrize("change", ["replaced", "grown", "cut"])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_time(
    tmp_path: Path, monkeypatch, change
):
    path = tmp_path / "acme.csv"
    path.write_bytes(b"a;1\n")
    (capture,) = lists(str(path))
    real, asked = os.fstat, 0

    def meanwhile(handle: int) -> os.stat_result:
        nonlocal asked
        asked += 1
        if asked == 3:  # opened, looked at, read
            if change == "replaced":
                (tmp_path / "new").write_bytes(b"b;2\n")
                (tmp_path / "new").replace(path)
            else:
                path.write_bytes(b"a;1\nb;2\n" if change == "grown" else b"")
        return real(handle)

    monkeypatch.setattr(os, "fstat", meanwhile)
    with pytest.raises(Transient, match=r"acme\.csv changed while it was read"):
        capture.read()
    assert capture.read()[0] == path.read_bytes()


def test_with_roots_no_list_lies_or_leads_elsewhere(tmp_path: Path):
    allowed, elsewhere = tmp_path / "lists", tmp_path / "lists_evil"
    for folder in (allowed, elsewhere):
        folder.mkdir()
        (folder / "a.csv").write_text("x")
    roots = (allowed.resolve(),)
    assert lists(str(allowed / "a.csv"), roots)
    assert lists(str(allowed), roots)
    (allowed / "link.csv").symlink_to(elsewhere / "a.csv")
    for place in (
        elsewhere / "a.csv",
        allowed / "link.csv",
        f"{allowed}/../lists_evil/a.csv",
    ):
        with pytest.raises(Refused, match=r"refused|not below"):
            lists(str(place), roots)
    (newest,) = lists(str(allowed), roots)
    with pytest.raises(Refused, match=r"link\.csv' \(it leads to .* is not below"):
        newest.read()
    assert lists(str(allowed / "link.csv")), "without roots a list may lie anywhere"


def test_a_link_put_in_place_of_a_list_is_not_followed(tmp_path: Path):
    path, other = tmp_path / "acme.csv", tmp_path / "secret.csv"
    path.write_bytes(b"a;1")
    other.write_bytes(b"s;1")
    (capture,) = lists(str(path))
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(Transient, match="cannot read"):
        capture.read()
