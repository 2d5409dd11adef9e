"""Watched folders: which paths are allowed, and when a file is whole."""

import os
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig, Refused, Transient
from scout_assets.gateways.watched import Look, below, look_at, watch_roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "staging"
    folder.mkdir()
    return folder


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def looks(root: Path, times: int, cursor: str | None = None) -> Look:
    for _ in range(times):
        look = look_at([root], cursor)
        cursor = look.cursor
    return look


# Which paths


def test_roots_come_from_the_environment(root, tmp_path):
    other = tmp_path.resolve() / "other"
    other.mkdir()
    (tmp_path / "link").symlink_to(other)
    text = os.pathsep.join([str(root), "", f" {tmp_path}/link/ ", str(root)])
    assert watch_roots({"SCOUT_WATCH_ROOTS": text}) == (root, other)
    assert watch_roots({}) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lists", "'lists' is relative"),
        ("/", "is everything"),
        ("/no-such-folder-of-ours", "is no folder; make it"),
        (__file__, "is no folder"),
        ("/a\0b", "cannot be followed"),
    ],
)
def test_a_wrong_root_is_named(text, said):
    with pytest.raises(BadConfig, match=f"SCOUT_WATCH_ROOTS.*{said}"):
        watch_roots({"SCOUT_WATCH_ROOTS": text})


def test_a_path_below_a_root_is_allowed_whether_or_not_it_exists(root):
    assert below([root], root) == root
    assert below([root], str(root / "a" / "b.csv")) == root / "a" / "b.csv"


def test_a_link_is_judged_by_where_it_leads(root, tmp_path):
    (root / "real.csv").write_text("x")
    (root / "inside.csv").symlink_to(root / "real.csv")
    assert below([root], root / "inside.csv") == root / "real.csv"
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    (root / "outside.csv").symlink_to(secret)
    (root / "up").symlink_to(tmp_path)
    for way in (root / "outside.csv", root / "up" / "secret.csv", root / "up"):
        with pytest.raises(Refused, match=r"it leads to .* is not below an allowed folder") as told:
            below([root], way)
        assert str(way) in str(told.value)
        assert str(root) in str(told.value)


def test_a_link_in_a_circle_is_refused(root):
    (root / "a.csv").symlink_to(root / "b.csv")
    (root / "b.csv").symlink_to(root / "a.csv")
    with pytest.raises(Refused):
        below([root], root / "a.csv")


@pytest.mark.parametrize(
    "path", ["{}/../secret.csv", "{}/a/../b.csv", "b.csv", "./b.csv", "../{}", "{}/a\0.csv", ""]
)
def test_dots_relative_paths_and_nul_are_refused(root, path):
    with pytest.raises(Refused, match="is refused"):
        below([root], path.format(root))


@pytest.mark.parametrize("sibling", ["staging_evil", "staging.", "staging ", "Staging", "stagin"])
def test_look_alikes_are_refused(root, sibling):
    with pytest.raises(Refused, match="is not below an allowed folder"):
        below([root], root.parent / sibling / "list.csv")


def test_without_roots_nothing_is_allowed(root):
    with pytest.raises(Refused, match="none; set SCOUT_WATCH_ROOTS"):
        below([], root / "list.csv")


part = st.text("ab.~ _-/é\n", min_size=1, max_size=12)


@given(suffix=part, rest=part)
def test_no_look_alike_of_a_root_passes(suffix, rest):
    root = Path("/no-such-place/staging")
    assume(not suffix.startswith("/"))
    path = f"{root}{suffix}/{rest}"
    with pytest.raises(Refused):
        below([root], path)


@given(parts=st.lists(st.sampled_from(["staging", "..", ".", "a", "", "/", "staging_evil"])))
def test_what_passes_is_below_the_root(parts):
    root = Path("/no-such-place/staging")
    path = f"{root}/" + "/".join(parts)
    try:
        allowed = below([root], path)
    except Refused:
        assert ".." in parts
    else:
        assert allowed.parts[: len(root.parts)] == root.parts
        assert str(allowed) == os.path.normpath(path)


# When a file is whole


def test_a_file_is_told_once_two_looks_saw_it_unchanged(root):
    (root / "nord.csv").write_text("a;1\n")
    first = look_at([root])
    assert (first.ready, first.fresh) == ((), ())
    assert first.counters == {"watch/unsettled": 1}
    second = look_at([root], first.cursor)
    assert names(second.fresh) == ["nord.csv"]
    assert second.counters == {"watch/ready": 1, "watch/fresh": 1}
    third = look_at([root], second.cursor)
    assert (names(third.ready), third.fresh) == (["nord.csv"], ())
    assert third.cursor == second.cursor


