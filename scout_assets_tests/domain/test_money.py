"""Exchange rates as dated data."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.money import read_rates

LIST = """date,base,quote,rate
2026-01-01,EUR,NOK,11.50
2026-06-01,EUR,NOK,11.80
2026-06-01,eur,USD,1.10
"""


def rates(text=LIST):
    return read_rates(text.splitlines(), "rates.csv")


@pytest.mark.parametrize(
    ("amount", "base", "quote", "on", "expected"),
    [
        ("10", "EUR", "NOK", date(2026, 3, 1), ("115.00", date(2026, 1, 1))),
        ("10", "EUR", "NOK", date(2026, 6, 1), ("118.00", date(2026, 6, 1))),
        ("118", "NOK", "EUR", date(2026, 7, 1), ("10.00", date(2026, 6, 1))),
        ("118", "NOK", "USD", date(2026, 7, 1), ("11.00", date(2026, 6, 1))),
        ("5", "NOK", "NOK", date(2020, 1, 1), ("5", date(2020, 1, 1))),
    ],
)
def test_the_rate_of_the_day_counts_both_ways_and_over_a_third_currency(
    amount, base, quote, on, expected
):
    converted = rates().convert(Decimal(amount), base, quote, on)
    assert converted is not None
    assert (converted[0].quantize(Decimal("0.01")), converted[1]) == (
        Decimal(expected[0]),
        expected[1],
    )


def test_a_later_rate_is_never_used_and_an_unknown_pair_is_no_price():
    assert rates().convert(Decimal(1), "EUR", "NOK", date(2025, 12, 31)) is None
    assert rates().convert(Decimal(1), "EUR", "JPY", date(2026, 7, 1)) is None


def test_until_a_day_only_rates_dated_by_then_are_there():
    assert rates().until(date(2025, 12, 31)) == read_rates(LIST.splitlines()[:1], "rates.csv")
    assert rates().until(date(2026, 3, 1)) == rates(LIST[: LIST.index("2026-06-01")])
    assert rates().until(date(2026, 6, 1)) == rates()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,base,quote\n", "no column rate"),
        ("date,base,quote,rate\n2026-01-01,EUR,NOK,much\n", "line 2"),
        ("date,base,quote,rate\nyesterday,EUR,NOK,1\n", "line 2"),
        ("date,base,quote,rate\n2026-01-01,EUR,NOK,0\n", "above zero"),
        ("date,base,quote,rate\n2026-01-01,EUR,NOK,NaN\n", "above zero"),
    ],
)
def test_a_wrong_list_says_where(text, said):
    with pytest.raises(BadConfig, match=said):
        rates(text)


@given(st.decimals("0.01", "100000", places=2))
def test_there_and_back_gives_the_amount(amount):
    on = date(2026, 7, 1)
    there = rates().convert(amount, "EUR", "NOK", on)
    assert there is not None
    back = rates().convert(there[0], "NOK", "EUR", on)
    assert back is not None
    assert abs(back[0] - amount) < Decimal("0.000001")
