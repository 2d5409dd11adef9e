"""`scout` over suppliers: price lists, matches, reviews, calibration, quarantine."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from scout_assets.domain.review import Verdict
from scout_assets.gateways.decisions import Judged
from scout_assets_tests.supplies import (
    ACME,
    CUPS,
    KENYA,
    OTHER_SIZE,
    Installation,
    csv_list,
    xlsx_list,
)
from scout_assets_tests.test_cli import scout, told

NORDLYS = ("A-5", "Nordlys blend", None, "250 g", 6, "8,10", None)
UNNAMED = ("A-8", "", "Berg Kaffe", "250 g", 6, "9,10", None)
LIST = [KENYA, OTHER_SIZE, CUPS, NORDLYS, UNNAMED]
WAITING = ("acme/A-5", "acme/A-3")
"""The surest first."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Installation:
    first = Installation(tmp_path_factory.mktemp("begun"), datetime.now(UTC))
    first.supplier("acme", csv_list(LIST))
    first.run()
    return first


@pytest.fixture
def place(begun, tmp_path, monkeypatch) -> Installation:
    """A supplier's list, matched: two items wait for a person."""
    here = begun.copied(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCOUT_SOURCES", str(tmp_path / "sources.yaml"))
    for name in ("SCOUT_ARTIFACTS", "SCOUT_ACTOR", "SCOUT_RATES"):
        monkeypatch.delenv(name, raising=False)
    return here


def done(*words: str) -> str:
    result = scout(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str) -> str:
    result: Result = scout(*words)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


# scout try price-list

ITEM = {"sheet", "row", "sku", "gtin", "brand", "name", "price", "price_basis",
        "price_alternatives", "currency", "vintage", "size_ml", "pack_count", "quantity",
        "section", "hidden"}  # fmt: skip


def test_try_shows_what_a_price_list_would_give_and_stores_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCOUT_HOME", raising=False)
    (tmp_path / "zeta.xlsx").write_bytes(xlsx_list([*ACME, UNNAMED]))
    seen = told("try", "price-list", "zeta.xlsx", "--format", "json")
    assert {"kind", "source", "items", "sheets", "quarantine", "counters"} <= seen.keys()
    first = seen["items"][0]
    assert first.keys() >= ITEM
    assert (first["sheet"], first["row"], first["sku"]) == ("Prices", 4, "A-1")
    assert (first["price"], first["price_basis"], first["currency"]) == ("10.40", "unit", "EUR")
    assert (first["section"], first["hidden"], first["pack_count"]) == ([], False, 6)
    (sheet,) = seen["sheets"]
    assert (sheet["name"], sheet["role"], sheet["header_rows"]) == ("Prices", "items", [3])
    assert sheet["columns"]["sku"]["letter"] == "A"
    (bad,) = seen["quarantine"]
    assert (bad["sheet"], bad["row"]) == ("Prices", 8)
    assert not (tmp_path / ".scout").exists()
    shown = done("try", "price-list", "zeta.xlsx")
    for expected in ("Art. no.", "Kenya Embu Mwangaza AB", "Quarantine", "items/read"):
        assert expected in shown


def test_try_takes_what_a_declaration_would_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = csv_list().replace(b"prices in EUR", b"prices per piece")
    (tmp_path / "acme.csv").write_bytes(plain)
    words = ("try", "price-list", "acme.csv", "--format", "json", "--currency", "NOK")
    assert {item["currency"] for item in told(*words)["items"]} == {"NOK"}
    named = told(*words, "--column", "name=Brand")["items"]
    assert named[0]["name"] == "Berg Kaffe"
    assert "expected field=header" in refused(*words, "--column", "name")
    assert "no field 'colour'" in refused(*words, "--column", "colour=B")
    (tmp_path / "empty.csv").write_bytes(b"")
    assert "is empty" in refused("try", "price-list", "empty.csv")


# scout match

CATALOGUE = """id,name,brand,size,price,currency
p1,Kenya Embu Mwangaza AB,Berg Kaffe,250 g,12.50,EUR
p2,Nordlys Espresso Blend,Berg Kaffe,250 g,9.00,EUR
"""
ITEMS = """id,name,brand,size,price,currency
i1,Kenya Embu Mwangaza AB 250g,Berg Kaffe,250 g,10.40,EUR
i2,"=HYPERLINK(""x"") cups",,,3.15,EUR
"""


def test_match_gives_every_item_of_a_file_a_decision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("match", "--items", written(tmp_path / "a.csv", ITEMS),
             "--catalogue", written(tmp_path / "b.csv", CATALOGUE), "--out", "out.csv")  # fmt: skip
    assert "2 items: 1 link, 1 new" in done(*words)
    first, second = rows(tmp_path / "out.csv")
    assert list(first) == ["item_id", "product_id", "score", "decision", "reason", "candidates"]
    assert (first["item_id"], first["product_id"], first["decision"]) == ("i1", "p1", "link")
    assert first["candidates"].split()[0] == f"p1:{float(first['score']):g}"
    assert (second["product_id"], second["decision"]) == ("", "new")
    done(*words, "--explain")
    parts = json.loads(rows(tmp_path / "out.csv")[0]["evidence"])
    assert parts["bias"] < 0 < max(parts.values())
    assert not (tmp_path / ".scout").exists()


@pytest.mark.parametrize(
    ("items", "said"),
    [(None, "there is no file"), ("name\nx\n", "no column 'id'"), ("id,name\n1,a\n1,b\n", "1")],
)
def test_match_explains_what_is_wrong_with_a_file(tmp_path, items, said):
    path = tmp_path / "a.csv"
    if items is not None:
        written(path, items)
    catalogue = written(tmp_path / "b.csv", CATALOGUE)
    assert said in refused(
        "match", "--items", str(path), "--catalogue", catalogue, "--out", str(tmp_path / "o.csv")
    )


# scout explain


def test_explain_prints_the_evidence_and_its_sum(place):
    shown = done("explain", "acme/A-1")
    for expected in ("acme/A-1 → berg/11: auto_matched", "where every pair starts", "+"):
        assert expected in shown
    found = told("explain", "acme/A-3", "--json")
    assert (found["product_id"], found["reason"]) == ("berg/31", "veto: size")
    assert sum(p["contribution"] for p in found["evidence"]) == pytest.approx(
        found["linear"], abs=1e-3
    )
    assert found["candidates"][0]["product_id"] == "berg/31"
    assert "draft/" in done("explain", "acme/A-4")
    assert "no match of item 'acme/none'" in refused("explain", "acme/none")


# scout review


def test_review_shows_what_waits_and_hides_the_score_when_asked(place):
    listed = told("review", "list", "--json")
    assert tuple(row["item_id"] for row in listed) == WAITING
    assert "score" not in told("review", "list", "--json", "--blind")[0]
    assert "2 matches wait" in done("review", "list")
    best = listed[0]
    shown = done("review", "next")
    for expected in ("Nordlys blend", "Nordlys Espresso Blend", f"{best['score']:g}", "points"):
        assert expected in shown
    for words in (("review", "next", "--blind"), ("review", "show", WAITING[0], "--blind")):
        blind = done(*words)
        assert "Nordlys Espresso Blend" in blind
        assert f"{best['score']:g}" not in blind
        assert "points" not in blind
    assert "veto: size" in done("review", "show", "acme/A-3")
    assert "no match of item 'x'" in refused("review", "show", "x")


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("accept", "verified_match"), ("reject", "rejected"), ("defer", "potential_match")],
)
def test_a_verdict_counts_with_the_next_matching_and_can_be_undone(place, verdict, status):
    said = done("review", verdict, "acme/A-3", "--by", "ana")
    assert f"{verdict} acme/A-3 → berg/31 by ana" in said
    place.match()
    assert place.matches()["acme/A-3"]["status"] == status
    assert f"took back: {verdict}" in done("review", "undo", "acme/A-3", "--by", "bo")
    place.match()
    assert place.matches()["acme/A-3"]["status"] == "potential_match"
    (made,) = place.home.decisions.all()
    assert (made.actor, made.undone_by, made.score) == ("ana", "bo", 94.0)
    assert "nothing is decided" in refused("review", "undo", "acme/A-3", "--by", "bo")


