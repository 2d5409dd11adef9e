"""Money, weights, pack counts and GTINs, as shops print them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.measure import (
    from_minor_units,
    offers_sizes,
    parse_count,
    parse_money,
    parse_weight,
    unit_price_per_100g,
    valid_gtin,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("93,60", "93.60"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1,00,000.00", "100000.00"),
        ("1'234.50", "1234.50"),
        ("1 234,56 €", "1234.56"),
        ("Rs. 1,299.00", "1299.00"),
        ("US$12", "12"),
        ("25,-", "25"),
        ("0.123", "0.123"),
        ("1.234", "1234"),
        ("1,234", "1234"),
        ("700.00", "700.00"),
        ("-5.00", "-5.00"),
    ],
)
def test_the_last_mark_is_decimal_and_groups_are_groups(text: str, amount: str) -> None:
    assert parse_money(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "free", "12-15", "from 3 to 4", "1.2.3,4,5"])
def test_a_text_without_one_amount_is_none(text: str) -> None:
    assert parse_money(text) is None


def test_three_digit_currencies_have_three_decimals() -> None:
    assert parse_money("12.500", "KWD") == Decimal("12.500")
    assert parse_money("12.500", "EUR") == Decimal(12500)


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_both_conventions_round_trip(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    continental = english.translate(str.maketrans(",.", ".,"))
    assert parse_money(english) == parse_money(continental) == amount


@given(st.text() | st.text("0123456789٣.,' -€"))
def test_an_amount_has_every_digit_of_its_text(text: str) -> None:
    amount = parse_money(text)
    if amount is not None:
        read = "".join(map(str, amount.as_tuple().digits))
        assert int(read) == int("".join(filter(str.isdecimal, text)))


@pytest.mark.parametrize(
    ("amount", "exponent", "expected"),
    [("277666", 2, "2776.66"), ("500", 0, "500"), (12500, 3, "12.500"), ("-1", 2, "-0.01")],
)
def test_minor_units(amount: str | int, exponent: int, expected: str) -> None:
    assert from_minor_units(amount, exponent) == Decimal(expected)


@pytest.mark.parametrize(("amount", "exponent"), [("12.5", 2), ("", 2), ("1", -1), (True, 2)])
def test_what_is_no_count_of_minor_units_is_none(amount: str | int, exponent: int) -> None:
    assert from_minor_units(amount, exponent) is None


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        # each of these was read wrong once
        ("250g - Whole Bean", 250),
        ("POUROVER V-60 / 250g", 250),
        ("Pouch / 250 gms", 250),
        ("5 lbs", 2267.96),
        ("1/2 lb", 226.8),
        ("0,25 kg", 250),
        # units and spellings
        ("12oz", 340.19),
        ("10 OZ.", 283.5),
        ("Whole Bean / 2 LBS.", 907.18),
        ("½ lb", 226.8),
        ("1 1/2 lb", 680.39),
        ("Half Pound", 226.8),
        ("Five Pound Bag", 2267.96),
        ("1 Kilo", 1000),
        ("500 Gramm", 500),
        ("250 grammes", 250),
        ("250gr", 250),
        ("1 Pfund", 500),
        ("5#", 2267.96),
        ("\uff11\uff10\uff10\uff47", 100),
        ("200克", 200),
        # grouping and decimals
        ("1.000 g", 1000),
        ("1,000g", 1000),
        ("1 000 g", 1000),
        ("1.5kg", 1500),
        ("0.250 kg", 250),
        # two notations of one weight: the metric one
        ("12oz (340g)", 340),
        ("8.8oz / 250g", 250),
        ("1lb/454g", 454),
        # numbers that are no weight
        ("250g (£12.50/kg)", 250),
        ("3 / 250g", 250),
        ("V60 No. 2 - 250g", 250),
        ("250公克", 250),
        ("半磅", 226.8),
        ("500 \u0433", 500),
        ("1 \u043a\u0433", 1000),
        ("medio kilo", 500),
        ("1 libra (500 g)", 500),
        ("2 lb (0.9 kg)", 907.18),
        ("0-25-kg", 250),
        ("1-5-kg", 1500),
        ("8oz (250g)", 250),
        ("demi-kilo", 500),
    ],
)
def test_weights(text: str, grams: float) -> None:
    assert parse_weight(text).unit_grams == pytest.approx(grams, abs=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "Whole Bean",
        "French Press 600 ml",
        "12 fl oz",
        "16 oz can",
        "Medium",
        "May 03 | 4pm",
        "14 x 14 in.",
        "100% Arabica",
        "per 100g",
        "Large",
        "0g",
    ],
)
def test_texts_without_a_weight(text: str) -> None:
    assert parse_weight(text).grams is None


@pytest.mark.parametrize(
    ("text", "grams", "units"),
    [
        ("4 x 250g", 250, 4),
        ("2x250g", 250, 2),
        ("250 g x 4", 250, 4),
        ("200g x 5", 200, 5),
        ("1 kg (4 x 250g)", 250, 4),
        ("Case of 6 x 12oz", 340.19, 6),
        ("60 g x 5 pouches", 60, 5),
        ("5 boxes of 60g coffee", 60, 5),
        ("Two 12oz bags", 340.19, 2),
        ("(3) 8oz bags", 226.8, 3),
        ("Taster x1 (30gx5)", 30, 5),
        ("drei Kaffees à 200 g", 200, 3),
        ("4oz each of 3 different coffees", 113.4, 3),
        ("10 drip bags, 12g each", 12, 10),
        ("Drip Bags 11g x 8", 11, 8),
        ("12oz (Case of 6)", 340.19, 6),
        # the count after the weight multiplies it, before it shares it
        ("250g (Pack of 2)", 250, 2),
        ("Pack of 3 (750g)", 250, 3),
        # servings: a weight beside them is the total unless it is a serving's
        ("Box of 10 capsules (55g)", 5.5, 10),
        ("10 sachets (15g)", 15, 10),
        ("每包10g\uff0c每盒20包", 10, 20),
        ("12g\u00d78袋", 12, 8),
        ("10g x 20\uac1c\uc785", 10, 20),
        ("5枚入 60g", 12, 5),
    ],
)
def test_weight_of_one_unit_and_number_of_units(text: str, grams: float, units: int) -> None:
    quantity = parse_weight(text)
    assert quantity.unit_grams == pytest.approx(grams, abs=0.01)
    assert quantity.units == units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("10 sachets", 10),
        ("Pack of 3", 3),
        ("Pack of 5 Sachets", 5),
        ("Summer 6-Pack", 6),
        ("Set of four", 4),
        ("Each tin holds 12 paper sachets.", 12),
        ("our three-pack of lots", 3),
        ("3er Pack", 3),
        ("lot de 3", 3),
        ("Twin pack", 2),
        ("72 Count", 72),
        ("10's", 10),
        ("5 boxes of 10 capsules", 50),
        ("Lot de 3 boîtes (30 capsules)", 30),
        ("The 60's blend", None),
        ("1 bag", None),
        ("250g bag", None),
        ("Batch 1234 bags", None),
        ("3-in-1 Travel Pack", None),
    ],
)
def test_pack_counts(text: str, units: int | None) -> None:
    assert parse_count(text) == units


@given(st.integers(1, 99), st.integers(1, 5000))
def test_count_times_weight_reads_alike_both_ways(units: int, grams: int) -> None:
    expected = (float(grams), units, True)
    assert parse_weight(f"{units} x {grams}g")[:3] == expected
    assert parse_weight(f"{grams} g x {units}")[:3] == expected


@given(st.text(max_size=60))
def test_weight_never_raises(text: str) -> None:
    quantity = parse_weight(text)
    assert quantity.grams is None or quantity.grams > 0


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("250 g / 1 kg", True),
        ("250 g, 500 g oder 1 kg", True),
        ("12 oz / 340 g", False),
        ("250 g", False),
        ("250 g + 500 g", False),
    ],
)
def test_sizes_side_by_side_are_a_choice(text: str, several: bool) -> None:
    assert offers_sizes(text) is several


@pytest.mark.parametrize(
    ("price", "grams", "units", "expected"),
    [("18.00", 250.0, 1, "7.2000"), ("18.00", 250.0, 2, "3.6000"), ("10.00", 340.19, 1, "2.9395")],
)
def test_unit_price(price: str, grams: float, units: int, expected: str) -> None:
    assert unit_price_per_100g(Decimal(price), grams, units) == Decimal(expected)


@pytest.mark.parametrize(
    ("price", "grams", "units"),
    [
        (None, 250.0, 1),
        (Decimal(1), None, 1),
        (Decimal(1), 250.0, 0),
        (Decimal(0), 250.0, 1),
        (Decimal(1), 0.0, 1),
    ],
)
def test_no_unit_price_without_price_and_weight(
    price: Decimal | None, grams: float | None, units: int
) -> None:
    assert unit_price_per_100g(price, grams, units) is None


@pytest.mark.parametrize("digits", ["96385074", "036000291452", "4006381333931", "10012345678902"])
def test_right_gtins(digits: str) -> None:
    assert valid_gtin(digits) == digits
    assert valid_gtin(f" {digits[:4]}-{digits[4:]} ") == digits


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "4006381333932",
        "123",
        "00000000",
        "40063813339311",
        "400638133393A",
        "SKU-4006381",
    ],
)
def test_wrong_gtins_are_none(text: str | None) -> None:
    assert valid_gtin(text) is None


@given(st.from_regex(r"[1-9][0-9]{11}", fullmatch=True))
def test_exactly_one_check_digit_is_right(body: str) -> None:
    assert sum(valid_gtin(body + str(digit)) is not None for digit in range(10)) == 1
