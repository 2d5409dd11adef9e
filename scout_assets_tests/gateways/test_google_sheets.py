"""Google Sheets: their addresses and exports, and private ones through a service account."""

import builtins
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    Transient,
)
from scout_assets.gateways.google_sheets import (
    SheetAddress,
    export_url,
    fetch_public,
    fetch_sheet,
    fetch_with_service_account,
    sheet_address,
)
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import Page, Validators
from scout_assets.gateways.supplier_list import sync_suppliers
from scout_assets_tests.gateways.http.fetching import policy, run
from scout_assets_tests.loopback import Loopback, Reply, Request, Store
from scout_assets_tests.supplies import ACME, START, Installation, xlsx_list

ID = "1aB_cD-eFgHiJkLmNoPqRsTuVwXyZ"
SHEET = SheetAddress(ID)
EXPORT = f"/spreadsheets/d/{ID}/export"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WORKBOOK = Reply(body=b"PK\x03\x04 a workbook", headers={"Content-Type": XLSX, "ETag": '"1"'})
LOGIN = Reply.text("<html><title>Sign in - Google Accounts</title>", "text/html; charset=utf-8")
QUICK = policy(deadline_seconds=5.0, attempts=2)


@pytest.fixture
def google(loopback: Loopback) -> Store:
    return loopback.store()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"https://docs.google.com/spreadsheets/d/{ID}/edit#gid=12", SheetAddress(ID, "12")),
        (f"https://docs.google.com/spreadsheets/d/{ID}/edit?gid=0#gid=0", SheetAddress(ID, "0")),
        (f" https://docs.google.com/spreadsheets/d/{ID}?usp=sharing ", SheetAddress(ID)),
        (f"http://docs.google.com/spreadsheets/u/1/d/{ID}/htmlview", SheetAddress(ID)),
        (f"https://docs.google.com/a/nord.example/spreadsheets/d/{ID}/", SheetAddress(ID)),
        (
            f"https://docs.google.com/spreadsheets/d/e/2PACX-{ID}/pubhtml?gid=7&single=true",
            SheetAddress(f"2PACX-{ID}", "7", published=True),
        ),
        (f"https://docs.google.com:444/spreadsheets/d/{ID}", None),
        (f"https://docs.google.com.evil.example/spreadsheets/d/{ID}/edit", None),
        (f"https://evil.example/docs.google.com/spreadsheets/d/{ID}", None),
        (f"https://docs.google.com@evil.example/spreadsheets/d/{ID}", None),
        (f"https://docs.google.com/document/d/{ID}/edit", None),
        (f"https://docs.google.com/spreadsheets/d/{ID}%2F..%2Fx", None),
        ("https://docs.google.com/spreadsheets/d/short/edit", None),
        (f"ftp://docs.google.com/spreadsheets/d/{ID}", None),
        ("https://[broken/spreadsheets/d/x", None),
        ("lists/nord.csv", None),
        ("", None),
    ],
)
def test_addresses_of_sheets_are_recognised(url, address):
    assert sheet_address(url) == address


@pytest.mark.parametrize(
    ("address", "form", "path"),
    [
        (SheetAddress(ID, "12"), "xlsx", f"d/{ID}/export?format=xlsx"),
        (SheetAddress(ID, "12"), "csv", f"d/{ID}/export?format=csv&gid=12"),
        (SheetAddress(ID), "csv", f"d/{ID}/export?format=csv"),
        (SheetAddress("2P-abc", "7", True), "xlsx", "d/e/2P-abc/pub?output=xlsx"),
        (SheetAddress("2P-abc", "7", True), "csv", "d/e/2P-abc/pub?output=csv&gid=7&single=true"),
    ],
)
def test_exports(address, form, path):
    assert export_url(address, form) == f"https://docs.google.com/spreadsheets/{path}"


def test_an_address_of_another_base_is_recognised_there_only(google):
    url = google.url(f"/spreadsheets/d/{ID}/edit")
    assert sheet_address(url) is None
    assert sheet_address(url, google.url("")) == SHEET


