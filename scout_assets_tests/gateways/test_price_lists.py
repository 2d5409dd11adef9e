"""Price lists: got from files, folders and the web, and held to holding items."""

import dataclasses
import os
from collections import Counter
from pathlib import Path

import pytest

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, BrokenContract, NotFound, Refused
from scout_assets.domain.sources import Source
from scout_assets.gateways.http import Policy, Validators
from scout_assets.gateways.price_lists import LIST_PAGE, fetch_list, list_name, list_page, read_list
from scout_assets.gateways.storefronts import KnownPage
from scout_assets_tests.gateways.http.fetching import run
from scout_assets_tests.loopback import Loopback, Reply, Request
from scout_assets_tests.supplies import ACME, HEADER, KENYA, Installation, csv_list, xlsx_list

POLICY = Policy(delay_seconds=0, jitter_seconds=0)
TERMS = b"Terms of delivery\nWe deliver on weekdays.\nCall us for prices.\n"


def source(location: str = "acme.csv", **fields) -> Source:
    declared = {"key": "acme", "platform": "price-list", "location": location} | fields
    return Source.read(declared, "test")


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def skus(place: Installation, key: str = "acme") -> dict[str, bool]:
    """SKU → whether it is listed."""
    return {
        row["sku"]: row["gone_at"] is None
        for row in place.rows("supplier_items")
        if row["source"] == key
    }


# Reading


@pytest.mark.parametrize("body", [csv_list(), xlsx_list(ACME)], ids=["csv", "xlsx"])
def test_a_list_is_read_by_itself(body):
    read = read_list(source(), body, "acme.csv")
    first = read.items[0]
    assert (first.sku, first.name, str(first.price), first.currency) == (
        "A-1",
        "Kenya Embu Mwangaza AB",
        "10.40" if body[:2] != b"PK" else "10.4",
        "EUR",
    )
    assert (first.row, first.brand, first.size_g, first.pack_count) == (4, "Berg Kaffe", 250.0, 6)
    assert len(read.items) == 4


def test_a_declaration_overrules_the_reader():
    swapped = ("Description", "Art. no.", *HEADER[2:])
    body = csv_list(header=swapped)
    with pytest.raises(BrokenContract, match="column_mapping"):
        read_list(source(), body, "acme.csv")
    mapped = source(column_mapping={"sku": "Description", "name": "Art. no."})
    first = read_list(mapped, body, "acme.csv").items[0]
    assert (first.sku, first.name) == ("A-1", "Kenya Embu Mwangaza AB")


@pytest.mark.parametrize(("delimiter", "sign"), [("tab", "\t"), (";", ";"), ("=", "=")])
def test_a_declared_character_set_and_delimiter_are_obeyed(delimiter, sign):
    body = sign.join(["SKU", "Name", "Price"]) + "\n" + sign.join(["A-1", "ชาเขียว", "9.50"])
    declared = source(encoding="cp874", delimiter=delimiter)
    assert read_list(declared, body.encode("cp874"), "acme.csv").items[0].name == "ชาเขียว"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"encoding": "klingon"}, "no character set, such as"),
        ({"encoding": "base64"}, "no character set, such as"),
        ({"delimiter": "||"}, "not one sign, nor one of tab"),
    ],
)
def test_no_other_character_set_or_delimiter_can_be_declared(fields, said):
    with pytest.raises(BadConfig, match=said):
        source(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"column_mapping": {"colour": "A"}}, "no field 'colour'"),
        ({"sheet_name": "Nowhere"}, "Nowhere"),
    ],
)
def test_what_is_declared_and_not_there_is_told(fields, said):
    with pytest.raises(BadConfig, match=said):
        read_list(source(**fields), xlsx_list(ACME), "acme.xlsx")


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "is empty"), (TERMS, "no item found"), (b"\0\0 \n", "is empty")],
)
def test_what_holds_no_item_is_no_price_list(body, said):
    with pytest.raises(BrokenContract, match=said):
        read_list(source(), body, "acme.csv")


