"""What grew and where: species, varieties, origin, altitude, crop; and decaf."""

import pytest

from scout_assets_tests.domain.coffee.listings import facts


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
        ("A", "This SL-09 came third.", ("SL09",)),
        ("A", "品種\uff1aカトゥアイ、ティピカ", ("Catuai", "Typica")),
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
