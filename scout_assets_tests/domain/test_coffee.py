"""What a listing says as coffee: read as a shopper would, and nothing guessed."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.coffee import CoffeeFacts, VariantFacts, normalise
from scout_assets.domain.markup import plain_text
from scout_assets.domain.storefront import Listing, Variant

ROASTS = {"light", "light_medium", "medium", "medium_dark", "dark"}
PROCESSES = {
    "washed",
    "natural",
    "honey",
    "pulped_natural",
    "monsooned",
    "wet_hulled",
    "anaerobic",
    "carbonic_maceration",
    "double_fermented",
    "experimental",
    "other",
}
SPECIES = {"arabica", "robusta", "liberica", "blend"}
GRINDS = {
    "whole",
    "filter",
    "espresso",
    "omni",
    "turkish",
    "moka",
    "cold_brew",
    "aeropress",
    "french_press",
    "pour_over",
    "syphon",
    "south_indian_filter",
}
WEIGHT_SOURCES = {"title", "option", "product_title", "description", "shipping_grams"}


def listing(
    title: str = "Hill Farm",
    body: str = "",
    *,
    kind: str | None = "Coffee",
    tags: Sequence[str] = (),
    options: Mapping[str, Sequence[str]] | None = None,
    grams: float | None = None,
    barcode: str | None = None,
    handle: str = "item",
) -> Listing:
    """A listing with one variant for each combination of option values."""
    names = tuple(options or ())
    combinations = list(product(*(options or {}).values()))
    variants = tuple(
        Variant(
            str(number),
            " / ".join(values) or None,
            dict(zip(names, values, strict=True)),
            None,
            barcode,
            grams,
            None,
            None,
            None,
            None,
            True,
        )
        for number, values in enumerate(combinations)
    )
    printed = {name: tuple(values) for name, values in (options or {}).items()}
    return Listing(
        "1",
        title,
        handle,
        None,
        kind,
        tuple(tags),
        plain_text(body),
        printed,
        variants,
        (),
        "active",
        None,
    )


def facts(*args: str, **kwargs: object) -> CoffeeFacts:
    return normalise(listing(*args, **kwargs))[0]  # type: ignore[arg-type]


def variants(*args: str, **kwargs: object) -> tuple[VariantFacts, ...]:
    return normalise(listing(*args, **kwargs))[1]  # type: ignore[arg-type]


# --- roast --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "body", "level"),
    [
        # each of these was read wrong once
        ("Night Train", "Roasted to Full City+ for a heavy cup.", "medium_dark"),
        ("Day Train", "A light to medium roast.", "light_medium"),
        ("Day Train", "Not dark, not bitter.", None),
        ("Day Train", "Brew it in a French Press.", None),
        ("Day Train Espresso", "Pull it as espresso.", None),
        # labelled lines
        ("A", "<p>Roast Level: Medium</p><p>Body: full</p>", "medium"),
        ("A", "<h3>Roast</h3><p>Medium Dark</p>", "medium_dark"),
        ("A", "<table><tr><td>Röstgrad</td><td>Mittel-dunkel</td></tr></table>", "medium_dark"),
        ("A", "Torréfaction : Claire", "light"),
        ("A", "Tueste: Medio", "medium"),
        ("A", "70% Arabica. Tostatura: scura. Corpo: pieno.", "dark"),
        ("A", "Torra: Média clara", "light_medium"),
        ("A", "Branding: licht-medium", "light_medium"),
        ("A", "Roast: 3/5", "medium"),
        ("A", "Roast Level: 4 out of 5", "medium_dark"),
        ("A", "Roast: ●●○○○", "light_medium"),
        ("A", "Body: 5/5", None),
        ("A", "Roasted: 10/6/26", None),
        ("A", "Roast: Filter", None),
        ("A", "Roast: Dark (4/5)", "dark"),
        ("A", "焙煎度\uff1a中深煎り", "medium_dark"),
        ("コスタリカ 浅煎り", "", "light"),
        ("Kenya, mellemristet", "", "medium"),
        ("Mörkrost", "", "dark"),
        ("A", "Torra clara a média.", "light_medium"),
        ("A", "Sangrai medium.", "medium"),
        ("Green Coffee Peru", "Best at a medium roast.", None),
        # titles
        ("Vienna Roast", "", "dark"),
        ("Italian Roast", "", "dark"),
        ("House Blend - Dark", "", "dark"),
        ("Classic Light", "", None),
        ("Hill Farm | Medium-Dark Roast", "", "medium_dark"),
        ("Mixed | Light to Dark Roasts", "", None),
        # prose
        ("A", "We've roasted this coffee light to keep it bright.", "light"),
        ("A", "A dark roast, bolder than a light roast.", "dark"),
        ("A", "Roasted almonds and dark chocolate.", None),
        ("A", "A medium body and a light finish.", None),
        ("A", "Helle Röstung für die Filterkanne.", "light"),
        ("A", "Licht gebrand voor filter.", "light"),
        ("A", "Made for light roast lovers.", None),
        ("A", "If you enjoyed our dark roast, try this.", None),
        ("A", "Roasted dark and ground on the day.", "dark"),
        ("A", "Vi rister vores kaffe lyst.", "light"),
        ("A", "烘焙度\uff1a中深焙", "medium_dark"),
    ],
)
def test_roast_level(title: str, body: str, level: str | None) -> None:
    found = facts(title, body)
    assert found.roast_level == level
    assert (found.roast_level_raw is None) == (level is None)


@pytest.mark.parametrize(
    ("tags", "level"),
    [
        (["medium-dark-roast", "acidity-light"], "medium_dark"),
        (["Roast Level: Light"], "light"),
        (["light roast", "dark roast"], None),
        (["roastlevel:light-medium", "roastlevel:light"], "light_medium"),
        (["Dark"], "dark"),
        (["bitterness-medium", "dark chocolate"], None),
    ],
)
def test_roast_from_tags_needs_one_level(tags: list[str], level: str | None) -> None:
    assert facts(tags=tags).roast_level == level


def test_a_roast_the_shopper_chooses_is_no_fact_of_the_product() -> None:
    assert facts(options={"Roast": ["Light", "Dark"]}).roast_level is None
    assert facts(options={"Roast": ["Dark"], "Size": ["250g", "1kg"]}).roast_level == "dark"


# --- process ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "body", "value"),
    [
        ("A", "Process: Fully washed and dried on raised beds", "washed"),
        ("A", "Process: Natural. Dried for 30 days after being washed clean.", "natural"),
        ("A", "Aufbereitung: Gewaschen", "washed"),
        ("A", "Procédé : Lavé", "washed"),
        ("A", "Proceso: Honey", "honey"),
        ("A", "Process: Anaerobic Natural", "anaerobic"),
        ("A", "Process: Carbonic maceration", "carbonic_maceration"),
        ("A", "Process: Double fermentation washed", "double_fermented"),
        ("A", "Process: Giling Basah (wet hulled)", "wet_hulled"),
        ("A", "Process: Pulped natural", "pulped_natural"),
        ("A", "Process: Thermal shock washed", "experimental"),
        ("A", "Process: Sundry local", "other"),
        # an unknown name that the page explains
        ("A", "Process: House style. <br>A double fermentation in tanks.", "double_fermented"),
        # no process: unsaid, or a way to decaffeinate
        ("A", "Process: TBC", None),
        ("A", "Process: Sugarcane", None),
        ("A", "A washed process decaf, processed with a natural gas.", "washed"),
        # the steps after the name are no second process
        ("A", "Process: Natural, the ripe cherries being washed clean before drying", "natural"),
        ("A", "Double Washed Caturra", "washed"),
        ("A", "Wild yeast guides the fermentation.", "experimental"),
        ("A", "Fermented for three days without oxygen.", "anaerobic"),
        ("A", "Prosess: Bærtørket", "natural"),
        ("A", "Beneficio húmedo.", "washed"),
        ("A", "精製方法\uff1aウォッシュド", "washed"),
        ("グアテマラ ナチュラル", "", "natural"),
        ("Monsooned Malabar", "", "monsooned"),
        ("Hill Farm Naturals", "", "natural"),
        ("Hill Farm Slow Anaerobic Naturals", "", "anaerobic"),
        ("Hill Farm - Black Honey", "", "honey"),
        ("Hill Farm - Honey", "", "honey"),
        ("Honey Badger Blend", "", None),
        ("Milk & Honey", "", None),
        ("Hill Farm - CM Natural", "", "carbonic_maceration"),
        ("Rum Barrel Aged", "", "experimental"),
        ("Rum Barrel Aged", "These washed coffees rest in barrels.", "washed"),
        (
            "Hill Farm Natural",
            "It was processed using the carbonic maceration method.",
            "carbonic_maceration",
        ),
        ("Hill Farm Washed", "It was processed using an anaerobic washed method.", "washed"),
        # prose
        ("A", "This coffee was processed using the washed method.", "washed"),
        ("A", "A naturally processed lot from Kenya.", "natural"),
        ("A", "Cherries are pulped, fermented and washed.", "washed"),
        ("A", "Gewaschen aufbereitet, blumig und klar.", "washed"),
        ("A", "Processo lavato.", "washed"),
        ("A", "Washed, Kenya.", "washed"),
        ("A", "A fruity, naturally sweet cup with natural sweetness.", None),
        ("A", "Fruity.", None),
        ("A", "Chocolate, honey.", None),
        ("A", "A citrus-infused aftertaste.", None),
        ("A", "It is not a washed coffee; it is a honey processed lot.", "honey"),
        ("A", "Is it a washed coffee?", None),
        ("A", "Unlike washed coffees, it is a natural lot.", None),
        ("A", "Great if you enjoyed our Valley Washed.", None),
        ("A", "Un Caturra lavado con cuerpo.", "washed"),
        ("A", "Un excellent café lavé d'Éthiopie.", "washed"),
        ("A", "A washed Pacamara to remember.", "washed"),
        ("A", "Dieser Kaffee wurde natural verarbeitet.", "natural"),
        ("A", "Natural aufbereitet. Danach wird der Kaffee gewaschen und sortiert.", "natural"),
        (
            "A",
            "Las cerezas son despulpadas y fermentadas. Luego los granos son lavados y secados.",
            "washed",
        ),
        ("A", "Die Bohnen werden gewaschen und in der Sonne getrocknet.", "washed"),
        ("A", "The filters are washed by hand.", None),
        ("A", "The beans are fermented. All our tools are washed daily.", None),
        ("A", "A washed coffee picked after the monsoon rains.", "washed"),
        ("A", "Picked before the monsoon.", None),
        ("A", "處理法\uff1a日曬", "natural"),
        ("Washed Gesha Mosto Comparison Set", "", "washed"),
    ],
)
def test_process(title: str, body: str, value: str | None) -> None:
    found = facts(title, body)
    assert found.process == value
    assert (found.process_raw is None) == (value is None)


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("A", "Process: Washed & Natural"),
        ("A", "A blend of washed, honey and natural processes."),
        ("Hill Washed + Lake Natural", ""),
        ("A", "Norte (60%) - Lavado clásico.<br>Sur (40%) - Natural con fermentación."),
    ],
)
def test_several_processes_are_no_single_one(title: str, body: str) -> None:
    found = facts(title, body)
    assert found.process is None
    assert found.process_raw


@pytest.mark.parametrize(
    ("country", "value"), [("Indonesia", "wet_hulled"), ("Brazil", "pulped_natural")]
)
def test_semi_washed_depends_on_the_country(country: str, value: str) -> None:
    assert facts(f"{country} Lot 4", "Process: Semi-washed").process == value


def test_process_from_tags() -> None:
    assert facts(tags=["Washed", "fruity"]).process == "washed"
    assert facts(tags=["honey"]).process is None
    assert facts(tags=["Process: Experimental", "Process: Honey"]).process == "honey"


# --- species, decaf -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "body", "value"),
    [
        ("A", "Made from 100% Arabica.", "arabica"),
        ("A", "70% Arabica, 30% Robusta.", "blend"),
        ("A", "Bohnen: 60% Arabica, 40% Robusta", "blend"),
        ("Hill Farm Robusta Naturals", "As rare as a robusta gets; unlike arabica.", "robusta"),
        ("A", "A canephora varietal.", "robusta"),
        ("Excelsa", "", "liberica"),
        ("A", "100% Robusta, no arabica.", "robusta"),
        ("House Blend", "A robust blend of two coffees.", None),
        ("Hill Farm", "SL28 from Kenya.", None),
    ],
)
def test_species(title: str, body: str, value: str | None) -> None:
    assert facts(title, body).species == value


@pytest.mark.parametrize(
    ("title", "body", "value"),
    [
        ("Decaf Colombia", "", True),
        ("Koffeinfrei Espresso", "", True),
        ("Café Descafeinado", "", True),
        ("Colombia", "Decaffeinated using sugarcane ethyl acetate.", True),
        ("Colombia", "Our decaf is as sweet as any.", True),
        ("Colombia", "Decaf Process: Swiss Water", True),
        ("Colombia", "Decaf: no", False),
        ("Colombia", "Looking for decaf? Also available as decaf.", False),
        ("Half-Caf Blend", "", False),
        ("Colombia", "", False),
        ("A", "Koffein: entkoffeiniert", True),
        ("A", "Caffeine: High", False),
    ],
)
def test_decaf(title: str, body: str, value: bool) -> None:
    assert facts(title, body).decaf is value


# --- varieties and origin -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "body", "names"),
    [
        (
            "A",
            "SLN 9 and S.795, with SL-28 and Catuai plots.",
            ("SLN 9", "S.795", "SL28", "Catuai"),
        ),
        (
            "A",
            "Variety: Red Bourbon, Caturra &amp; Heirloom",
            ("Red Bourbon", "Caturra", "Heirloom"),
        ),
        ("A", "Varietät: Caturra, Castillo", ("Caturra", "Castillo")),
        ("A", "Varietal: Geisha", ("Geisha",)),
        ("Hill Farm Gesha", "", ("Gesha",)),
        ("A", "This washed Bourbon is sweet.", ("Bourbon",)),
        ("A", "Rested in a bourbon barrel in Kentucky.", ()),
        ("A", "A splash of bourbon.", ()),
        ("Colombia Java Moka", "From the Blue Mountain of Kent.", ()),
        ("Gesha Village", "", ()),
        ("A", "Variety: 100% Arabica", ()),
        ("A", "Variety: TBC", ()),
        ("A", "Variety: ~60% Pacas, ~40% H1", ("Pacas", "H1")),
        ("A", "Varietal: Typica Mejorado", ("Typica Mejorado",)),
        ("A", "Tabi is a Colombia-bred variety.", ("Tabi",)),
        ("A", "If you liked our Gesha, this is for you.", ()),
        ("A", "Varietal: Gesha 1931, Caturra", ("Gesha 1931", "Caturra")),
        ("A", "Selections 74/110 and 74/158 grow here.", ("74110", "74158")),
        ("A", "We once had a Gesha.<br>Region Huila<br>Variety Tabi<br>Process Washed", ("Tabi",)),
    ],
)
def test_varieties(title: str, body: str, names: tuple[str, ...]) -> None:
    assert facts(title, body).varieties == names


@pytest.mark.parametrize(
    ("title", "body", "country", "region"),
    [
        ("Ethiopia Guji", "", "ET", "Guji"),
        ("A", "Herkunft: Kolumbien, Huila", "CO", "Huila"),
        ("A", "Grown in Chikmagalur, Karnataka.", "IN", "Chikmagalur"),
        ("A", "Pairs with brazil nuts.", None, None),
        ("A", "Origin: Brazil, Ethiopia", None, None),
        ("A", "For your South Indian filter.", None, None),
    ],
)
def test_origin(title: str, body: str, country: str | None, region: str | None) -> None:
    found = facts(title, body)
    assert (found.origin_country, found.origin_region) == (country, region)


@pytest.mark.parametrize(
    ("title", "body", "name"),
    [
        ("Riverside Estate - Natural", "", "Riverside Estate"),
        ("Fazenda Santa Rosa Natural", "", "Fazenda Santa Rosa"),
        ("A", "Farm: El Mirador", "El Mirador"),
        ("A", "Grown on the Riverside Estate.", "Riverside Estate"),
        ("Single Estate Coffee", "", None),
    ],
)
def test_estate(title: str, body: str, name: str | None) -> None:
    assert facts(title, body).estate == name


@pytest.mark.parametrize(
    ("body", "span"),
    [
        ("Altitude: 1,900 - 2,200 masl", (1900, 2200)),
        ("Anbauhöhe: 1.600 \u2013 1.900 m ü. NN", (1600, 1900)),
        ("Altura: 1.700 msnm", (1700, 1700)),
        ("Elevation: 5000 ft", (1524, 1524)),
        ("Grown at 1,500 meters above sea level.", (1500, 1500)),
        ("Juicy. 1600-1700m.", (1600, 1700)),
        ("We walked 1500 m to the farm.", (None, None)),
        ("Founded in 1950.", (None, None)),
    ],
)
def test_altitude(body: str, span: tuple[int | None, int | None]) -> None:
    found = facts("A", body)
    assert (found.altitude_min_m, found.altitude_max_m) == span


@pytest.mark.parametrize(
    ("body", "year"),
    [
        ("Harvest: Nov 2023 - Jan 2024", 2024),
        ("Our first of Harvest \u201925!", 2025),
        ("Crop year: 2025/26", 2026),
        ("Since 2019.", None),
    ],
)
def test_crop_year(body: str, year: int | None) -> None:
    assert facts("A", body).crop_year == year


# --- tasting notes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("Tasting Notes: Blueberry, Jasmine, Milk Chocolate", "blueberry|jasmine|milk chocolate"),
        ("FLAVOUR NOTES<br>Blackcurrant | Lime", "blackcurrant|lime"),
        ("<h3>Tasting notes</h3><ul><li>Papaya</li><li>Rose</li></ul>", "papaya|rose"),
        (
            "We taste: Ripe strawberry, cacao nib &amp; lavender",
            "ripe strawberry|cacao nib|lavender",
        ),
        ("Notes: Seville orange, meyer lemon, dream", "seville orange|meyer lemon|dream"),
        ("Notes de dégustation : pêche, thé noir", "pêche|thé noir"),
        ("Geschmack: Nougat, Kirsche und Karamell", "nougat|kirsche|karamell"),
        ("Notas de cata: panela, cacao y cítricos", "panela|cacao|cítricos"),
        ("Smaakprofiel: rood fruit, zwarte thee", "rood fruit|zwarte thee"),
        ("Cherry + Cocoa<br>A lovely coffee.", "cherry|cocoa"),
        ("Earthy, cedar, dark chocolate. A dark roast.", "earthy|cedar|dark chocolate"),
        (
            "With notes of quince, milk chocolate and toasted walnuts, it is a treat.",
            "quince|milk chocolate|toasted walnuts",
        ),
        ("Bursting with juicy notes of cherries, mango, and kiwi.", "cherries|mango|kiwi"),
        ("Notes of nectarine and rooibos shine through in every cup.", "nectarine|rooibos"),
        ("Rounded off by a delicate hint of Lemon peel.", "lemon peel"),
        ("It has lovely malty and floral notes.", "malty|floral"),
        ("The aroma of dried figs fills the room.", "dried figs"),
        ("Full-bodied, with cocoa and almond notes.", "cocoa|almond"),
        ("Helle Röstung mit Noten von Grapefruit und Rohrzucker.", "grapefruit|rohrzucker"),
        ("Roaster's Notes: Kumquat, Baked Apple", "kumquat|baked apple"),
        ("Brewing notes: sugar, cream", ""),
        (
            "Tasting Notes: Vanilla Beans, Silky Nougat, Roast Hazelnuts",
            "vanilla beans|silky nougat|roast hazelnuts",
        ),
        ("Rund og mild.<br>Rød pære, mandler, lakrids.", "rød pære|mandler|lakrids"),
        ("Smagsnoter: hindbær, nougat", "hindbær|nougat"),
        ("フレーバー\uff1aライチ、紅茶", "ライチ|紅茶"),
        ("Schmeckt nach Marzipan und Birne.", "marzipan|birne"),
        ("Sabor a panela y avellana.", "panela|avellana"),
        ("Note floreali e di albicocca.", "albicocca"),
        ("This lot brings lychee and dark rum.", "lychee|dark rum"),
        ("Rich praline notes with hints of apricot.", "apricot|praline"),
        ("A hint of malty sweetness. The fruit notes stay on.", ""),
        ("A bright cup with rooibos, peach and honey-like notes.", "rooibos|peach|honey"),
        ("A funky coffee for milk-forward drinks.", ""),
        ("Notes: full body, low acidity, clean finish", ""),
        ("A silky body with a long finish.", ""),
        ("Note: this pack is a special release.", ""),
        ("Cherry trees stand with vanilla vines.", ""),
        ("Wir schmecken: Quitte | Mandel", "quitte|mandel"),
        ("Nez : Jasmin, poire<br>Bouche : Miel, abricot", "jasmin|poire|miel|abricot"),
        ("Sapori: nocciola, miele", "nocciola|miele"),
        ("Aromen, die uns an Kirsche und Nougat denken lassen.", "kirsche|nougat"),
        ("Sein Geschmack erinnert außerdem an Mandel.", "mandel"),
        ("Wir schmecken hier viel Pfirsich, getragen von Süße.", "pfirsich"),
        ("Ce café rappelle la noisette.", "noisette"),
        ("Este café recuerda a avellana y panela.", "avellana|panela"),
        ("En kop der minder om solbær, afbalanceret af syre.", "solbær"),
        ("Une tasse aux notes subtiles d'abricot et de miel.", "abricot|miel"),
        ("Notas de cata: Sabores dulces de panela y mango.", "panela|mango"),
        (
            "Notas: Tarta rellena de crema de limón amarillo. Mora, cacao, panela",
            "mora|cacao|panela",
        ),
        ("Smaak: geroosterde noten, karamel", "geroosterde noten|karamel"),
        ("Geschmack: schokoladige Noten, Karamell", "schokoladige|karamell"),
        ("Notas: cítricos (limón, lima), miel", "cítricos|limón|lima|miel"),
        ("Notes: Plum (dried), fig, honey", "plum (dried)|fig|honey"),
        ("Grown high. Peach, rose and walnut with a round body.", "peach|rose|walnut"),
        ("Tasting Notes Papaya, Lime", "papaya|lime"),
        ("Notes of plum, balancing out the citrusy finish.", "plum"),
        ("風味\uff1a柑橘、紅茶", "柑橘|紅茶"),
        ("It reminds me of an early garden of mint.", ""),
    ],
)
def test_tasting_notes(body: str, notes: str) -> None:
    assert facts("A", body).tasting_notes == tuple(notes.split("|") if notes else ())


def test_notes_from_tags_prefer_a_prefix() -> None:
    assert facts(tags=["note_milk_chocolate", "note_plums", "fruity"]).tasting_notes == (
        "milk chocolate",
        "plums",
    )
    assert facts(tags=["red-bourbon", "coffee"]).tasting_notes == ()
    assert facts(tags=["Caramel", "Nutty", "TAX_5"]).tasting_notes == ("caramel", "nutty")


# --- which goods are coffee ---------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("body", "grind"),
    [
        ("Mahlgrad: Ganze Bohne", "whole"),
        ("Mahlgrad: Ganze Bohne, Filter, Espresso", None),
        ("Mouture : Espresso", None),
        ("Brewing: for filter", None),
    ],
)
def test_a_grind_that_is_no_choice_stands_on_a_labelled_line(body: str, grind: str | None) -> None:
    (variant,) = normalise(listing(body=body))[1]
    assert variant.grind == grind


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


def test_facts_of_one_coffee_are_no_facts_of_a_sampler() -> None:
    body = "Vienna Roast: a dark roast with notes of cocoa.<br>Hill Farm: a washed light roast."
    found = facts("Tasting Box", body)
    assert (found.roast_level, found.process, found.tasting_notes) == (None, None, ())


# --- weights and packs --------------------------------------------------------------------


def weights(*args: str, **kwargs: object) -> list[tuple[float | None, str | None, int]]:
    return [(v.net_weight_g, v.net_weight_source, v.pack_count) for v in variants(*args, **kwargs)]


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


# --- grind --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "grind"),
    [
        ("Whole Bean", "whole"),
        ("Ganze Bohne", "whole"),
        ("En grains", "whole"),
        ("En grano", "whole"),
        ("In grani", "whole"),
        ("Em grãos", "whole"),
        ("Hele bonen", "whole"),
        ("Home Espresso", "espresso"),
        ("Siebträger", "espresso"),
        ("Moulu espresso", "espresso"),
        ("Coffee Filter", "filter"),
        ("Drip Machine", "filter"),
        ("Filtre", "filter"),
        ("Mokapot", "moka"),
        ("Stovetop", "moka"),
        ("Herdkanne", "moka"),
        ("Italiana", "moka"),
        ("Inverted Aeropress / Pourover", "aeropress"),
        ("Pourover / Inverted Aeropress", "pour_over"),
        ("Chemex", "pour_over"),
        ("V60", "pour_over"),
        ("Handfilter", "pour_over"),
        ("French Press/ Cold Brew", "french_press"),
        ("Cafetière", "french_press"),
        ("Stempelkanne", "french_press"),
        ("Prensa francesa", "french_press"),
        ("Cold Brew / French Press", "cold_brew"),
        ("Turkish", "turkish"),
        ("Syphon", "syphon"),
        ("South Indian Filter", "south_indian_filter"),
        ("Omni grind", "omni"),
        ("Ground - Drip", "filter"),
        ("Coarse (French Press)", "french_press"),
        ("Gemalen - percolator", "moka"),
        ("Moulu - Italienne", "moka"),
        ("Caffettiera", "moka"),
        ("Cafetera italiana", "moka"),
        ("中挽き(ペーパー)", "filter"),
        ("豆のまま", "whole"),
        ("Coarse Grind", None),
        ("Ground", None),
        ("Channi", None),
        ("Mocha pot", "moka"),
        ("Davara tumbler", "south_indian_filter"),
    ],
)
def test_grind_of_an_option(value: str, grind: str | None) -> None:
    (variant,) = variants(options={"Grind": [value]})
    assert (variant.grind, variant.grind_raw) == (grind, value)


def test_a_roast_for_espresso_is_no_grind() -> None:
    (variant,) = variants(options={"Roast": ["Espresso"], "Size": ["250g"]})
    assert variant.grind is None
    (variant,) = variants(options={"A": ["Espresso"], "B": ["Whole Bean"], "C": ["250g"]})
    assert variant.grind == "whole"


def test_a_title_speaks_of_grind_only_by_whole_beans() -> None:
    size = {"Size": ["250g"]}
    assert variants("Hill Farm Whole Bean Coffee", options=size)[0].grind == "whole"
    assert variants("Hill Farm Espresso", options=size)[0].grind is None


@pytest.mark.parametrize(
    ("body", "options", "grind"),
    [
        ("", {"Size (Whole Bean)": ["250g"]}, "whole"),
        ("Ships as wholebean.", {"Size": ["250g"]}, "whole"),
        ("Available as whole beans or ground.", {"Size": ["250g"]}, None),
        ("Whole bean only, grind it yourself.", {"Size": ["250g"]}, "whole"),
        ("Grind whole beans right before you brew.", {"Size": ["250g"]}, None),
        ("Ground coarse for cold brew.", {"Size": ["250g"]}, "cold_brew"),
        ("Macinato per moka.", {"Size": ["250g"]}, "moka"),
        ("We can grind it, ground for espresso or filter.", {"Size": ["250g"]}, None),
        ("Our coffee beans are fresh.", {"Size": ["250g"]}, None),
        ("Fresh whole bean coffee.", {"A": ["Espresso", "250g"]}, None),
    ],
)
def test_a_page_may_say_whole_beans_of_all_its_variants(
    body: str, options: dict[str, list[str]], grind: str | None
) -> None:
    assert variants("Hill Farm", body, options=options)[-1].grind == grind


# --- codes and laws -----------------------------------------------------------------------


def test_a_gtin_needs_its_check_digit_and_keeps_its_text() -> None:
    assert variants(barcode="4006381333931")[0].gtin == "4006381333931"
    (wrong,) = variants(barcode="4006381333932")
    assert (wrong.gtin, wrong.gtin_raw) == (None, "4006381333932")


_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "Washed",
        "Roast: Dark",
        "Notes of cherry",
        "250g",
        "Whole Bean",
        "Process:",
        "Pack of 3",
        "Altitude: 1500",
        "Variety: Caturra,",
        "decaf",
        "Arabica / Robusta",
        "a | b",
        "x 4",
        "1/0 lb",
    ]
)


@given(
    _TEXT,
    st.lists(_TEXT, max_size=6),
    st.lists(_TEXT, max_size=4),
    st.dictionaries(_TEXT, st.lists(_TEXT, min_size=1, max_size=2), max_size=2),
)
def test_normalise_is_total_and_keeps_to_its_enums(
    title: str, lines: list[str], tags: list[str], options: dict[str, list[str]]
) -> None:
    item = listing(title, "<br>".join(lines), tags=tags, options=options, grams=250)
    found, each = normalise(item)
    assert len(each) == len(item.variants)
    assert found.roast_level in ROASTS | {None}
    assert found.process in PROCESSES | {None}
    assert found.species in SPECIES | {None}
    assert 0 <= found.confidence <= 1
    assert 0 <= found.is_coffee_confidence <= 1
    for variant in each:
        assert variant.grind in GRINDS | {None}
        assert variant.net_weight_source in WEIGHT_SOURCES | {None}
        assert variant.pack_count >= 1
        assert variant.net_weight_g is None or variant.net_weight_g > 0
    assert normalise(item) == (found, each)