def test_a_landed_page_says_how_many_items_it_holds():
    page = list_page(source(), csv_list(), "https://acme.example/p/list.csv", Validators())
    assert (page.role, page.items, page.body) == (LIST_PAGE, 4, csv_list())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/price%20list.xlsx?v=2", "price list.xlsx"),
        ("file:///lists/2026-09-01.csv", "2026-09-01.csv"),
        ("https://a.example/", "https://a.example/"),
    ],
)
def test_a_list_is_called_as_in_its_address(url, name):
    assert list_name(url) == name


# Files and folders


def test_a_file_lands_once_and_a_newer_version_updates_adds_and_marks_gone(place):
    place.supplier("acme", csv_list())
    assert place.fetch("acme") == "landed"
    assert place.fetch("acme") == "unchanged"
    place.read(Kind.SUPPLIER)
    assert skus(place) == {"A-1": True, "A-2": True, "A-3": True, "A-4": True}
    dearer = (*KENYA[:5], "11,00", None)
    place.supplier("acme", csv_list([dearer, ("A-9", "Rwanda Nyamasheke", *KENYA[2:])]))
    assert place.fetch("acme") == "landed"
    place.read(Kind.SUPPLIER)
    assert skus(place) == {"A-1": True, "A-2": False, "A-3": False, "A-4": False, "A-9": True}
    (kenya,) = (row for row in place.rows("supplier_items") if row["sku"] == "A-1")
    assert (float(kenya["price"]), kenya["changed_at"] > kenya["first_seen_at"]) == (11.0, True)


def test_a_folder_of_dated_lists_is_history_oldest_first(place):
    folder = place.root / "acme"
    folder.mkdir()
    (folder / "2026-08-01.csv").write_bytes(csv_list(ACME[:2]))
    (folder / "2026-09-01.csv").write_bytes(csv_list(ACME[1:3]))
    (folder / "~$2026-09-01.xlsx").write_bytes(b"held open")
    place.declare("acme", "price-list", "acme")
    place.fetch("acme")
    place.read(Kind.SUPPLIER)
    landed = place.home.ledger.snapshots("acme")
    assert [f"{one.captured_at:%Y-%m-%d}" for one in landed] == ["2026-08-01", "2026-09-01"]
    assert skus(place) == {"A-1": False, "A-2": True, "A-3": True}
    (folder / "2026-09-20.csv").write_bytes(csv_list(ACME[2:3]))
    place.fetch("acme")
    place.read(Kind.SUPPLIER)
    assert skus(place) == {"A-1": False, "A-2": False, "A-3": True}


def test_of_undated_lists_in_a_folder_the_newest_counts(place):
    folder = place.root / "acme"
    folder.mkdir()
    for age, (name, rows) in enumerate({"new.csv": ACME[:1], "old.csv": ACME[1:]}.items()):
        (folder / name).write_bytes(csv_list(rows))
        os.utime(folder / name, (1_790_000_000 - age,) * 2)
    place.declare("acme", "price-list", "acme")
    place.fetch("acme")
    place.read(Kind.SUPPLIER)
    assert skus(place) == {"A-1": True}


def test_a_folder_without_lists_is_not_an_empty_list(place):
    (place.root / "acme").mkdir()
    (place.root / "acme" / "readme.md").write_text("later")
    place.declare("acme", "price-list", "acme")
    with pytest.raises(NotFound, match="holds no price list"):
        place.fetch("acme")


def test_a_list_outside_the_watched_roots_is_refused(place):
    place.supplier("acme", csv_list())
    (place.root / "lists").mkdir()
    place.home = dataclasses.replace(place.home, watched=str(place.root / "lists"))
    with pytest.raises(Refused, match="not below an allowed folder"):
        place.fetch("acme")
    assert place.fetch("berg") == "landed", "stores are not bound to these folders"


