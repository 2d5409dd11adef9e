"""Which goods are coffee."""

import pytest

from scout_assets.domain.coffee.facts import CoffeeFacts, normalise
from scout_assets_tests.domain.coffee.listings import facts, listing, variants


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Hill Farm", "Coffee"),
        ("Hill Farm", "Single Origin | coffee"),
        ("French Press Blend", "Coffee"),
        ("Cup of Excellence No. 3", "Coffee"),
        ("Coffee for Moka Pot", ""),
        ("Ethiopia Guji", ""),
        ("Hill Estate Peaberry", ""),
        ("Easy Drip Bags", "sachet"),
        ("Ristretto", "Capsules"),
        ("Classic Can", "Cold Brew"),
        ("Instant Sticks", "Instant Coffee"),
        ("Carrot Cake", "Coffee"),
        ("Monthly Coffee Subscription", "Subscription"),
        ("Ethiopia", "Food > Beverages > Coffee"),
        ("Espresso Bohnen", "Kaffee"),
        ("Green Coffee Peru", "Home Roasting"),
        ("Coffee Advent Calendar", ""),
        ("Two Valleys Kit of Coffees", ""),
        ("コロンビア 中煎り", "コーヒー豆"),
        ("Green Coffee Peru", "Green Coffee"),
        ("Selektion Nummer Vier", "耳掛咖啡"),
        ("Nordlicht Wintermühle Espresso", "Kaffee"),
    ],
)
def test_goods_that_hold_coffee_are_coffee(title: str, kind: str) -> None:
    assert facts(title, kind=kind).is_coffee


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("French Press 600 ml", "Coffee"),
        ("V60 Paper Filters 02", ""),
        ("Espresso Socks", ""),
        ("Coffee Calendar", "Coffee Merchandise"),
        ("Gift Card", "Coffee"),
        ("Tote Bag", ""),
        ("Latte Glass", ""),
        ("Barista Course Level 1", ""),
        ("Saturday Workshop", "Training"),
        ("Ceremonial Matcha", "Coffee"),
        ("Hot Chocolate", "Coffee"),
        ("Cascara", "Coffee"),
        ("Ginger Biscuits", "Bakery"),
        ("Earl Grey", "Tea"),
        ("Oat Milk", ""),
        ("Geschenkgutschein", ""),
        ("Kaffeetasse", "Zubehör"),
        ("Moulin manuel", "Accessoires"),
        ("All Products", ""),
        ("Something", ""),
        ("Chocolate Covered Coffee Beans", "Coffee"),
        ("Loose Leaf Mountain", "Tea"),
        ("Camp Stove Kit", "Kaffeutstyr"),
        ("Kaffeegutschein 40 Euro", "Kaffee"),
        ("Emaillebecher Wald", "Kaffee"),
        ("Espressotassen", "Espresso"),
    ],
)
def test_other_goods_are_not(title: str, kind: str) -> None:
    assert not facts(title, kind=kind).is_coffee


def test_an_event_is_known_by_what_there_is_to_choose() -> None:
    assert not facts("Espresso Basics", kind="", options={"Date & Time": ["1 May, 4pm"]}).is_coffee


def test_a_tea_is_known_though_its_type_says_coffee() -> None:
    assert not facts("Quiet Evening", tags=["Tea"]).is_coffee
    body = "Oolong and chamomile flowers. Steep for four minutes."
    assert not facts("Quiet Evening", body, kind="").is_coffee


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Ein washed Caturra, gewachsen auf 1600 m ü. NN. Der Kaffee ist rund.", True),
        ("A natural coffee from a small mill.", True),
        ("Brew a washed Gesha on it. Stainless steel, with a warranty.", False),
        ("Linen, made to be worn while you drink coffee.", False),
    ],
)
def test_an_untyped_page_is_coffee_by_its_facts(body: str, expected: bool) -> None:
    options = {"Size": ["250g", "1kg"]} if expected else None
    assert facts("Morgenrot", body, kind=None, options=options).is_coffee is expected


