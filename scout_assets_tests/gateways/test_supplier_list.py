"""The suppliers' master list taken over from a path and over HTTP."""

import dataclasses
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Refused,
    ScoutFailure,
    Transient,
)
from scout_assets.domain.sources import Source, State
from scout_assets.gateways.home import Home
from scout_assets.gateways.supplier_list import ORIGIN, Synced, sync_suppliers
from scout_assets_tests.loopback import Loopback, Reply, Request, Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEAD = "name;source_type;source_url;active;settings\n"
TWO = HEAD + "Acme;csv;lists/acme.csv;yes;currency=EUR\nZeta & Söhne;;https://z.example/z.xlsx;;\n"

Open = Callable[..., Home]


@pytest.fixture
def at(tmp_path: Path) -> Open:
    """An installation whose master list lies at a place."""

    def opened(place: object, private: str = "") -> Home:
        settings = {"SCOUT_MASTER_LIST": str(place), "SCOUT_MASTER_LIST_PRIVATE": private}
        return Home.locate(settings, str(tmp_path / "home"))

    return opened


@pytest.fixture
def shop(loopback: Loopback) -> Store:
    return loopback.store()


def sync(home: Home) -> Synced:
    synced = sync_suppliers(home, NOW)
    assert synced is not None
    return synced


def active(home: Home) -> dict[str, str]:
    """Key → location of the active suppliers."""
    known = home.ledger.sources(Kind.SUPPLIER, State.ACTIVE)
    return {item.source.key: item.source.location for item in known}


def test_no_list_is_named(at: Open, tmp_path: Path):
    assert sync_suppliers(at("  "), NOW) is None
    assert not (tmp_path / "home").exists()


def test_a_file(at: Open, tmp_path: Path):
    (tmp_path / "suppliers.csv").write_text(TWO, encoding="cp1252")
    home = at(tmp_path / "suppliers.csv")
    synced = sync(home)
    assert [source.key for source in synced.plan.added] == ["acme", "zeta-sohne"]
    assert synced.counters["master/listed"] == 2
    known = home.ledger.source("acme")
    assert (known.origin, known.source.currency) == (ORIGIN, "EUR")
    assert sync(home).plan.empty


def test_relative_locations_are_below_the_list_s_folder(at: Open, tmp_path: Path, monkeypatch):
    folder = tmp_path / "office"
    (folder / "lists").mkdir(parents=True)
    (folder / "suppliers.csv").write_text(TWO + "Up;;../up.csv;;\nAbs;;/srv/abs.csv;;\n")
    monkeypatch.chdir(tmp_path)
    home = at("office/suppliers.csv")
    sync(home)
    expected = {
        "abs": "/srv/abs.csv",
        "acme": str(folder / "lists" / "acme.csv"),
        "up": str(tmp_path / "up.csv"),
        "zeta-sohne": "https://z.example/z.xlsx",
    }
    assert active(home) == expected
    monkeypatch.chdir(folder)
    assert sync(at(folder / "suppliers.csv")).plan.empty, "wherever it is asked from"


def test_a_link_to_the_list_s_folder_names_the_same_places(at: Open, tmp_path: Path):
    folder = tmp_path / "office"
    folder.mkdir()
    (folder / "suppliers.csv").write_text(TWO)
    sync(at(folder / "suppliers.csv"))
    (tmp_path / "link").symlink_to(folder)
    assert sync(at(tmp_path / "link" / "suppliers.csv")).plan.empty


def test_a_workbook_is_read_from_its_first_visible_sheet(at: Open, tmp_path: Path):
    book = openpyxl.Workbook()
    hidden = book.active
    assert hidden is not None
    hidden.append(["old"])
    hidden.sheet_state = "hidden"
    sheet = book.create_sheet("Suppliers")
    for row in (["Supplier", "URL", "Active"], ["Acme", "acme.xlsx", True], ["Zeta", "z", 0]):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    (tmp_path / "suppliers.xlsx").write_bytes(stream.getvalue())
    home = at(tmp_path / "suppliers.xlsx")
    assert sync(home).counters["master/inactive"] == 1
    assert set(active(home)) == {"acme"}


def test_over_http_in_a_private_network_that_is_allowed(at: Open, shop: Store):
    shop.route("/suppliers.csv", Reply.text(TWO.replace("lists/acme.csv", shop.url("/a.csv"))))
    home = at(shop.url("/suppliers.csv"), "1")
    sync(home)
    assert active(home)["acme"] == shop.url("/a.csv")


def test_a_private_network_is_refused_unless_allowed(at: Open, shop: Store):
    shop.route("/suppliers.csv", Reply.text(TWO))
    with pytest.raises(Refused):
        sync(at(shop.url("/suppliers.csv")))
    assert shop.requests == []