def test_max_file_size_mb_caps_lists_on_disk_and_on_the_web(place, loopback, monkeypatch):
    store = loopback.store()
    store.route("/acme.csv", Reply(body=csv_list()))
    (place.root / "own.csv").write_bytes(csv_list())
    place.declare("web", "price-list", store.url("/acme.csv"), allow_private=True)
    place.declare("own", "price-list", "own.csv")
    for megabytes in ("0.0001", "60"):
        monkeypatch.setenv("MAX_FILE_SIZE_MB", megabytes)
        place.__dict__.pop("home")
        for key in ("own", "web"):
            if megabytes == "60":
                assert place.home.list_access.max_bytes == 60_000_000
                assert place.fetch(key) == "landed"
            else:
                with pytest.raises(Refused, match=r"than 100\b.*raise MAX_FILE_SIZE_MB"):
                    place.fetch(key)


def test_a_list_that_lost_its_items_fails_and_the_last_good_ones_stay(place):
    place.supplier("acme", csv_list())
    place.fetch("acme")
    place.read(Kind.SUPPLIER)
    place.supplier("acme", TERMS)
    with pytest.raises(BrokenContract, match="no item found"):
        place.fetch("acme")
    place.read(Kind.SUPPLIER)
    assert all(skus(place).values())
    assert len(place.home.ledger.snapshots("acme")) == 1


def test_a_declaration_that_fits_no_list_loses_no_items_and_is_told(place):
    place.supplier("acme", csv_list())
    place.fetch("acme")
    place.read(Kind.SUPPLIER)
    place.declare("acme", "price-list", "acme.csv", column_mapping={"colour": "A"})
    place.read(Kind.SUPPLIER)
    assert len(skus(place)) == 4
    (refused,) = place.rows("quarantine")
    assert (refused["place"], "colour" in refused["reason"]) == ("whole snapshot", True)
    place.declare("acme", "price-list", "acme.csv", column_mapping={"sku": "Art. no."})
    place.read(Kind.SUPPLIER)
    assert (len(skus(place)), place.rows("quarantine")) == (4, [])


# The web


def served(request: Request, body: bytes, tag: str = '"v1"') -> Reply:
    if request.headers.get("if-none-match") == tag:
        return Reply(status=304, headers={"ETag": tag})
    return Reply(body=body, headers={"ETag": tag, "Content-Type": "text/csv"})


def test_a_list_on_the_web_is_asked_for_conditionally(place, loopback: Loopback):
    store = loopback.store()
    store.route("/lists/acme.csv", lambda request: served(request, csv_list()))
    place.declare("acme", "price-list", store.url("/lists/acme.csv"), allow_private=True)
    assert [place.fetch("acme"), place.fetch("acme")] == ["landed", "unchanged"]
    asked = [request.headers.get("if-none-match") for request in store.to("/lists/acme.csv")]
    assert asked == [None, '"v1"']
    place.read(Kind.SUPPLIER)
    assert len(skus(place)) == 4


def test_unchanged_bytes_come_from_what_was_kept(loopback: Loopback):
    store = loopback.store()
    store.route("/acme.csv", lambda request: served(request, csv_list()))
    url = store.url("/acme.csv")
    kept = KnownPage(Validators('"v1"', None), lambda: b"as it was kept")
    counters: Counter[str] = Counter()
    wanted = source(url, allow_private=True)
    (page,) = run(lambda http: fetch_list(wanted, http, POLICY, {url: kept}, counters))
    assert (page.body, page.url, page.validators.etag) == (b"as it was kept", url, '"v1"')
    assert counters["http/not_modified"] == 1


@pytest.mark.parametrize(
    ("reply", "failure", "said"),
    [
        (Reply.text("<html><body>Log in</body></html>", "text/html"), BrokenContract, "without a"),
        (Reply(status=404), NotFound, "404"),
        (Reply(body=TERMS), BrokenContract, "no item found"),
    ],
)
def test_what_the_web_gives_instead_of_a_list_is_a_failure(place, loopback, reply, failure, said):
    store = loopback.store()
    store.route("/acme.csv", reply)
    place.declare("acme", "price-list", store.url("/acme.csv"), allow_private=True)
    with pytest.raises(failure, match=said):
        place.fetch("acme")
    assert place.home.ledger.snapshots("acme") == ()
