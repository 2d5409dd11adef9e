"""What the page says it tastes of."""

import pytest

from scout_assets_tests.domain.coffee.listings import facts


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
        ("Great with a splash of cream.", ""),
        ("Notas de cata: melocotón en almíbar, naranja", "melocotón en almíbar|naranja"),
        ("Think plum, clove and dark honey by the fire.", "plum|clove|dark honey"),
        ("Makuprofiili: vadelma, ruusunmarja", "vadelma|ruusunmarja"),
        ("W filiżance: czarna porzeczka, grejpfrut", "czarna porzeczka|grejpfrut"),
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
