"""The words that the tokeniser knows: units of measure, spellings, colours and editions.

Belongs here: word lists and what each word stands for. Does not belong here: how text is cut.
Every list holds what trade in general prints, in folded form; plural "s" is not repeated.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Unit(NamedTuple):
    """A dimension and the factor to its base unit. `loose` may stand apart from the number."""

    dimension: str
    factor: float
    loose: bool = True


DIMENSIONS = (
    "volume",  # ml
    "mass",  # g
    "length",  # mm
    "pack",  # pieces
    "voltage",  # V
    "power",  # W
    "storage",  # MB
    "frequency",  # MHz
    "resolution",  # megapixels
    "zoom",
    "seats",  # users, licences
    "ports",
    "charge",  # mAh
    "time",  # days
    "speed",  # rpm
)
"""Base units in comments. International yard and pound (1959), US customary volume."""

_UNITS: Mapping[tuple[str, float, bool], str] = {
    ("volume", 1.0, True): "ml milliliter millilitre mililitro",
    ("volume", 10.0, True): "cl centiliter centilitre",
    ("volume", 100.0, True): "dl deciliter decilitre",
    ("volume", 1000.0, True): "l lt ltr liter litre litro",
    ("volume", 29.5735295625, True): "floz",
    ("volume", 3785.411784, True): "gal gallon",
    ("mass", 0.001, True): "mg milligram",
    ("mass", 1.0, True): "g gr gm gms gram gramme",
    ("mass", 1000.0, True): "kg kgs kilo kilogram",
    ("mass", 28.349523125, True): "oz ounce",
    ("mass", 453.59237, True): "lb lbs pound",
    ("length", 1.0, True): "mm millimeter millimetre",
    ("length", 10.0, True): "cm centimeter centimetre",
    ("length", 1000.0, False): "m",
    ("length", 1000.0, True): "meter metre mtr",
    ("length", 25.4, True): "in inch inche",
    ("length", 304.8, True): "ft foot feet",
    ("pack", 1.0, True): "pk pack pck ct count pc pcs piece stk stuck er",
    ("pack", 12.0, True): "dozen doz",
    ("voltage", 1.0, True): "v volt vac vdc",
    ("power", 1.0, True): "w watt",
    ("power", 1000.0, True): "kw kilowatt",
    ("storage", 0.001, True): "kb kilobyte",
    ("storage", 1.0, True): "mb megabyte meg",
    ("storage", 1000.0, True): "gb gigabyte gig",
    ("storage", 1000000.0, True): "tb terabyte",
    ("frequency", 0.001, True): "khz",
    ("frequency", 1.0, True): "mhz",
    ("frequency", 1000.0, True): "ghz",
    ("resolution", 1.0, True): "mp megapixel mpix mpixel",
    ("zoom", 1.0, False): "x",
    ("seats", 1.0, True): "user u usr seat license licence lic",
    ("ports", 1.0, True): "port",
    ("charge", 1.0, True): "mah",
    ("charge", 1000.0, True): "ah",
    ("time", 1.0, True): "day",
    ("time", 30.0, True): "month mo",
    ("time", 365.0, True): "year yr",
    ("speed", 1.0, True): "rpm",
}
UNITS: Mapping[str, Unit] = {
    word: Unit(*unit) for unit, words in _UNITS.items() for word in words.split()
}

SPELLINGS: Mapping[str, str] = {
    word: standard
    for standard, words in {
        "black": "blk",
        "white": "wht whi",
        "silver": "slv slvr slver",
        "gray": "grey gry",
        "yellow": "yel ylw",
        "blue": "blu",
        "and": "y et und e",
        "with": "w mit avec con",
        "professional": "pro prof",
        "standard": "std stnd",
        "premium": "prem premier",
        "deluxe": "dlx",
        "edition": "ed edn",
        "version": "ver vers",
        "upgrade": "upg upgrd upgr upgd",
        "academic": "acad acade edu educational education student teacher school",
        "windows": "win window",
        "macintosh": "mac macos osx",
        "microsoft": "ms msft",
        "wireless": "wrls wifi cordless",
        "digital": "dig",
        "television": "tv hdtv telly",
        "photo": "photograph picture",
        "refrigerator": "fridge",
        "headphone": "headphone earphone headset",
        "speaker": "loudspeaker spkr",
        "battery": "batt",
        "stainless": "ss inox",
        "red": "rouge rosso rot tinto",
        "rose": "rosado rosato",
        "domaine": "dom dne",
        "chateau": "ch cht",
        "saint": "st ste",
        "vineyard": "vyd vyds",
        "reserve": "reserva riserva res rsv",
        "cabernet": "cab",
        "sauvignon": "sauv",
        "package": "pkg pkge",
        "international": "intl",
        "accessory": "acc acces",
        "replacement": "repl rplc",
        "small": "sml",
        "large": "lg lrg",
        "medium": "med",
    }.items()
    for word in words.split()
    if word != standard
}
"""Abbreviation or variant to the standard word."""

TRAITS: Mapping[str, str] = {
    word: trait
    for trait, words in {
        "colour": "black white silver gray red blue green yellow pink orange purple brown gold"
        " beige titanium graphite bronze copper cyan magenta charcoal ivory bisque"
        " burgundy violet champagne navy turquoise biscuit espresso cherry",
        "edition": "upgrade academic oem standard professional premium deluxe ultimate basic lite"
        " enterprise server home express platinum extended trial renewal elite starter"
        " essential mini max plus nano junior",
        "platform": "windows macintosh linux unix xbox ps2 ps3 wii playstation nintendo",
    }.items()
    for word in words.split()
}
"""A word of a group that tells variants of one product apart."""

TRAIT_GROUPS = ("colour", "edition", "platform")
