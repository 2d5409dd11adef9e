"""Features of goods in running text: sizes, packs, vintages, volts, watts, bytes, dimensions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.specs import NEWEST_VINTAGE, OLDEST_VINTAGE, extract


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12x75cl", {"pack_count": 12, "size_ml": 750}),
        ("6 x 750ml", {"pack_count": 6, "size_ml": 750}),
        ("12/750mL", {"pack_count": 12, "size_ml": 750}),
        ("3/1.5 L", {"pack_count": 3, "size_ml": 1500}),
        ("1/24L", {"pack_count": 1, "size_ml": 24000}),
        ("2x250g", {"pack_count": 2, "size_g": 250}),
        ("500 g x 20", {"pack_count": 20, "size_g": 500}),
        ("12 Fl. x 0,75l", {"pack_count": 12, "size_ml": 750}),
        ("33cl/24 bottles", {"pack_count": 24, "size_ml": 330}),
        ("24 x 330ml cans", {"pack_count": 24, "size_ml": 330}),
        ("case of 12", {"pack_count": 12}),
        ("MAGNUM [6/cs]", {"pack_count": 6, "size_ml": 1500}),
        ("Karton 6 Fl.", {"pack_count": 6}),
        ("6er Karton", {"pack_count": 6}),
        ("(12 pk)", {"pack_count": 12}),
        ("48pk can", {"pack_count": 48}),
    ],
)
def test_packs_and_the_size_of_one(text: str, expected: dict[str, float]):
    assert extract(text).named() == expected


@pytest.mark.parametrize(
    ("text", "millilitres"),
    [
        ("0,75 l", 750),
        ("75cl", 750),
        ("750 mL", 750),
        ("1,000 ml", 1000),
        ("3 ltr", 3000),
        ("20.0L", 20000),
    ],
)
def test_volumes_in_any_unit_are_millilitres(text: str, millilitres: float):
    assert extract(text).size_ml == millilitres


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        ("1 kg", 1000),
        ("0,25 kg", 250),
        ("1.234,5 g", 1234.5),
        ("1/2 lb", 226.7962),
        ("250 \u0433", 250),
    ],
)
def test_weights_in_any_unit_are_grams(text: str, grams: float):
    assert extract(text).size_g == grams


@pytest.mark.parametrize(
    ("text", "millilitres", "grams"),
    [
        ("Paper cups 8 oz", 236.5882, None),  # what an empty vessel holds
        ("Double wall hot cup 12oz", 354.8824, None),
        ("Stoneware mug, 12 oz", 354.8824, None),
        ("Mug 350 g", None, 350),
        ("Peanut butter cups 8 oz", None, 226.7962),
        ("Coffee beans 12 oz", None, 340.1943),
    ],
)
def test_ounces_of_an_empty_vessel_are_a_volume(
    text: str, millilitres: float | None, grams: float | None
) -> None:
    assert (extract(text).size_ml, extract(text).size_g) == (millilitres, grams)


@pytest.mark.parametrize(
    ("text", "vintage"),
    [
        ("Barolo 2019", 2019),
        ("Anjou Rouge '23", 2023),
        ("Madeira '95", 1995),
        ("Prosecco NV", "NV"),
        ("Champagne Non Vintage", "NV"),
        ("Sauternes 1er Cru 2015 375ml", 2015),
        ("Serie 1475", None),
        ("Article 20-2021-7", None),
        ("2000 ml", None),
    ],
)
def test_vintages(text: str, vintage: object):
    assert extract(text).vintage == vintage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("220-240V", {"voltage_v": (220, 240)}),
        ("110/220 V", {"voltage_v": (110, 220)}),
        ("12V DC", {"voltage_v": (12, 12)}),
        ("LED 5 W 230V", {"voltage_v": (230, 230), "power_w": (5, 5)}),
        ("heater 1.5kW", {"power_w": (1500, 1500)}),
        ("8GB RAM 256GB SSD", {"memory_gb": 8, "storage_gb": 256}),
        ("16GB/512GB", {"memory_gb": 16, "storage_gb": 512}),
        ("disk 2TB", {"storage_gb": 2048}),
        ("board 30 x 40 cm", {"dimensions_mm": (300, 400)}),
        ("box 30 x 40 x 50 mm", {"dimensions_mm": (30, 40, 50)}),
        ("screw 4,0x40 mm 200 pcs", {"dimensions_mm": (4, 40), "pack_count": 200}),
        ("hose 20 mm", {"length_mm": 20}),
        ("5 kWh", {}),
    ],
)
def test_ranges_units_and_dimensions(text: str, expected: dict[str, object]):
    assert extract(text).named() == expected


@pytest.mark.parametrize("text", ["1er Cru", "No 5", "WH-1000XM5", "SW4G", "V.S.O.P.", "10%", ""])
def test_what_is_no_measure_is_left_alone(text: str):
    assert extract(text).named() == {}


@given(
    st.integers(1, 999),
    st.sampled_from([("ml", 750), ("cl", 75), ("l", 0.75), ("g", 250), ("kg", 1.5)]),
    st.sampled_from(["{n}x{s}{u}", "{n} x {s} {u}", "{s}{u} x {n}", "{n}*{s}{u}"]),
)
def test_a_pack_of_a_size_is_read_back_however_it_is_written(
    count: int, size: tuple[str, float], form: str
):
    unit, amount = size
    said = extract(form.format(n=count, s=amount, u=unit))
    factor = {"ml": 1, "cl": 10, "l": 1000, "g": 1, "kg": 1000}[unit]
    assert said.pack_count == count
    assert (said.size_ml or said.size_g) == pytest.approx(amount * factor)


@given(
    st.integers(OLDEST_VINTAGE, NEWEST_VINTAGE),
    st.sampled_from(["Riesling {}", "{} Riesling", "R {} trocken"]),
)
def test_a_year_is_a_vintage_wherever_it_stands(year: int, form: str):
    assert extract(form.format(year)).vintage == year


@given(st.floats(1, 500).map(lambda v: round(v, 1)), st.floats(0, 500).map(lambda v: round(v, 1)))
def test_a_range_keeps_both_ends(low: float, more: float):
    high = round(low + more, 1)
    assert extract(f"adapter {low:g}-{high:g} V").voltage_v == (low, high)


@given(st.text(max_size=80))
def test_any_text_is_read_and_spans_are_its_own(text: str):
    said = extract(text)
    assert set(said.named()) == set(said.spans)
    for span in said.spans.values():
        assert text[span.start : span.end] == span.text
        assert span.text
