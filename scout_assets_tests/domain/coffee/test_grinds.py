"""How it is ground."""

import pytest

from scout_assets_tests.domain.coffee.listings import variants


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


@pytest.mark.parametrize(
    ("body", "grind"),
    [
        ("Mahlgrad: Ganze Bohne", "whole"),
        ("Mahlgrad: Ganze Bohne, Filter, Espresso", None),
        ("Mouture : Espresso", None),
        ("Brewing: for filter", None),
        ("Grind: V60", None),
    ],
)
def test_a_grind_that_is_no_choice_stands_on_a_labelled_line(body: str, grind: str | None) -> None:
    (variant,) = variants(body=body)
    assert variant.grind == grind


@pytest.mark.parametrize(
    ("title", "kind", "body", "grind"),
    [
        ("Limu - café moulu", "Coffee", "Mouture filtre.", "filter"),
        ("Mörk Nr 3", "Bryggkaffe", "Malning: Brygg", "filter"),
        ("South Indian Filter Coffee", "Coffee", "Blended with chicory.", "south_indian_filter"),
        ("Türk Kahvesi", "Coffee", "Taş değirmende öğütülmüş.", "turkish"),
        ("Kenia AA - kawa ziarnista", "Coffee", "", "whole"),
        ("Rio", "Zrnková káva", "", "whole"),
        ("Filter Coffee", "Coffee", "Grind: as you like", None),
    ],
)
def test_goods_sold_ground_or_whole_say_so_by_their_name(
    title: str, kind: str, body: str, grind: str | None
) -> None:
    (variant,) = variants(title, body, kind=kind)
    assert variant.grind == grind
