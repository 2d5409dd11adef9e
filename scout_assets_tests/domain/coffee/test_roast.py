"""How far it is roasted: read as a shopper would, and nothing guessed."""

import pytest

from scout_assets_tests.domain.coffee.listings import facts


@pytest.mark.parametrize(
    ("title", "body", "level"),
    [
        # each of these was read wrong once
        ("Night Train", "Roasted to Full City+ for a heavy cup.", "medium_dark"),
        ("Day Train", "A light to medium roast.", "light_medium"),
        ("Day Train", "Not dark, not bitter.", None),
        ("Day Train", "We start this roast from a moderate point.", None),
        ("Day Train", "Torréfaction filtre, claire", "light"),
        ("Day Train", "Stopień palenia: jasny", "light"),
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
