"""Weights and packs."""

import pytest

from scout_assets_tests.domain.coffee.listings import variants, weights


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"Size": ["250g", "1kg"]}, [(250, "option", 1), (1000, "option", 1)]),
        ({"Size": ["200g", "200g x 4"]}, [(200, "option", 1), (200, "option", 4)]),
        ({"Size": ["200", "1 kg"]}, [(200, "option", 1), (1000, "option", 1)]),
        ({"Weight": ["250", "500"]}, [(250, "option", 1), (500, "option", 1)]),
        ({"Deliveries": ["3"], "Size": ["250g"]}, [(250, "option", 1)]),
        (
            {"Size": ["250g"], "Number": ["Pack of 1", "Pack of 3"]},
            [(250, "option", 1), (250, "option", 3)],
        ),
        ({"Size": ["Pack of 5 Sachets"]}, [(None, None, 5)]),
        ({"Quantity": ["10 capsules"]}, [(None, None, 10)]),
    ],
)
def test_weights_of_options(
    options: dict[str, list[str]], expected: list[tuple[float | None, str | None, int]]
) -> None:
    assert weights(options=options) == expected


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("House Blend 125g", "", (125, "product_title", 1)),
        ("Taster of Coffee (3X60G)", "", (60, "product_title", 3)),
        ("Hill Farm", "In every box: sachets of 40g each.", (40, "description", 1)),
        ("Hill Farm", "You get 60 g x 4 pouches.", (60, "description", 4)),
        ("Hill Farm", "<p>Net weight: 340 g</p>", (340, "description", 1)),
        ("Hill Farm", "A 250 g bag of joy.", (250, "description", 1)),
        ("Hill Farm", "2 lbs of our house roast.", (907.18, "description", 1)),
        ("Clube do Café", "Sempre 1 pacote de 500g.", (500, "description", 1)),
        ("Kaffee-Abo", "Drei neue Kaffees à 125 g.", (125, "description", 3)),
        ("Four Lots", "You get 55g of 6 coffees.", (55, "description", 6)),
        ("Pods, 24 ct", "12 g per pod.", (12, "description", 24)),
        ("Sachês", "8 sachês de 12g.", (12, "description", 8)),
        ("Hill Farm", "Every box holds 8 single sachets.", (None, None, 8)),
        ("Hill Farm", "Use 60g to 1 l of water. Free delivery over 1 kg.", (None, None, 1)),
        ("Cold Brew Concentrate 32oz", "", (None, None, 1)),
        ("Hill Farm 250g (Pack of 2)", "", (250, "product_title", 2)),
        ("Hill Farm", "340 g ganze Bohnen, 100% Arabica.", (340, "description", 1)),
        ("Hill Farm", "500 g de café en grains.", (500, "description", 1)),
        ("Hill Farm", "500 g Kaffee reichen für lange Tage.", (None, None, 1)),
        ("Hill Farm", "18 g whole beans, ground fresh.", (None, None, 1)),
        ("Hill Farm", "Gewicht: 250 g, 500 g, 1 kg", (None, None, 1)),
        ("Hill Farm 250g/1kg", "", (None, None, 1)),
        ("Hill Farm", "250 g<br>500 g<br>1 kg", (None, None, 1)),
        ("Cialde (150 pz)", "7 g di caffè ciascuna.", (7, "description", 150)),
        ("Kapseln, 10 Stück", "Jede Kapsel enthält 5,6 g Kaffee.", (5.6, "description", 10)),
        ("Drip bags", "1 serving per sachet: 2 g of sugar.", (None, None, 1)),
        ("5種\u00d72袋\uff08計10袋\uff09", "1袋12g入り。", (12, "description", 10)),
        ("掛耳盒\uff5c每包12g\uff0c每盒8包", "", (12, "product_title", 8)),
        ("Instant Sticks", "Eight single-serve sticks per box.", (None, None, 8)),
    ],
)
def test_weights_of_title_and_description(
    title: str, body: str, expected: tuple[float | None, str | None, int]
) -> None:
    assert weights(title, body) == [expected]


def test_a_weight_apart_from_its_count_is_the_total() -> None:
    assert weights("Two Lots (Pack of 2)", options={"Size": ["200g"]}) == [(100, "option", 2)]


@pytest.mark.parametrize(
    ("size", "body", "expected"),
    [
        ("250g", "Try our three-pack of aged lots.", (250, "option", 1)),
        ("250g", "A pack of 8 capsules is also available.", (250, "option", 1)),
        ("225g", "The pack holds 45 g x 5 pouches.", (45, "option", 5)),
        ("250g", "Try 3 x 250g and save.", (250, "option", 1)),
        ("250g", "Also sold as a pack of 3.", (250, "option", 1)),
    ],
)
def test_a_described_count_must_fit_the_printed_weight(
    size: str, body: str, expected: tuple[float, str, int]
) -> None:
    assert weights(body=body, options={"Size": [size]}) == [expected]


def test_a_parcel_as_heavy_as_all_units_shows_the_weight_is_each() -> None:
    found = weights("Two Lots (Pack of 2)", options={"Size": ["200g"]}, grams=420)
    assert found == [(200, "option", 2)]


@pytest.mark.parametrize(
    ("title", "kind", "grams", "expected"),
    [
        ("Hill Farm", "Coffee", 1000, 1000),
        ("Hill Farm", "Coffee", 340, 340),
        ("Hill Farm", "Coffee", 420, None),  # no size coffee is sold in: packaging included
        ("Hill Farm", "Coffee", 0, None),
        ("Hill Farm Drip Bags", "Coffee", 250, None),
        ("Hill Farm", "Capsules", 500, None),
        ("Coffee Gift Box", "Gifting", 500, None),
        ("Coffee Subscription", "Coffee", 250, None),
        ("Sampler Pack", "Coffee", 225, None),
    ],
)
def test_shipping_weight_is_a_doubtful_last_resort(
    title: str, kind: str, grams: float, expected: float | None
) -> None:
    (variant,) = variants(title, kind=kind, grams=grams)
    assert variant.net_weight_g == expected
    if expected is not None:
        assert variant.net_weight_source == "shipping_grams"
        assert variant.confidence < 0.5


def test_a_printed_weight_beats_the_shipping_weight() -> None:
    assert weights(options={"Size": ["250g"]}, grams=1000) == [(250, "option", 1)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"3 x 80g coffees": ["Whole Bean"]}, (80, "option", 3)),
        ({"Weight (kg)": ["0.25"]}, (250, "option", 1)),
        ({"Add 50g of decaf?": ["No"]}, (None, None, 1)),
    ],
)
def test_an_options_name_may_print_the_weight(
    options: dict[str, list[str]], expected: tuple[float | None, str | None, int]
) -> None:
    assert weights(options=options) == [expected]
