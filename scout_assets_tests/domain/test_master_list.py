"""The suppliers' master list: spellings, bad rows, and who may retire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BrokenContract
from scout_assets.domain.master_list import SourceType, key_of, read_master_list
from scout_assets.domain.sources import Platform, Source

HEADER = ("name", "source_type", "source_url", "active", "settings")
NORD = ("Nord Vin", "csv", "https://nord.example/list.csv", "yes", "")


def read(*rows, header=HEADER):
    return read_master_list([header, *rows], "master.csv")


def row(name="Nord Vin", kind="csv", url="lists/nord.csv", active="yes", settings=""):
    return (name, kind, url, active, settings)


def known(*rows):
    return {item.source.key: item.source for item in read(*rows).suppliers}


def reasons(listing):
    return [(bad.row, bad.key, bad.reason) for bad in listing.bad_rows]


def test_a_row_declares_a_supplier():
    listing = read(NORD)
    (listed,) = listing.suppliers
    assert listed.row == 2
    assert listed.source_type is SourceType.CSV
    assert listed.source == Source(
        key="nord-vin",
        kind=Kind.SUPPLIER,
        platform=Platform.PRICE_LIST,
        name="Nord Vin",
        location="https://nord.example/list.csv",
    )
    assert listing.counters == {"master/listed": 1}


@pytest.mark.parametrize(
    "header",
    [
        ("Supplier Name", "Source Type", "SOURCE-URL", "Active?", "Config"),
        ("Lieferant", "Typ", "Link", "aktiv", "Settings"),
        ("\xa0name ", "type", "Url", "is_active", "options"),
    ],
)
def test_the_header_is_read_in_many_spellings(header):
    assert read(NORD, header=header).suppliers == read(NORD).suppliers


def test_a_column_of_the_exact_name_goes_before_other_spellings():
    header = ("Vendor", "Link", "name", "source_url")
    listing = read_master_list([header, ("17", "note", "Nord", "l.csv")], "m")
    assert listing.suppliers[0].source.key == "nord"
    assert listing.suppliers[0].source.location == "l.csv"
    assert reasons(listing) == []


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("google_sheets", SourceType.GOOGLE_SHEETS),
        ("Google Sheet", SourceType.GOOGLE_SHEETS),
        ("TSV", SourceType.CSV),
        ("xlsx", SourceType.EXCEL),
        (".ods", SourceType.EXCEL),
        ("PDF", SourceType.PDF),
        ("", None),
        (None, None),
    ],
)
def test_source_types_are_read_in_many_spellings(kind, found):
    assert read(row(kind=kind)).suppliers[0].source_type is found


@pytest.mark.parametrize("word", ["yes", "Ja", 1, 1.0, True, "TRUE", "x", "", None, "oui"])
def test_active(word):
    assert len(read(row(active=word)).suppliers) == 1


@pytest.mark.parametrize("word", ["no", "NEIN", 0, 0.0, False, "false", "-"])
def test_an_inactive_row_retires_whatever_else_it_says(word):
    listing = read(row(active=word, url="", kind="?", settings="{"), row("Other"))
    assert listing.inactive == ("nord-vin",)
    assert listing.kept == ()
    assert [source.key for source in listing.declared({})] == ["other"]


@pytest.mark.parametrize(
    "settings",
    [
        '{"sheet_name": "Wine", "use_ml_processing": true, "column_mapping": {"price": "Trade"}}',
        "sheet_name = Wine; use_ml_processing=yes; column_mapping.price=Trade",
        "sheet_name=Wine\nuse_ml_processing=1\n\ncolumn_mapping.price = Trade;",
    ],
)
def test_settings_in_both_forms(settings):
    source = read(row(settings=settings)).suppliers[0].source
    assert source.sheet_name == "Wine"
    assert source.use_ml_processing is True
    assert source.column_mapping == {"price": "Trade"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "ftp"}, "source_type 'ftp' is unknown; write one of google_sheets, csv"),
        ({"url": " "}, "source_url is missing"),
        ({"active": "perhaps"}, "active is 'perhaps'; write yes or no"),
        ({"settings": "{sheet"}, "settings are not JSON"),
        ({"settings": "sheet_name"}, "'sheet_name' is not key=value"),
        ({"settings": "colour=red"}, "there is no 'colour'; known: "),
        ({"settings": "location=x"}, "write 'location' into the column source_url"),
        ({"settings": "kind=roaster"}, "'kind' follows from the list"),
        ({"settings": "sheet_name=a; sheet_name=b"}, "'sheet_name' is set twice"),
        ({"settings": "sheet_name=a; sheet_name.b=b"}, "'sheet_name.b' is set twice"),
        ({"settings": "full_cadence=often"}, "row 2: source 'nord-vin', field 'full_cadence'"),
    ],
)
def test_a_bad_row_is_told_and_kept_and_the_rest_goes_on(fields, said):
    listing = read(row(**fields), row("Other"))
    ((number, key, reason),) = reasons(listing)
    assert (number, key) == (2, "nord-vin")
    assert said in reason
    assert [item.source.key for item in listing.suppliers] == ["other"]
    assert listing.kept == ("nord-vin",)
    assert listing.counters == {"master/listed": 1, "master/bad_rows": 1}
    assert listing.bad_rows[0].content[0] == "Nord Vin"


def test_a_bad_row_never_retires_its_supplier():
    before = {
        item.source.key: item.source for item in read(NORD, row("Other"), row("Gone")).suppliers
    }
    declared = read(row(kind="ftp"), row("Other", url="new.csv")).declared(before)
    assert {source.key: source.location for source in declared} == {
        "nord-vin": before["nord-vin"].location,
        "other": "new.csv",
    }


def test_a_row_that_names_nobody_keeps_all_who_are_missing():
    before = {
        item.source.key: item.source for item in read(NORD, row("Other"), row("Off")).suppliers
    }
    listing = read(row("", url="new.csv"), row("Other"), row("Off", active="no"))
    assert not listing.whole
    assert {source.key for source in listing.declared(before)} == {"nord-vin", "other"}


def test_two_names_of_one_key_are_both_told():
    listing = read(row("Müller"), row("Other"), row("MULLER", active="no"))
    told = "'Müller' in row 2 and 'MULLER' in row 4 have one key, 'muller'"
    assert [(number, key) for number, key, _ in reasons(listing)] == [(2, "muller"), (4, "muller")]
    assert all(told in reason for _, _, reason in reasons(listing))
    assert listing.kept == ("muller",)
    assert listing.inactive == ()


def test_blank_rows_and_columns_of_others_are_passed_over():
    grid = [
        [],
        [None, ""],
        ["Note", *HEADER],
        ["", None, float("nan"), " "],
        ["only a remark"],
        ["", *NORD],
        ["short", "Kurz AG", "csv", "k.csv"],
    ]
    listing = read_master_list(grid, "m")
    assert [(item.row, item.source.key) for item in listing.suppliers] == [
        (6, "nord-vin"),
        (7, "kurz-ag"),
    ]
    assert listing.bad_rows == ()


def test_a_name_that_is_a_number_is_a_name():
    assert read(row(2020.0)).suppliers[0].source.key == "2020"


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([], "is empty"),
        ([["", None]], "is empty"),
        ([HEADER], "lists no supplier below its header"),
        ([HEADER, ["", "", ""]], "lists no supplier"),
        ([["who", "source_url"], ["Nord", "n.csv"]], "no column 'name' in the header"),
        ([["name", "where"], ["Nord", "n.csv"]], "no column 'source_url'"),
        ([["<!doctype html>"], ["<html>"]], "no column 'name'"),
        ([["Supplier", "Vendor", "url"], ["a", "b", "c"]], "'Supplier' and 'Vendor' both mean"),
    ],
)
def test_what_cannot_be_the_list_is_a_failure_never_an_empty_list(grid, said):
    with pytest.raises(BrokenContract, match=said):
        read_master_list(grid, "master.csv")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Weingut Müller & Söhne", "weingut-muller-sohne"),
        ("  Café-Rösterei №1 ", "cafe-rosterei-no1"),
        ("Виномаркет", "vinomarket"),
        ("CAVE_DU NORD", "cave-du-nord"),
    ],
)
def test_keys_are_slugs(name, key):
    assert key_of(name) == key


@given(st.text(max_size=90))
def test_a_key_is_stable_and_fits_its_field(name):
    key = key_of(name)
    assert key == "" or Source.model_validate(
        {"key": key, "platform": "price-list", "kind": "supplier", "location": "x"}
    )
    assert key_of(key) == key
    assert key_of(f" {name} ") == key
