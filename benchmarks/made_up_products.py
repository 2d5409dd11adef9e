"""Made-up product lists with known links, for the benchmarks of matching.

Belongs here: names as shops and suppliers print them, and what a supplier does to a name: typing
errors, dropped, added and moved words, codes written otherwise or left out. Does not belong
here: what is measured on them. Everything follows from the seed.
"""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

_ONSETS = [
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "ch",
    "cl",
    "cr",
    "dr",
    "fl",
    "gr",
    "pl",
    "pr",
    "sh",
    "sl",
    "st",
    "tr",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]
_ENDS = ["", "", "n", "r", "l", "s", "t", "x", "nd", "ck"]
_COLOURS = ("Black", "White", "Silver", "Red", "Blue", "Grey", "")
_MEASURES = ("{} GB", "{} W", "{} ml", "{} cm", "{}-Pack", "{} inch", "{} V")
_LETTERS = "ABCDEFGHKLMNPRSTVWX"
CATEGORIES = 40


_Row = tuple[str, str, str, float]  # name, brand, category, price


class Lists(NamedTuple):
    """Items, catalogue and the links between them (item_id, product_id)."""

    items: pl.DataFrame
    catalogue: pl.DataFrame
    links: pl.DataFrame


def lists(size: int, seed: int = 7, known: float = 0.8) -> Lists:
    """`size` products, and as many items of which the share `known` are products of them."""
    rng = random.Random(seed)
    makers = [_word(rng, 2).title() for _ in range(max(50, size // 400))]
    words = sorted({_word(rng, rng.randint(2, 4)) for _ in range(40_000)})
    rng.shuffle(words)
    products = [_product(rng, makers, words) for _ in range(size)]
    places = list(range(size))
    rng.shuffle(places)
    items = [_printed(rng, products[at], words) for at in places[: int(known * size)]]
    items += [_printed(rng, _product(rng, makers, words), words) for _ in range(size - len(items))]
    order = list(range(size))
    rng.shuffle(order)
    links = {f"i{order[at]}": f"p{places[at]}" for at in range(int(known * size))}
    return Lists(
        _frame("i", order, items), _frame("p", range(size), (_whole(one) for one in products)),
        pl.DataFrame({"item_id": list(links), "product_id": list(links.values())}),
    )  # fmt: skip


class _Product(NamedTuple):
    maker: str
    words: tuple[str, ...]
    code: str
    measure: str
    colour: str
    category: str
    price: float


def _word(rng: random.Random, syllables: int) -> str:
    sounds = (rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables))
    return "".join(sounds) + rng.choice(_ENDS)


def _usual(rng: random.Random, words: Sequence[str]) -> str:
    """Few words often, most words seldom, as in any language (Zipf)."""
    return words[min(int(rng.paretovariate(0.3)), len(words)) - 1]


def _product(rng: random.Random, makers: Sequence[str], words: Sequence[str]) -> _Product:
    letters = "".join(rng.choices(_LETTERS, k=rng.randint(1, 3)))
    digits = str(rng.randint(10, 9_999))
    code = f"{letters}{rng.choice(('-', ''))}{digits}{rng.choice(('', '', 'A', 'B', 'X'))}"
    return _Product(
        _usual(rng, makers),
        tuple({_usual(rng, words): 0 for _ in range(rng.randint(4, 7))}),
        code if rng.random() < 0.55 else "",
        rng.choice(_MEASURES).format(rng.choice((2, 5, 10, 12, 20, 32, 50, 75, 100, 250, 500))),
        rng.choice(_COLOURS),
        f"category {rng.randrange(CATEGORIES)}",
        round(rng.lognormvariate(3.5, 1), 2),
    )


def _whole(one: _Product) -> _Row:
    parts = (one.maker, *(word.title() for word in one.words), one.measure, one.colour, one.code)
    return " ".join(part for part in parts if part), one.maker, one.category, one.price


def _printed(rng: random.Random, one: _Product, words: Sequence[str]) -> _Row:
    """The product as a supplier prints it."""
    kept = [_typed(rng, word) for word in one.words if rng.random() > 0.1]
    if rng.random() < 0.25:
        kept.append(_usual(rng, words))
    if rng.random() < 0.2:
        rng.shuffle(kept)
    code = one.code if rng.random() > 0.1 else ""
    if code and rng.random() < 0.4:
        code = code.replace("-", "") if "-" in code else f"{code[:2]}-{code[2:]}"
    measure = one.measure.replace(" ", "") if rng.random() < 0.5 else one.measure
    parts = [_typed(rng, one.maker), *kept, measure if rng.random() > 0.15 else ""]
    parts += [one.colour if rng.random() > 0.3 else "", code]
    name = " ".join(part for part in parts if part)
    return name, one.maker, one.category, round(one.price * rng.uniform(0.9, 1.1), 2)


def _typed(rng: random.Random, word: str) -> str:
    """The word, now and then with a typing error."""
    if rng.random() > 0.08 or len(word) < 4:
        return word
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + rng.choice("aeioustnr") + word[at + 1 :]


def _frame(prefix: str, numbers: Sequence[int], rows: Iterable[_Row]) -> pl.DataFrame:
    names = ("name", "brand", "category", "price")
    frame = pl.DataFrame(list(rows), schema=names, orient="row")
    ids = pl.Series("id", [f"{prefix}{number}" for number in numbers])
    return frame.insert_column(0, ids)