async def _home(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetch(google: Store, counters: Counter[str] | None = None, **options: object) -> Page:
    tally = Counter() if counters is None else counters
    return run(
        lambda http: fetch_public(SHEET, http, QUICK, tally, base=google.url(""), **options),
        resolve=_home,
    )


def test_a_public_sheet_comes_as_a_workbook_over_googles_redirect(google, loopback):
    contents = loopback.store()
    contents.route("/export/x", WORKBOOK)
    moved = contents.url("/export/x", host="doc-0s-sheets.googleusercontent.com")
    google.route(EXPORT, Reply(status=307, headers={"Location": moved}))
    google.robots("User-agent: *\nDisallow: /")  # for crawlers; this document was named
    page = fetch(google)
    assert page.body == WORKBOOK.body
    assert page.validators.etag == '"1"'
    assert google.paths == [EXPORT]
    assert google.requests[0].query == {"format": "xlsx"}


def test_a_sheet_that_did_not_change_is_not_sent_again(google):
    google.route(EXPORT, Reply(status=304))
    assert fetch(google, validators=Validators('"1"')).not_modified


def test_one_tab_as_csv(google):
    google.route(EXPORT, Reply.text("name;price\n", "text/csv"))
    assert fetch(google, form="csv").body == b"name;price\n"


@pytest.mark.parametrize("how", ["html", "login", "401", "403"])
def test_a_private_sheet_is_told_with_its_mend(google, how):
    sign_in = google.url("/v3/signin/identifier", host="accounts.google.com")
    google.route("/v3/signin/identifier", LOGIN)
    answers = {
        "html": LOGIN,
        "login": Reply(status=302, headers={"Location": sign_in}),
        "401": Reply(status=401),
        "403": Reply(status=403),
    }
    google.route(EXPORT, answers[how])
    counters: Counter[str] = Counter()
    with pytest.raises(Refused, match=r"anyone with the link.*SCOUT_GOOGLE_SERVICE_ACCOUNT"):
        fetch(google, counters)
    assert counters["sheets/private"] == 1


@pytest.mark.parametrize(
    ("reply", "failure", "said"),
    [
        (Reply(status=404), NotFound, f"there is no Google sheet {ID}"),
        (Reply(status=400), Permanent, "answered 400"),
        (Reply(status=500), Transient, "answered 500"),
        (Reply(body=b"not a zip", headers={"Content-Type": XLSX}), BrokenContract, "without being"),
        (Reply(body=b"", headers={"Content-Type": XLSX}), BrokenContract, "without being xlsx"),
    ],
)
def test_other_troubles_keep_their_meaning(google, reply, failure, said):
    google.route(EXPORT, reply)
    with pytest.raises(failure, match=said) as told:
        fetch(google)
    assert not isinstance(told.value, Refused)


def test_a_page_in_place_of_csv_is_refused(google):
    google.route(EXPORT, Reply.text("\n<!doctype html>", "text/csv"))
    with pytest.raises(BrokenContract, match="without being csv"):
        fetch(google, form="csv")


# Through a service account


def test_without_the_extra_the_mend_is_told(monkeypatch, tmp_path):
    real = builtins.__import__

    def without_gspread(name: str, *rest: object) -> object:
        if name.partition(".")[0] == "gspread":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_gspread)
    with pytest.raises(BadConfig, match=r"pip install scout-assets\[gspread\]"):
        fetch_with_service_account(SHEET, tmp_path / "key.json", Counter())