def test_a_verdict_needs_a_name_from_the_command_or_the_environment(place, monkeypatch):
    for words in (("accept", "acme/A-3"), ("undo", "acme/A-3")):
        assert "SCOUT_ACTOR" in refused("review", *words)
    assert place.home.decisions.all() == ()
    monkeypatch.setenv("SCOUT_ACTOR", "cy")
    done("review", "accept", "acme/A-3")
    assert [made.actor for made in place.home.decisions.all()] == ["cy"]


def test_another_product_may_be_named_if_it_is_there(place):
    done("review", "accept", "acme/A-4", "--product", "berg/41", "--by", "ana")
    place.match()
    assert place.matches()["acme/A-4"]["product_id"] == "berg/41"
    assert "there is no product 'berg/99'" in refused(
        "review", "accept", "acme/A-3", "--product", "berg/99", "--by", "ana"
    )


def test_without_a_proposal_a_product_has_to_be_named(place):
    assert "no product is proposed" in refused("review", "accept", "acme/A-4", "--by", "ana")


def test_what_waits_goes_out_as_csv_and_the_verdicts_come_back(place):
    path = place.root / "review.csv"
    assert "2 matches written" in done("review", "export", str(path))
    out = rows(path)
    assert tuple(row["item_id"] for row in out) == WAITING
    out[0] |= {"verdict": "accept", "by": "bo"}
    out[1] |= {"verdict": " Reject "}
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(out[0]))
        writer.writeheader()
        writer.writerows(out)
    assert "2 decisions taken" in done("review", "import", str(path), "--by", "ana")
    made = {one.item_id: (one.verdict, one.actor) for one in place.home.decisions.all()}
    assert made == {WAITING[0]: (Verdict.ACCEPT, "bo"), WAITING[1]: (Verdict.REJECT, "ana")}
    assert "0 decisions taken, 2 stood already" in done(
        "review", "import", str(path), "--by", "ana"
    )
    assert len(place.home.decisions.all()) == 2
    assert "score" not in rows(path_of_blind_export(place))[0]