def test_a_gift_is_known_inside_a_compound_word() -> None:
    body = "Zwei Tassen und 200 g Kaffee."
    assert not facts("Ostergeschenkbox", body, kind="Espresso").is_coffee


def test_a_roast_option_whose_choices_agree_is_a_fact() -> None:
    assert facts(options={"Roast": ["Light", "Nordic Light"]}).roast_level == "light"
    assert facts(options={"Roast": ["Light", "Dark"]}).roast_level is None


def test_a_tag_that_is_a_shelf_is_no_note() -> None:
    assert facts(tags=["Sweet & Comforting"]).tasting_notes == ()
    assert facts(kind="Fruity", tags=["Fruity"]).tasting_notes == ()


def test_labels_of_coffee_show_coffee() -> None:
    assert facts("Maria Flores", "Process: Washed<br>Altitude: 1500 masl", kind=None).is_coffee


def test_equipment_is_known_by_its_description() -> None:
    body = "Grinds beans for espresso. Stainless steel, two year warranty."
    assert not facts("Nimbus Two", body, kind="").is_coffee


@pytest.mark.parametrize(
    ("body", "is_coffee"),
    [
        ("Three 100g bags of coffee: Ethiopia, Kenya and Brazil.", True),
        ("This hamper includes: coffee (250 grams), a mug, and cookies.", False),
    ],
)
def test_a_gift_is_coffee_while_nothing_else_is_in_it(body: str, is_coffee: bool) -> None:
    assert facts("Coffee Gift Box", body, kind="Gifting").is_coffee is is_coffee


@pytest.mark.parametrize(
    ("title", "options", "tags", "expected"),
    [
        ("Coffee Subscription", None, [], True),
        ("Kaffee Abo", None, [], True),
        ("Hill Farm", {"Deliveries": ["3", "6"], "Size": ["250g"]}, [], True),
        ("Hill Farm", None, ["Subscription", "subscribable"], False),
        ("Jahresabonnement Kaffee", None, [], True),
    ],
)
def test_subscriptions(
    title: str, options: dict[str, list[str]] | None, tags: list[str], expected: bool
) -> None:
    found = facts(title, tags=tags, options=options)
    assert found.subscription is expected
    assert found.is_coffee


def test_other_goods_have_no_coffee_facts() -> None:
    found = facts(
        "Dark Roast Mug",
        "Notes of cherry. Washed. 100% Arabica. Variety: Gesha",
        kind="Drinkware",
        tags=["Dark Roast"],
    )
    assert found == CoffeeFacts(False, found.is_coffee_confidence, False, confidence=0.95)
    (mug,) = variants("Mug", kind="Drinkware", options={"Size": ["12oz"]}, grams=400)
    assert (mug.net_weight_g, mug.grind, mug.grind_raw, mug.pack_count) == (None, None, None, 1)


def test_what_a_subscription_sent_before_is_no_fact_of_it() -> None:
    body = "Ships monthly.<br>In June: a washed SL28 and a Ruiru 11.<br>In July: Pacamara."
    assert facts("Coffee Subscription", body).varieties == ()


def test_samples_by_weight_are_coffee_though_tagged_as_a_gift() -> None:
    body = "Five bags of our single origins, whole bean."
    found, (pack,) = normalise(
        listing("Discovery Pack (5 x 60g)", body, kind="Sampler", tags=["gift"])
    )
    assert found.is_coffee
    assert (pack.net_weight_g, pack.pack_count) == (60, 5)


def test_facts_of_one_coffee_are_no_facts_of_a_sampler() -> None:
    body = "Vienna Roast: a dark roast with notes of cocoa.<br>Hill Farm: a washed light roast."
    found = facts("Tasting Box", body)
    assert (found.roast_level, found.process, found.tasting_notes) == (None, None, ())