@pytest.fixture
def key_file(tmp_path: Path, google: Store) -> Path:
    """A key as Google gives it, of an account that only the loopback server knows."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = {
        "type": "service_account",
        "client_email": "reader@nord.example",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "token_uri": google.url("/token"),
    }
    google.route(
        "/token",
        Reply.json({"access_token": "t0k", "expires_in": 3600, "token_type": "Bearer"}),
    )
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    return path


def test_a_shared_sheet_comes_through_the_service_account(google, key_file):
    google.route(EXPORT, WORKBOOK)
    counters: Counter[str] = Counter()
    body = fetch_with_service_account(SHEET, key_file, counters, base=google.url(""))
    assert body == WORKBOOK.body
    assert google.to(EXPORT)[0].headers["authorization"] == "Bearer t0k"
    assert counters == {"sheets/by_service_account": 1, "http/bytes": len(body)}


@pytest.mark.parametrize(
    ("reply", "failure", "said"),
    [
        (Reply(status=403), Refused, "is not shared with reader@nord.example"),
        (LOGIN, Refused, "is not shared with reader@nord.example"),
        (Reply(status=404), NotFound, "there is no Google sheet"),
        (Reply(status=503), Transient, "answered 503"),
        (Reply(status=400), Permanent, "answered 400"),
        (Reply(hang_up=True), Transient, "was not read"),
        (Reply(body=b"P", repeat=2000), Refused, "larger than 1,000 bytes.*MAX_FILE_SIZE_MB"),
        (Reply(body=b"not a zip"), BrokenContract, "without being xlsx"),
    ],
)
def test_troubles_with_the_service_account_are_told(google, key_file, reply, failure, said):
    google.route(EXPORT, reply)
    with pytest.raises(failure, match=said):
        fetch_with_service_account(SHEET, key_file, Counter(), base=google.url(""), max_bytes=1000)


def test_an_account_that_google_does_not_know_is_told(google, key_file):
    google.route("/token", Reply.json({"error": "invalid_grant"}, status=400))
    with pytest.raises(BadConfig, match=r"does not accept the service account of .*key\.json"):
        fetch_with_service_account(SHEET, key_file, Counter(), base=google.url(""))


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"type": "service_account"}'])
def test_a_key_file_that_is_none_is_told(google, key_file, content):
    key_file.unlink() if content is None else key_file.write_text(content)
    with pytest.raises(BadConfig, match=r"key\.json is no key file .*SCOUT_GOOGLE_SERVICE_ACCOUNT"):
        fetch_with_service_account(SHEET, key_file, Counter(), base=google.url(""))


# Public if it can be, through the account if it must


def served(request: Request, body: bytes) -> Reply:
    """A private sheet: the login page, but for who brings the account's token."""
    known = request.headers.get("authorization") == "Bearer t0k"
    return Reply(body=body, headers={"Content-Type": XLSX}) if known else LOGIN


def asked(google: Store, key_file: Path | None, counters: Counter[str]) -> Page:
    return run(
        lambda http: fetch_sheet(
            SHEET, http, QUICK, counters, key_file=key_file, base=google.url("")
        )
    )


def test_a_private_sheet_comes_through_the_account_where_one_is_set(google, key_file):
    google.route(EXPORT, lambda request: served(request, WORKBOOK.body))
    counters: Counter[str] = Counter()
    assert asked(google, key_file, counters).body == WORKBOOK.body
    assert (counters["sheets/private"], counters["sheets/by_service_account"]) == (1, 1)
    with pytest.raises(Refused, match="set SCOUT_GOOGLE_SERVICE_ACCOUNT"):
        asked(google, None, counters)


def test_a_public_sheet_needs_no_account(google, tmp_path):
    google.route(EXPORT, WORKBOOK)
    counters: Counter[str] = Counter()
    assert asked(google, tmp_path / "no key.json", counters).body == WORKBOOK.body
    assert counters["sheets/by_service_account"] == 0


def test_the_key_file_is_named_by_the_environment(tmp_path):
    named = Home.locate({"SCOUT_GOOGLE_SERVICE_ACCOUNT": str(tmp_path / "key.json")})
    assert named.list_access.google_key == tmp_path / "key.json"
    assert Home.locate({"SCOUT_GOOGLE_SERVICE_ACCOUNT": " "}).list_access.google_key is None


@pytest.fixture
def place(tmp_path: Path, google: Store, key_file: Path) -> Installation:
    """An installation with the account, for which the loopback server is Google."""
    place = Installation(tmp_path)
    place.home = dataclasses.replace(
        place.home,
        google_key=key_file,
        google=google.url(""),
        master_list=google.url(f"/spreadsheets/d/{ID}/edit"),
        master_list_private=True,
    )
    return place


def test_a_supplier_s_list_is_a_private_sheet(place, google):
    body = xlsx_list(ACME)  # once: a workbook holds when it was made
    google.route(EXPORT, lambda request: served(request, body))
    place.declare("acme", "price-list", place.home.master_list, allow_private=True)
    assert [place.fetch("acme"), place.fetch("acme")] == ["landed", "unchanged"]
    place.read()
    assert len(place.rows("supplier_items")) == len(ACME)


def test_the_master_list_is_a_private_sheet(place, google):
    body = workbook(["name", "source_url"], ["Acme", "https://acme.example/list.csv"])
    google.route(EXPORT, lambda request: served(request, body))
    synced = sync_suppliers(place.home, START)
    assert synced is not None
    assert [source.key for source in synced.plan.added] == ["acme"]
    assert synced.counters["sheets/by_service_account"] == 1


def workbook(*rows: Sequence[str]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