def path_of_blind_export(place: Installation) -> Path:
    place.home.decisions.undo(WAITING[0], "ana", place.now)
    path = place.root / "blind.csv"
    done("review", "export", str(path), "--blind")
    return path


def test_bad_rows_of_an_import_are_told_and_the_rest_is_taken(place):
    text = (
        "item_id,verdict,product_id,by\n"
        "acme/A-3,accept,,ana\n"
        "acme/A-5,,,\n"
        "acme/A-5,maybe,,ana\n"
        "acme/none,accept,,ana\n"
        "acme/A-5,accept,,\n"
        "acme/A-5,accept,berg/99,ana\n"
        "acme/A-4,accept,,ana\n"
    )
    result = scout("review", "import", written(place.root / "in.csv", text))
    assert result.exit_code == 1
    assert "1 decisions taken" in result.stdout
    told_of = " ".join(result.stderr.split())
    for line, said in (
        (4, "'maybe' is no verdict"),
        (5, "no match of item 'acme/none'"),
        (6, "needs a name"),
        (7, "no product 'berg/99'"),
        (8, "no product is proposed"),
    ):
        assert f"line {line}:" in told_of
        assert said in told_of
    assert [one.item_id for one in place.home.decisions.all()] == ["acme/A-3"]
    missing = written(place.root / "other.csv", "item,verdict\nx,accept\n")
    assert "no column item_id" in refused("review", "import", missing)


# scout calibrate


