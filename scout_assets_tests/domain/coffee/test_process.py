"""What was done before roasting."""

import pytest

from scout_assets_tests.domain.coffee.listings import facts


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
        ("A", "Process: Washed and sun-dried on patios.", "washed"),
        ("A", "Processing: Wasehd", "washed"),
        ("A", "Processing: Washing", "washed"),
        ("A", "Une Éthiopie lavée, vive.", "washed"),
        ("A", "Huila (washed), from two neighbours.", "washed"),
        ("A", "Obróbka: myta", "washed"),
        ("A", "Přírodně zpracovaná káva.", "natural"),
        ("Monsoon Mornings", "A blend for rainy days.", None),
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
        ("A", "Cerrado (pulped natural) • Huila (washed) • Guji (natural)"),
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
