"""What is searched, how two rankings become one, and what a person may ask for.

Belongs here: the text of a parent and its hash, words as the lexical index sees them, reciprocal
rank fusion, the filters of a query and the hit it returns. Does not belong here: making vectors
(`gateways.embedders`), or keeping and asking the index (`gateways.vectors`).
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from scout_assets.domain.failures import BadConfig, Critical
from scout_assets.domain.lexicon import fold, vocabulary
from scout_assets.domain.tables import SEARCH_DOCUMENTS

DESCRIPTION_CHARS = 500
"""How much of a page's prose is searched. Mean-pooled vectors blur with length, and most
product pages say what matters in their first lines."""

FUSION_K = 60
"""The constant of reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009."""

TELLING_GRINDS = 3
"""A page that offers more grinds than this offers every grind, which says nothing about it."""

WORDS_VERSION = 1
"""Raise it when `searchable`, `stem` or `WORD` change: kept indexes are then built anew."""

# Words of running text. The vocabulary's grinds are those of options, where "clever" and "greek"
# are brewers.
BREW_METHODS: Mapping[str, str] = {
    "filter": r"filter|filtre|filtro|pour[- ]?over|v-?60|chemex|kalita|drip",
    "pour over": r"pour[- ]?over|v-?60|chemex|kalita",
    "espresso": r"espresso|expresso",
    "aeropress": r"aero ?press",
    "french press": r"french press|cafeti[eè]re|prensa francesa|plunger",
    "moka pot": r"moka|cafetera italiana|stovetop",
    "cold brew": r"cold[- ]?brew",
    "turkish": r"turkish|ibrik|cezve",
    "syphon": r"s[yi]phon",
    "south indian filter": r"south indian filter",
}
_BREWS = {
    method: re.compile(rf"\b(?:{words})", re.IGNORECASE) for method, words in BREW_METHODS.items()
}

WORD = r"(?u)\w+"
_CODE = re.compile(r"(?<=\b[a-z])([a-z]{0,2})[-.](?=\d)")


class Document(BaseModel):
    """The searched text of one parent. Gone parents are not `listed`: nobody finds them."""

    model_config = ConfigDict(frozen=True)

    kind: str
    source: str
    parent_id: str
    text: str
    text_hash: str
    listed: bool


class Filters(BaseModel):
    """What a hit must satisfy; None asks nothing.

    Prices are those of a whole pack, bounds included. Bounds compare only offers in one
    currency: an ISO 4217 code, which may be left out while every offer is in the same one.
    `without` names sources to leave out, such as retired ones.
    Raises BadConfig for bounds that cross or are below zero and for what is no currency code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str | None = None
    source: str | None = None
    currency: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool = False
    without: tuple[str, ...] = ()

    def model_post_init(self, _context: object) -> None:
        for name in ("min_price", "max_price"):
            bound = getattr(self, name)
            if bound is not None and bound < 0:
                raise BadConfig(f"{name} is {bound}: prices are not below 0")
        low, high = self.min_price, self.max_price
        if low is not None and high is not None and low > high:
            raise BadConfig(f"min_price {low} is above max_price {high}: swap them")
        if self.currency is not None and not re.fullmatch("[A-Z]{3}", self.currency):
            raise BadConfig(f"currency is {self.currency!r}: write an ISO 4217 code, such as EUR")

    @property
    def bounds_price(self) -> bool:
        """Whether prices are compared, which needs one currency."""
        return self.min_price is not None or self.max_price is not None

    @property
    def concerns_offers(self) -> bool:
        """Whether a hit needs an offer that passes."""
        return self.bounds_price or self.currency is not None or self.in_stock


class Hit(BaseModel):
    """One parent that was found, with its cheapest variant that passes the filters.

    Variant and offer fields are null when the parent has no listed variant.
    """

    model_config = ConfigDict(frozen=True)

    parent_id: str
    title: str
    kind: str
    source: str
    url: str | None
    score: float
    """Sum of 1 / (60 + rank) over the two rankings: good for order, not a probability."""
    dense_rank: int | None
    """Place by likeness of meaning among what passes the filters; 1 is best."""
    lexical_rank: int | None
    """Place by BM25 among what passes the filters; null when no word of the query occurs."""
    roast_level: str | None
    process: str | None
    origin_country: str | None
    tasting_notes: list[str]
    product_id: str | None
    variant_title: str | None
    net_weight_g: float | None
    price: Decimal | None
    currency: str | None
    available: bool | None
    unit_price_100g: Decimal | None


def document_text(parent: Mapping[str, Any], grinds: Iterable[str] = ()) -> str:
    """What is embedded and searched of a row of `parents`, most telling first.

    `grinds` are those of its variants. Facts come in a person's words ("Ethiopian", "for
    filter") beside those of the page, and nothing is said twice.
    """
    said: list[str] = []
    heard = " "
    for phrase in _phrases(parent, grinds):
        plain = " ".join(re.findall(WORD, phrase.casefold()))
        if plain and f" {plain} " not in heard:
            said.append(" ".join(phrase.split()))
            heard = f"{heard}{plain} "
    return ". ".join(said)


