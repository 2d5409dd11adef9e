"""Laws of reading a listing."""

from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.coffee.facts import normalise
from scout_assets_tests.domain.coffee.listings import listing, variants

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