def test_an_address_anchors_no_path(at: Open, shop: Store):
    """Below an address there is no folder, and the working directory says nothing."""
    listed = "Acme;;acme.csv;;\nAbs;;/srv/abs.csv;;\nZeta;;https://z.example/z.csv;;\n"
    shop.route("/office/suppliers.csv", Reply.text(HEAD + listed))
    home = at(shop.url("/office/suppliers.csv?v=1"), "1")
    sync(home)
    assert active(home) == {
        "abs": "/srv/abs.csv",
        "acme": shop.url("/office/acme.csv"),
        "zeta": "https://z.example/z.csv",
    }


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (Reply(status=404), NotFound),
        (Reply.text(""), BrokenContract),
        (Reply.text(HEAD), BrokenContract),
        (Reply.text("<html><p>Please sign in</p></html>", "text/html"), BrokenContract),
        (Reply.text("who;where\nAcme;acme.csv\n"), BrokenContract),
    ],
    ids=["gone", "empty", "header only", "sign-in page", "other columns"],
)
def test_what_is_not_the_list_retires_nobody(
    at: Open, shop: Store, reply: Reply, failure: type[ScoutFailure]
):
    shop.route("/suppliers.csv", Reply.text(TWO), reply)
    home = at(shop.url("/suppliers.csv"), "true")
    sync(home)
    before = active(home)
    with pytest.raises(failure):
        sync(home)
    assert active(home) == before
    assert len(before) == 2


def test_a_file_that_cannot_be_read_names_the_setting(at: Open, tmp_path: Path):
    with pytest.raises(BadConfig, match=r"no\.csv: No such file .*SCOUT_MASTER_LIST names it"):
        sync(at(tmp_path / "no.csv"))


def test_who_left_the_list_retires_and_who_a_bad_row_names_stays(at: Open, tmp_path: Path):
    path = tmp_path / "suppliers.csv"
    home = at(path)
    path.write_text(HEAD + "Acme;;a.csv;;\nBeta;;b.csv;;\nGone;;g.csv;;\n")
    sync(home)
    path.write_text(HEAD + "Acme;;a.csv;;\nBeta;;;;\nNew;;n.csv;;\n")
    synced = sync(home)
    assert synced.plan.retired == ("gone",)
    assert [bad.key for bad in synced.bad_rows] == ["beta"]
    assert active(home) == {key: str(tmp_path / f"{key[0]}.csv") for key in ("acme", "beta", "new")}


def test_suppliers_declared_elsewhere_are_left_alone(at: Open, tmp_path: Path):
    (tmp_path / "suppliers.csv").write_text(TWO)
    home = at(tmp_path / "suppliers.csv")
    own = Source.read({"key": "own", "platform": "price-list", "location": "/own.csv"}, "test")
    home.ledger.sync([own], NOW)
    assert sync(home).plan.retired == ()
    assert "own" in active(home)


def test_one_retired_by_hand_stays_so(at: Open, tmp_path: Path):
    (tmp_path / "suppliers.csv").write_text(TWO)
    home = at(tmp_path / "suppliers.csv")
    sync(home)
    home.ledger.retire("acme", NOW)
    assert sync(home).plan.empty
    assert set(active(home)) == {"zeta-sohne"}


def test_a_key_taken_by_another_list_is_told(at: Open, tmp_path: Path):
    (tmp_path / "suppliers.csv").write_text(TWO)
    home = at(tmp_path / "suppliers.csv")
    own = Source.read({"key": "acme", "platform": "price-list", "location": "/own.csv"}, "test")
    home.ledger.sync([own], NOW)
    both = (
        "'acme' stands in the suppliers' master list, and in sources.yaml too: delete it from one"
    )
    with pytest.raises(BadConfig, match=both):
        sync(home)
    assert active(home) == {"acme": "/own.csv"}
    home.ledger.sync([], NOW)
    assert sync(home).plan.revived[0].key == "acme", "deleted there, it is this list's"
    with pytest.raises(BadConfig, match=r"stands in sources\.yaml, and in the suppliers' master"):
        home.ledger.sync([own], NOW)


def test_a_key_added_by_hand_is_told_as_such(at: Open, tmp_path: Path):
    (tmp_path / "suppliers.csv").write_text(TWO)
    home = at(tmp_path / "suppliers.csv")
    own = Source.read({"key": "acme", "platform": "price-list", "location": "/own.csv"}, "test")
    home.ledger.add(own, NOW)
    with pytest.raises(BadConfig, match="'acme' was added by hand already"):
        sync(home)


def test_a_google_sheet_anchors_nothing(at: Open, shop: Store):
    """It lies in no folder; the working directory is not meant."""
    listed = "name,source_url\nAcme,acme.csv\nAbs,/srv/abs.csv\nZeta,https://z.example/z.csv\n"
    sheet = "/spreadsheets/d/1aB_cD-eFgHiJkLmNoPqRsTuVwXyZ"
    shop.route(f"{sheet}/export", Reply.text(listed, "text/csv"))
    place = shop.url(f"{sheet}/edit#gid=0")
    synced = sync(dataclasses.replace(at(place, "1"), google=shop.url("")))
    assert [source.key for source in synced.plan.added] == ["abs", "zeta"]
    (bad,) = synced.bad_rows
    assert (bad.row, bad.key) == (2, "acme")
    assert "'acme.csv' is relative, and a Google Sheet lies in no folder" in bad.reason


def test_of_two_syncs_at_once_one_is_left_out(at: Open, shop: Store):
    asked = threading.Event()

    def slow(_: Request) -> Reply:
        asked.set()
        return Reply.text(TWO, pause=0.5)

    shop.route("/suppliers.csv", slow)
    place = shop.url("/suppliers.csv")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sync, at(place, "1"))
        assert asked.wait(10)
        with pytest.raises(Transient, match="another sync of the master list is running"):
            sync(at(place, "1"))
        assert len(first.result(10).plan.added) == 2
    assert len(shop.to("/suppliers.csv")) == 1
    assert sync(at(place, "1")).plan.empty, "the lock is free again"