def _phrases(parent: Mapping[str, Any], grinds: Iterable[str]) -> Iterable[str]:
    yield parent["title"]
    yield parent["vendor"] or ""
    yield from parent["tasting_notes"] or ()
    yield _named(parent["process"], "process")
    yield parent["process_raw"] or ""
    yield _named(parent["roast_level"], "roast")
    yield parent["roast_level_raw"] or ""
    yield _country(parent["origin_country"])
    yield parent["origin_region"] or ""
    yield parent["estate"] or ""
    yield from parent["varieties"] or ()
    yield parent["species"] or ""
    yield "decaf decaffeinated" if parent["decaf"] else ""
    yield _brewing(parent, grinds)
    yield parent["product_type"] or ""
    yield "coffee" if parent["is_coffee"] else ""
    yield "subscription" if parent["subscription"] else ""
    yield _first_chars(parent["description"], DESCRIPTION_CHARS)


def _named(level: str | None, noun: str) -> str:
    return f"{level.replace('_', ' ')} {noun}" if level else ""


def _country(code: str | None) -> str:
    """Every name and adjective of a country that stores use: "ethiopia ethiopian etiopia"."""
    known = vocabulary("origins").get(code, {}) if code else {}
    return " ".join(known.get("names", [code or ""]))


def _brewing(parent: Mapping[str, Any], grinds: Iterable[str]) -> str:
    page = " ".join((parent["title"], *(parent["tags"] or ()), parent["description"]))
    methods = [method for method, words in _BREWS.items() if words.search(page)]
    ground = sorted({grind.replace("_", " ") for grind in grinds} - {"whole", *methods})
    methods += ground if len(ground) <= TELLING_GRINDS else []
    return f"for {', '.join(methods)}" if methods and parent["is_coffee"] else ""


def _first_chars(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    words, _, cut = text[: limit + 1].rpartition(" ")
    return words or cut[:limit]


def text_hash(model: str, text: str) -> str:
    """sha256 of model and text: another model, or another word, is another vector."""
    return hashlib.sha256(f"{model}\0{text}".encode()).hexdigest()


def documents(
    parents: Iterable[Mapping[str, Any]], products: Iterable[Mapping[str, Any]], model: str
) -> list[Document]:
    """The documents of rows of `parents`, gone ones included, in their order.

    `products` gives the grinds on offer; rows of other parents do not matter.
    """
    grinds: dict[str, set[str]] = {}
    for product in products:
        if product["grind"] and product["gone_at"] is None:
            grinds.setdefault(product["parent_id"], set()).add(product["grind"])
    return [_document(parent, grinds.get(parent["parent_id"], ()), model) for parent in parents]


def _document(parent: Mapping[str, Any], grinds: Iterable[str], model: str) -> Document:
    text = document_text(parent, grinds)
    return Document(
        kind=parent["kind"],
        source=parent["source"],
        parent_id=parent["parent_id"],
        text=text,
        text_hash=text_hash(model, text),
        listed=parent["gone_at"] is None,
    )


def search_documents(found: Sequence[Document], embeddings: pa.Table) -> pa.Table:
    """Rows of `search_documents`: the listed documents with their vectors.

    `embeddings` are rows of that table. Raises Critical when a listed document has no vector
    there, which means that the embeddings were made from other parents.
    """
    place = {text_hash: row for row, text_hash in enumerate(embeddings["text_hash"].to_pylist())}
    listed = [document for document in found if document.listed]
    bare = [document.parent_id for document in listed if document.text_hash not in place]
    if bare:
        raise Critical(
            f"{len(bare)} parents have no embedding, such as {bare[0]}: materialise embeddings "
            "of their sources again, then vector_index"
        )
    vectors = embeddings["vector"].take(pa.array([place[d.text_hash] for d in listed], pa.int64()))
    columns = [
        vectors if name == "vector" else pa.array([getattr(d, name) for d in listed], pa.string())
        for name in SEARCH_DOCUMENTS.schema.names
    ]
    return pa.table(columns, schema=SEARCH_DOCUMENTS.schema)


def searchable(text: str) -> str:
    """Folded (no case, no accents), cultivar codes in one spelling: "SL-28" is "sl28"."""
    return _CODE.sub(r"\1", fold(unicodedata.normalize("NFKC", text)))


def stem(word: str) -> str:
    """Singular of an English plural, by the S-stemmer of Harman (JASIS 42, 1991).

    It also meets most plurals of Spanish, Portuguese and French; heavier stemmers are made for
    one language each and would harm the names that product pages are full of.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(("us", "ss")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return f"{word[:-3]}y"
    return word[:-1]


def words(text: str) -> list[str]:
    """The words of a query or text as the lexical index knows them."""
    return [stem(word) for word in re.findall(WORD, searchable(text))]


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], k: int = FUSION_K
) -> list[tuple[int, float]]:
    """One ranking out of several: score is the sum of 1 / (k + rank), ranks from 1.

    Best first. The order of `rankings` does not matter; ties go to the better single rank,
    then to the smaller item. An item must not stand twice in one ranking.
    """
    ranks: dict[int, list[int]] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            ranks.setdefault(item, []).append(rank)
    # fsum rounds once, so that a sum does not depend on the order of the rankings.
    scores = {item: math.fsum(1 / (k + rank) for rank in got) for item, got in ranks.items()}
    best = sorted(scores, key=lambda item: (-scores[item], min(ranks[item]), item))
    return [(item, scores[item]) for item in best]
