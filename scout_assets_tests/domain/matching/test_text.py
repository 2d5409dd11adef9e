"""How product text is cut into tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.matching.text import Token, hash_of, tokens
from scout_assets.domain.matching.units import DIMENSIONS, SPELLINGS, TRAITS, UNITS


def base(text: str) -> list[tuple[str, object]]:
    """Class and content of the tokens that stand in the text themselves."""
    return [(t.sort, _content(t)) for t in tokens(text) if t.kind == "base"]


def _content(token: Token) -> object:
    if token.sort == "measure":
        return DIMENSIONS[token.tag], pytest.approx(token.value, rel=1e-4)
    return round(token.value, 5) if token.sort == "number" else token.hash


def word(text: str) -> tuple[str, int]:
    return "word", hash_of(text)


def code(text: str) -> tuple[str, int]:
    return "code", hash_of(text)


def measure(dimension: str, value: float) -> tuple[str, tuple[str, float]]:
    return "measure", (dimension, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Desk Lamp", [word("desk"), word("lamp")]),
        ("Café Crème", [word("cafe"), word("creme")]),
        ("STRASSE straße", [word("strasse"), word("strasse")]),
        ("Noah's lamps", [word("noah"), word("lamp")]),
        ("glass", [word("glass")]),
        ("salt & pepper", [word("salt"), word("and"), word("pepper")]),
        ("blk grey", [word("black"), word("gray")]),
        ("QX-41B", [code("qx41b")]),
        ("QX41B", [code("qx41b")]),
        ("Q.X_41-B", [code("qx41b")]),
        ("studio2019", [word("studio"), ("number", 2019.0)]),
        ("v8.0", [("number", 8.0)]),
        ("6.0 2.4", [("number", 6.0), ("number", 2.4)]),
        ("1,000 2,5", [("number", 1000.0), ("number", 2.0), ("number", 5.0)]),
        ("4006381333931", [code("4006381333931")]),
        ("12-345-67", [code("1234567")]),
    ],
)
def test_words_numbers_and_codes(text: str, expected: list[object]) -> None:
    assert base(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("750ml", [measure("volume", 750)]),
        ("75 cl", [measure("volume", 750)]),
        ("0.75 L", [measure("volume", 750)]),
        ("1.5 litres", [measure("volume", 1500)]),
        ('12"', [measure("length", 304.8)]),
        ("12 in", [measure("length", 304.8)]),
        ("12 inches", [measure("length", 304.8)]),
        ("12-inch", [measure("length", 304.8)]),
        ("12\u2033", [measure("length", 304.8)]),
        ("1 kg", [measure("mass", 1000)]),
        ("2 lbs", [measure("mass", 907.18)]),
        ("500 GB", [measure("storage", 500_000)]),
        ("0.5TB", [measure("storage", 500_000)]),
        ("230V", [measure("voltage", 230)]),
        ("1.2 kW", [measure("power", 1200)]),
        ("6-pack", [measure("pack", 6)]),
        ("pack of 6", [word("pack"), word("of"), measure("pack", 6)]),
        ("case of 6 bottles", [word("case"), word("of"), measure("pack", 6), word("bottle")]),
        ("4 x 250g", [measure("pack", 4), measure("mass", 250)]),
        ("4x250g", [measure("pack", 4), measure("mass", 250)]),
        ("12/750 mL", [measure("pack", 12), measure("volume", 750)]),
        ("750ml x 12", [measure("volume", 750), measure("pack", 12)]),
        ("5m", [measure("length", 5000)]),
        ("5 m", [("number", 5.0), word("m")]),  # a metre stands at its number
    ],
)
def test_measures_come_in_one_form(text: str, expected: list[object]) -> None:
    assert base(text) == expected


def test_the_same_amount_in_any_unit_is_the_same_token() -> None:
    printed = ["1.5 l", "1500ml", "150 cl", "15 dl"]
    assert len({tokens(text)[0].hash for text in printed}) == 1


@pytest.mark.parametrize(
    ("text", "kind", "alias"),
    [
        ("qx 41b", "glue", "qx41b"),
        ("studio 9", "glue", "studio9"),
        ("night-light", "glue", "nightlight"),
        ("MR 32LP/BLK", "glue", "mr32lpblk"),
        ("KL-QX41B", "part", "qx41b"),
        ("QX4100B", "prefix", "qx4100"),
    ],
)
def test_a_code_is_found_in_other_spellings(text: str, kind: str, alias: str) -> None:
    assert hash_of(alias) in {t.hash for t in tokens(text) if t.kind == kind}


def test_the_word_lists_are_folded_and_do_not_chain() -> None:
    for known in (*UNITS, *SPELLINGS, *SPELLINGS.values(), *TRAITS):
        assert known == known.lower()
        assert known.isascii()
    assert not set(SPELLINGS.values()) & SPELLINGS.keys()


@given(st.text(max_size=300))
def test_any_text_can_be_cut(text: str) -> None:
    found = tokens(text)
    assert all(token.first <= token.last < 64 for token in found)
    assert found == tokens(text)