def test_a_look_that_was_not_acted_on_tells_the_same_again(root):
    (root / "nord.csv").write_text("a;1\n")
    kept = look_at([root]).cursor
    assert look_at([root], kept).fresh == look_at([root], kept).fresh != ()


def test_a_file_that_still_grows_waits(root):
    path = root / "nord.csv"
    path.write_text("a;1\n")
    cursor = look_at([root]).cursor
    for number in range(3):
        with path.open("a") as file:
            file.write(f"b;{number}\n")
        look = look_at([root], cursor)
        cursor = look.cursor
        assert look.ready == ()
        assert look.counters["watch/unsettled"] == 1
    assert names(look_at([root], cursor).fresh) == ["nord.csv"]


def test_a_new_version_is_told_again_once_it_is_whole(root):
    path = root / "nord.csv"
    path.write_text("a;1\n")
    told = looks(root, 2)
    path.write_text("a;2\n")
    os.utime(path, ns=(0, 10**18))
    changed = look_at([root], told.cursor)
    assert changed.ready == ()
    assert names(look_at([root], changed.cursor).fresh) == ["nord.csv"]


def test_files_that_are_no_price_list_or_not_finished_are_passed_over(root):
    for name in ("~$a.xlsx", ".a.csv", "a.csv.part", "b.CSV.TMP", "c.csv~", ".~lock.a.ods#"):
        (root / name).write_text("x")
    for name in ("a.exe", "readme.md", "csv"):
        (root / name).write_text("x")
    (root / "empty.csv").touch()
    (root / ".hidden").mkdir()
    (root / ".hidden" / "z.csv").write_text("x")
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "deep" / "Liste.XLSX").write_text("x")
    look = looks(root, 2)
    assert names(look.fresh) == ["Liste.XLSX"]
    assert look.counters == {
        "watch/temporary": 6,
        "watch/other": 3,
        "watch/empty": 1,
        "watch/ready": 1,
        "watch/fresh": 1,
    }


def test_what_leads_out_is_refused_and_the_rest_goes_on(root, tmp_path):
    (tmp_path / "secret.csv").write_text("x")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "more.csv").write_text("x")
    (root / "out.csv").symlink_to(tmp_path / "secret.csv")
    (root / "more").symlink_to(tmp_path / "lists")
    (root / "folder.csv").symlink_to(root)
    os.mkfifo(root / "pipe.csv")
    (root / "nord.csv").write_text("x")
    look = looks(root, 2)
    assert names(look.fresh) == ["nord.csv"]
    assert look.counters["watch/refused"] == len(look.refused) == 2
    assert "out.csv" in look.refused[0]
    assert "pipe.csv is refused: it is no plain file" in look.refused[1]


def test_two_ways_to_one_file_are_one_file(root):
    (root / "nord.csv").write_text("x")
    (root / "again.csv").symlink_to("nord.csv")
    (root / "lost.csv").symlink_to("nowhere.csv")
    look = look_at([root, root], looks(root, 1).cursor)
    assert names(look.fresh) == ["nord.csv"]
    assert look.counters["watch/vanished"] == 1


def test_one_folder_of_a_root_can_be_looked_at(root):
    for folder in ("nord", "sud"):
        (root / folder).mkdir()
        (root / folder / f"{folder}.csv").write_text("x")
    cursor = look_at([root], None, root / "nord").cursor
    assert names(look_at([root], cursor, root / "nord").fresh) == ["nord.csv"]
    with pytest.raises(Refused):
        look_at([root], None, root.parent / "staging_evil")


def test_a_folder_that_is_not_mounted_is_not_an_empty_one(root):
    (root / "nord").mkdir()
    (root / "nord" / "a.csv").write_text("x")
    cursor = looks(root, 2).cursor
    root.rename(root.with_name("away"))
    with pytest.raises(Transient, match=r"staging cannot be listed: .*is it mounted\?"):
        look_at([root], cursor)
    root.with_name("away").rename(root)
    assert look_at([root], cursor).fresh == ()


@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"seen": 3}', '{"seen": [[]], "told": []}'])
def test_a_lost_cursor_costs_one_more_look(root, cursor):
    (root / "nord.csv").write_text("x")
    look = look_at([root], cursor)
    assert look.ready == ()
    assert look.counters["watch/cursor_lost"] == (cursor != "")
    assert names(look_at([root], look.cursor).fresh) == ["nord.csv"]


def test_the_cursor_is_small_and_forgets_what_is_gone(root):
    for number in range(100):
        (root / f"a rather long name of a list {number}.csv").write_text("x")
    look = looks(root, 2)
    assert len(look.fresh) == 100
    assert len(look.cursor) < 100 * 21 + 50
    for path in look.fresh:
        path.unlink()
    assert look_at([root], look.cursor).cursor == '{"seen": [], "told": []}'
