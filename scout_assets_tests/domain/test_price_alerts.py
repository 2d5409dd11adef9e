"""Price rules: what they say of a sequence of prices, and that they say it once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.price_alerts import MANY, Rule, Sighting, State, Trigger, judge

START = datetime(2026, 11, 1, tzinfo=UTC)


def rule(trigger: Trigger, limit: str | None = None, **fields: Any) -> Rule:
    known = {"id": "1", "since": START, "currency": "EUR"} | fields
    return Rule(trigger=trigger, limit=None if limit is None else Decimal(limit), **known)


BELOW = rule(Trigger.BELOW, "10")
DROP = rule(Trigger.DROP, "10")
NEW_LOW = rule(Trigger.NEW_LOW)
MOVE = rule(Trigger.MOVE, "10", currency=None)


def history(
    *prices: str | None,
    currency: str | Sequence[str] = "EUR",
    sold_out: Sequence[int] = (),
    product: str = "berg/1",
) -> list[Sighting]:
    """One product, a price a day from START on; None is gone. As the view price_history has it."""
    currencies = [currency] * len(prices) if isinstance(currency, str) else currency
    made: list[Sighting] = []
    last: tuple[Decimal, str] | None = None
    for day, (text, money) in enumerate(zip(prices, currencies, strict=True), 1):
        price = None if text is None else Decimal(text)
        available = text is not None and day not in sold_out
        same = last is not None and last[1] == money and price is not None
        earlier = [
            s.price for s in made if s.currency == money and s.available and s.price is not None
        ]
        made.append(
            Sighting(
                source=product.partition("/")[0],
                product_id=product,
                parent_id="berg/p",
                title="Kenya",
                snapshot=day,
                seen_at=START + timedelta(days=day),
                until=None if day == len(prices) else START + timedelta(days=day + 1),
                price=price,
                currency=money,
                available=available,
                previous=last[0] if last else None,
                delta_pct=round(float(100 * (price - last[0]) / last[0]), 2)
                if same and price is not None and last
                else None,
                lowest_before=min(earlier, default=None),
            )
        )
        last = last if price is None else (price, money)
    return made


def fired(asked: Rule, seen: Sequence[Sighting]) -> list[int]:
    """The days on which a rule speaks."""
    alerts = judge([asked], seen, State()).alerts
    return [int(alert.key.rpartition("@")[2]) for alert in alerts]


@pytest.mark.parametrize(
    ("asked", "prices", "days"),
    [
        (BELOW, ["9"], [1]),
        (BELOW, ["10"], [1]),
        (BELOW, ["10.01"], []),
        (BELOW, ["12", "9", "8", "7"], [2]),
        (BELOW, ["9", "10.20", "9"], [1]),  # 2 % above does not arm it
        (BELOW, ["9", "10.21", "9"], [1, 3]),
        (BELOW, ["9", None, "9"], [1]),
        (DROP, ["10"], []),
        (DROP, ["10", "9"], [2]),
        (DROP, ["10", "9.01"], []),
        (DROP, ["10", "12", "9", "8"], [3, 4]),
        (DROP, ["10", None, "8"], [3]),
        (MOVE, ["10", "11"], []),
        (MOVE, ["10", "11.10", "9.90"], [2, 3]),
        (NEW_LOW, ["10"], []),
        (NEW_LOW, ["10", "9.99"], [2]),
        (NEW_LOW, ["10", "12", "10"], []),
        (NEW_LOW, ["10", "9", "8.95", "8.90"], [2, 4]),  # a cent a day is no news
        (NEW_LOW, ["10", "9", "20", "8.95"], [2]),
    ],
)
def test_what_a_rule_says(asked: Rule, prices: list[str | None], days: list[int]):
    assert fired(asked, history(*prices)) == days


def test_what_is_sold_out_raises_nothing_and_changes_nothing():
    assert fired(BELOW, history("9", sold_out=[1])) == []
    assert fired(BELOW, history("9", "9", sold_out=[1])) == [2], "told once it can be bought"
    assert fired(BELOW, history("9", "15", "9", sold_out=[2])) == [1], "nor is it armed again"
    assert fired(NEW_LOW, history("10", "8", "9", sold_out=[2])) == [3]
    assert fired(MOVE, history("10", "20", sold_out=[2])) == []


def test_currencies_are_never_mixed():
    prices = history("100", "9", "8", currency=["SEK", "EUR", "SEK"])
    assert fired(replace(BELOW, limit=Decimal(50)), prices) == [2]
    assert fired(replace(DROP, currency=None), prices) == []
    assert fired(replace(NEW_LOW, currency=None), prices) == [3], "against 100 SEK, not 9 EUR"


def test_on_first_sight_a_rule_judges_what_holds_and_knows_what_was():
    late = {"since": START + timedelta(days=99)}
    assert fired(replace(BELOW, **late), history("8", "12", "9")) == [3]
    assert fired(replace(DROP, **late), history("10", "5", "4")) == [3]
    assert fired(replace(NEW_LOW, **late), history("10", "9", "8")) == [3]
    assert fired(replace(NEW_LOW, **late), history("10", "8", "9")) == []
    assert fired(replace(BELOW, since=START + timedelta(days=2, hours=1)), history("9", "11", "9",
                 "11", "9")) == [3, 5], "what was over on day 2 does not count"  # fmt: skip


def test_a_rule_is_about_its_source_product_and_page():
    seen = [*history("9"), *history("9", product="fjord/1")]
    assert len(judge([BELOW], seen, State()).alerts) == 2
    (alert,) = judge([replace(BELOW, source="fjord")], seen, State()).alerts
    assert alert.key == "price:1:fjord/1@1"
    (alert,) = judge([replace(BELOW, product="berg/1")], seen, State()).alerts
    assert alert.key == "price:1:berg/1@1"
    assert len(judge([replace(BELOW, product="berg/p")], seen, State()).alerts) == 2


def test_a_store_that_reprices_everything_is_one_message():
    seen = [s for n in range(MANY + 5) for s in history("10", "5", product=f"berg/{n:02}")]
    (alert,) = judge([MOVE], seen, State()).alerts
    assert alert.key == "price:1:berg@2"
    assert alert.subject == f"berg: {MANY + 5} prices moved by more than 10.00 %"
    assert alert.text.count("Kenya") == MANY
    assert "and 5 more" in alert.text


def test_a_message_says_all_that_is_asked():
    (alert,) = judge([replace(DROP, by="ana")], history("12.50", "9.375"), State()).alerts
    assert alert.subject == "Kenya: 9.375 EUR, down by 10.00 % or more (berg)"
    assert "price 9.375 EUR, before 12.50 (-25.00 %)" in alert.text
    assert "asked for by ana" in alert.text


PRICES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(80, 120).map(lambda tenths: str(Decimal(tenths) / 10))),
        st.sampled_from(["EUR", "EUR", "SEK"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(seen=PRICES, cuts=st.sets(st.integers(1, 11)), since=st.integers(-1, 12))
def test_it_does_not_matter_in_how_many_portions_prices_come(
    seen: list[tuple[str | None, str, bool]], cuts: set[int], since: int
):
    sold_out = [day for day, one in enumerate(seen, 1) if one[2]]
    all_at_once = [
        one
        for product in ("berg/1", "berg/2")
        for one in history(
            *(price for price, _, _ in seen),
            currency=[money for _, money, _ in seen],
            sold_out=sold_out,
            product=product,
        )
    ]
    asked = [
        replace(each, id=str(number), since=START + timedelta(days=since))
        for number, each in enumerate((BELOW, DROP, NEW_LOW, MOVE))
    ]
    whole = judge(asked, all_at_once, State())
    state, alerts = State(), []
    for upto in [*sorted(cuts), 99]:
        # A price that is the last one so far holds; that it ends is known later.
        portion = [
            replace(one, until=None) if one.snapshot == upto else one
            for one in all_at_once
            if one.snapshot <= upto  # what was seen comes again, and changes nothing
        ]
        judged = judge(asked, portion, state)
        state, alerts = judged.state, [*alerts, *judged.alerts]
    if since < 1:  # else portions are looked at before the rule was there
        assert [a.key for a in alerts] == [a.key for a in whole.alerts]
        assert state == whole.state
    assert judge(asked, all_at_once, whole.state).alerts == ()
    assert len({alert.key for alert in alerts}) == len(alerts)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trigger": Trigger.BELOW, "limit": Decimal(5)}, "needs a currency"),
        ({"trigger": Trigger.BELOW, "currency": "EUR"}, "a number above zero"),
        ({"trigger": Trigger.DROP, "limit": Decimal(0)}, "a number above zero"),
        ({"trigger": Trigger.DROP, "limit": Decimal("NaN")}, "a number above zero"),
        ({"trigger": Trigger.DROP, "limit": Decimal(100)}, "below 100"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, Any], said: str):
    with pytest.raises(BadConfig, match=said):
        Rule(**{"id": "1", "since": START} | fields)