def decided(place: Installation, count: int) -> None:
    """People found everything below a linear score of 4.5 wrong, of `count` pairs."""
    for number in range(count):
        linear = 10.0 * number / count - 2
        judged = Judged("acme", f"acme/old-{number}", "berg/11", 80.0, {"linear": linear})
        verdict = Verdict.ACCEPT if linear > 4.5 else Verdict.REJECT
        place.home.decisions.add(judged, verdict, "ana", place.now)


def test_few_decisions_calibrate_nothing(place):
    decided(place, 12)
    assert "12 decisions are too few to calibrate: at least 50" in refused(
        "calibrate", "--by", "ana"
    )
    assert place.home.decisions.calibration().decisions == 0


def test_decisions_calibrate_the_next_matching(place):
    decided(place, 60)
    place.match()
    score = place.matches()["acme/A-5"]["score"]
    assert score > 90
    picture = place.root / "reliability.png"
    shown = done("calibrate", "--dry-run", "--plot", str(picture))
    assert "Reliability before and after" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert place.home.decisions.calibration().decisions == 0, "a dry run changes nothing"
    assert "needs a name" in refused("calibrate")
    assert "cannot write" in refused("calibrate", "--plot", str(place.root / "no" / "x.png"))
    done("calibrate", "--by", "ana")
    assert place.home.decisions.calibration().decisions == 60
    state = place.home.decisions.state()
    assert "in use already" in done("calibrate", "--by", "ana")
    assert place.home.decisions.state() == state
    place.match()
    assert place.matches()["acme/A-5"]["score"] < score


# scout quarantine


def test_quarantine_shows_rows_and_reads_them_again(place):
    listed = told("quarantine", "list", "--json")
    (bad,) = listed
    assert (bad["number"], bad["source"], bad["place"]) == (1, "acme", "acme, row 8")
    assert "1 rows in quarantine" in done("quarantine", "list", "--source", "acme")
    assert told("quarantine", "list", "--json", "--source", "berg") == []
    assert json.loads(told("quarantine", "show", "1")["row"])
    assert "no row number 7" in refused("quarantine", "show", "7")
    before = place.rows("supplier_items")
    assert "acme: 1 rows in quarantine before, 1 after" in done("quarantine", "replay", "acme")
    assert place.rows("supplier_items") == before
    for words in (("replay", "nobody"), ("list", "--source", "nobody")):
        assert "no source 'nobody'" in refused("quarantine", *words)


# scout summary


def test_summary_counts_suppliers_and_loses_no_row(place):
    found = told("summary", "--json")
    suppliers = found["suppliers"]
    (acme,) = suppliers["per_source"]
    assert acme == {
        "kind": "supplier",
        "source": "acme",
        "items": 4,
        "vanished": 0,
        "linked": 1,
        "to_review": 2,
        "new": 1,
        "quarantined": 1,
    }
    assert acme["items"] == acme["linked"] + acme["to_review"] + acme["new"]
    assert (suppliers["drafts"], suppliers["items"]) == (1, 4)
    assert suppliers["best_prices"] == len(place.rows("best_prices"))
    assert (found["sources"], found["parents"]) == (1, 4)
    shown = done("summary")
    for expected in ("From suppliers", "acme", "1 new products (drafts)"):
        assert expected in shown


# Suppliers' declarations


def test_sync_takes_the_master_list_over_too(place, tmp_path, monkeypatch):
    (tmp_path / "sources.yaml").write_text("sources: []\n")
    (tmp_path / "suppliers.csv").write_text("name,source_url\nBeta,beta.csv\nNo place,\n")
    monkeypatch.setenv("SCOUT_MASTER_LIST", str(tmp_path / "suppliers.csv"))
    result = scout("sources", "sync")
    assert result.exit_code == 0, result.output
    assert "sources.yaml: 0 added" in result.stdout
    assert "2 retired" in result.stdout
    assert "master list: 1 added" in result.stdout
    assert "row 3: source_url is missing" in result.stderr
    monkeypatch.delenv("SCOUT_MASTER_LIST")
    assert "master list" not in done("sources", "sync")
