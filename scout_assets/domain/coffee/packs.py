"""What one variant holds: net weight, pack count, GTIN.

Belongs here: which of a listing's texts to believe for a variant. Weights come from options
and titles first, then a printed pack in the description; Shopify's `grams` is the shipping
weight and counts only where nothing is printed and it equals a size coffee is sold in.
Does not belong here: reading a number out of a text (`measure`), its grind (`grinds`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from scout_assets.domain.coffee.grinds import Grind, grind, page_grind
from scout_assets.domain.coffee.passages import Page
from scout_assets.domain.lexicon import (
    Words,
    fold,
    phrases,
    short_words_of,
    word_set,
)
from scout_assets.domain.measure import (
    NOTHING,
    Quantity,
    offers_sizes,
    parse_count,
    parse_weight,
    valid_gtin,
)
from scout_assets.domain.storefront import Variant


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """Facts of one variant, in its listing's order.

    net_weight_g: grams of coffee in ONE unit; pack_count: units in the variant (1 when the
    page shows nothing else), so the variant holds their product. A weight that may be the
    total ("Pack of 2", "200g") is divided. net_weight_source: 'title', 'option',
    'product_title', 'description', 'shipping_grams' or None. grind is null with the raw text
    kept where the page names a grind the enum lacks ("Coarse"). gtin is null unless its check
    digit is right; `gtin_raw` keeps the printed text.
    """

    net_weight_g: float | None
    net_weight_source: str | None
    pack_count: int
    grind: str | None
    grind_raw: str | None
    gtin: str | None
    gtin_raw: str | None
    confidence: float


_TRUST = {
    "option": 0.98,
    "title": 0.95,
    "product_title": 0.9,
    "description": 0.75,
    "shipping_grams": 0.3,
    None: 0.5,
}

# Sizes roasted coffee is sold in, in grams (metric bags, and ounces and pounds rounded to a
# gram). A shipping weight that is none of them includes packaging and says nothing.
_RETAIL_GRAMS = frozenset(
    (
        50,
        75,
        100,
        113,
        125,
        150,
        200,
        225,
        226,
        227,
        250,
        283,
        284,
        340,
        341,
        400,
        453,
        454,
        500,
        680,
        750,
        907,
        908,
        1000,
        1500,
        2000,
        2267,
        2268,
        2500,
        3000,
        5000,
    )
)
# A parcel weighs no less than its goods; the margin is for a shop's rounding.
_PARCEL_MARGIN = 0.95


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What a listing says of all its variants.

    counts_by_weight: the pack counts that options print beside each weight. is_whole_pack:
    whether the goods are beans or ground coffee in a bag, so that a parcel's weight can be
    the coffee's (no capsules, cans, sachets, sets or subscriptions). is_liquid: whether they
    are a drink, whose "12 oz" is a volume.
    """

    titled: Quantity
    described: Quantity
    printed_in_options: bool
    counts_by_weight: Mapping[float, set[int]]
    is_whole_pack: bool
    page_grind: Grind
    is_liquid: bool
    is_coffee: bool


def variant_facts(page: Page, *, is_coffee: bool, subscription: bool) -> tuple[VariantFacts, ...]:
    """Facts of each variant of the page's listing, in order."""
    listing = page.listing
    in_grams = _sizes_in_grams(listing.options)
    printed = [_printed(variant.options, variant.title, in_grams) for variant in listing.variants]
    shelf = _shelf(page, [quantity for quantity, _ in printed], is_coffee, subscription)
    return tuple(
        _facts(variant, quantity, source, shelf)
        for variant, (quantity, source) in zip(listing.variants, printed, strict=True)
    )


def _shelf(page: Page, printed: list[Quantity], is_coffee: bool, subscription: bool) -> _Shelf:
    counts: dict[float, set[int]] = {}
    for quantity in printed:
        if quantity.grams is not None:
            counts.setdefault(quantity.grams, set()).add(quantity.units or 1)
    title = page.listing.title
    titled = NOTHING if offers_sizes(title) else parse_weight(title)
    silent = titled.grams is None and not counts
    return _Shelf(
        titled=titled,
        described=_described(page) if is_coffee and (silent or _is_single(printed)) else NOTHING,
        printed_in_options=bool(counts),
        counts_by_weight=counts,
        is_whole_pack=is_coffee
        and silent
        and not subscription
        and not page.is_assortment
        and not (_is_portioned(page) or page.is_named(_GIFT)),
        page_grind=page_grind(page) if is_coffee else (None, None),
        is_liquid=_is_liquid(page),
        is_coffee=is_coffee,
    )


def _is_single(printed: list[Quantity]) -> bool:
    """One weight and no count in the options: the description may tell of several bags."""
    return len({q.grams for q in printed}) == 1 and not any(q.units for q in printed)


def _facts(variant: Variant, printed: Quantity, source: str | None, shelf: _Shelf) -> VariantFacts:
    grams, count, source = _settle(printed, source, variant, shelf)
    if not shelf.is_coffee:
        grams = source = None
    ground, ground_raw = grind(variant, shelf.page_grind) if shelf.is_coffee else (None, None)
    return VariantFacts(
        net_weight_g=grams,
        net_weight_source=source,
        pack_count=count,
        grind=ground,
        grind_raw=ground_raw,
        gtin=valid_gtin(variant.barcode) if variant.barcode else None,
        gtin_raw=variant.barcode,
        confidence=_TRUST[source],
    )


# --- weight and count ---------------------------------------------------------------------


def _printed(
    options: Mapping[str, str], title: str | None, in_grams: bool
) -> tuple[Quantity, str | None]:
    """What a variant's own options (else its title) print, and which of the two it was."""
    weight, units = NOTHING, None
    for name, value in options.items():
        found = _option_quantity(name, value, in_grams)
        weight = found if weight.grams is None else weight
        units = units or found.units
    if weight.grams is None:
        weight = _named_quantity(options) or weight
        units = units or weight.units
    if weight.grams is not None and weight.units is None and units is not None:
        # Size and number are chosen apart: the size is one unit's.
        return weight._replace(units=units, each=True), "option"
    if weight.grams is not None or units is not None:
        return weight._replace(units=units), "option"
    if not options and title is not None:
        quantity = parse_weight(title)
        return quantity, "title" if quantity.grams is not None else None
    return NOTHING, None


def _named_quantity(options: Mapping[str, str]) -> Quantity | None:
    """A weight in an option's name: "4x 60g coffees": Whole bean. Not that of an extra."""
    for name, value in options.items():
        unit = _UNIT_IN_NAME.search(fold(name))
        printed = f"{value} {unit[1]}" if unit and _BARE_NUMBER.fullmatch(value) else name
        found = parse_weight(printed)
        if found.grams is not None and not _EXTRA.search(fold(name)):
            return found
    return None


_BARE_NUMBER = re.compile(r"\s*\d+(?:[.,]\d+)?\s*")
_UNIT_IN_NAME = re.compile(r"\b(kg|kilos?|oz|lbs?)\b")
_EXTRA = re.compile(r"\b(?:add|extra|free|bonus|plus|from|over|gratis|upgrade)\b|[?+]")


@lru_cache(maxsize=8192)
def _option_quantity(name: str, value: str, in_grams: bool) -> Quantity:
    folded = fold(name).strip(" :")
    if folded in word_set("packs", "skip_names"):
        quantity = parse_weight(value)  # "2 x 250 g / month" is a plan that prints a weight
        return quantity if quantity.grams is not None else NOTHING
    bare = re.fullmatch(r"\s*(\d{2,4})\s*", value)
    if bare and folded in word_set("packs", "size_names"):
        # No unit: grams if a sibling says so or the number is a usual bag (nobody sells 250 oz).
        grams = float(bare[1])
        return Quantity(grams, None) if in_grams or grams in _RETAIL_GRAMS else NOTHING
    return parse_weight(value)


def _sizes_in_grams(options: Mapping[str, tuple[str, ...]]) -> bool:
    """A bare "200" among sizes is grams where another size of the option is metric."""
    return any(
        re.fullmatch(r"\s*\d+(?:[.,]\d+)?\s*(?:g|gr|gms?|kgs?|grams?)\.?\s*", fold(value))
        for name, values in options.items()
        if fold(name).strip(" :") in word_set("packs", "size_names")
        for value in values
    )


def _settle(
    printed: Quantity, source: str | None, variant: Variant, shelf: _Shelf
) -> tuple[float | None, int, str | None]:
    """(grams of one unit, number of units, source of the weight)."""
    units = printed.units or shelf.titled.units or _described_units(printed.grams, shelf)
    if printed.grams is not None:
        weight = printed._replace(units=units)
    elif shelf.titled.grams is not None:
        source = "product_title"
        chosen = shelf.titled.each or printed.units is not None
        weight = shelf.titled._replace(units=units, each=chosen)
    elif shelf.described.grams is not None and not shelf.printed_in_options:
        source = "description"
        weight = shelf.described._replace(units=units)
    else:
        grams = _parcel_grams(variant, units, shelf)
        return grams, units or 1, "shipping_grams" if grams is not None else None
    if shelf.is_liquid and weight.imperial:
        return None, units or 1, None
    grams = weight.grams if _is_each(weight, variant, shelf) else weight.unit_grams
    return grams, units or 1, source


def _described_units(grams: float | None, shelf: _Shelf) -> int | None:
    """The description's count, unless it may belong to goods of another weight: "3 x 75g" tells
    of a 225 g pack, but of a 250 g bag "try 3 x 250g" or "our three-pack" tells nothing."""
    described = shelf.described
    if grams is None or described.units is None:
        return described.units
    if described.grams is None:
        return None
    total = described.grams * described.units
    return described.units if abs(total - grams) <= 0.05 * grams else None


def _is_each(joined: Quantity, variant: Variant, shelf: _Shelf) -> bool:
    """Evidence that the weight is one unit's: the text ties them, it is a bag in ounces, the
    same weight stands beside several counts, or the parcel is as heavy as that many units."""
    if joined.each or joined.grams is None or not joined.units or joined.imperial:
        return True
    if len(shelf.counts_by_weight.get(joined.grams, ())) > 1:
        return True
    parcel = variant.shipping_grams or 0.0
    return parcel >= _PARCEL_MARGIN * joined.grams * joined.units


def _parcel_grams(variant: Variant, count: int | None, shelf: _Shelf) -> float | None:
    """The shipping weight, where nothing is printed anywhere and it is a size coffee has."""
    parcel = variant.shipping_grams
    if (
        not shelf.is_whole_pack
        or shelf.printed_in_options
        or (count or 1) > 1
        or parcel is None
        or round(parcel) not in _RETAIL_GRAMS
    ):
        return None
    return parcel


_RECIPE = re.compile(
    r"\b(?:water|dose|ratio|recipe|yield|brew with|per (?:100|cup|liter|litre)|wasser|eau|agua"
    r"|acqua|kcal|energy|carbs|protein|sugar|fat|ml of|sodium|serving|caffeine|minimum|shipping"
    r"|free delivery|order over|orders over)\b"
)


def _described(page: Page) -> Quantity:
    """A pack printed in the description: a labelled net weight, "75 g x 3 pouches", "each 50g".

    Brewing recipes and nutrition tables print weights too: their sentences are passed over.
    """
    for value in page.values("weight"):
        short = len(value.text) < 80 and not offers_sizes(value.text)
        quantity = parse_weight(value.text) if short else NOTHING
        if quantity.grams is not None:
            return quantity
    count: int | None = None
    for sentence in _without_size_list(page.sentences):
        folded = sentence.folded
        quantity = parse_weight(folded)
        if quantity.grams is not None and _of_a_piece(folded):
            return quantity._replace(units=count, each=True)
        if _RECIPE.search(folded) or offers_sizes(folded):
            continue
        if quantity.grams is not None and (
            quantity.each
            or _held(folded)
            or _opens_with_size(sentence, quantity.grams)
            or len(sentence.words) <= _MOST_WORDS_OF_A_SIZE
        ):
            return quantity if quantity.units else quantity._replace(units=count)
        if count is None and _counts_pack(folded):
            count = parse_count(folded)
    return Quantity(None, count)


def _without_size_list(sentences: list[Words]) -> list[Words]:
    """The sentences without lines that are only a size, where they print different ones."""
    sizes = {
        sentence.text: grams
        for sentence in sentences
        if len(sentence.words) <= _MOST_WORDS_OF_A_SIZE
        and (grams := parse_weight(sentence.folded).grams) is not None
    }
    if len(set(sizes.values())) < 2:
        return sentences
    return [sentence for sentence in sentences if sentence.text not in sizes]


# "Ogni capsula contiene 5,6 g", "7 g of coffee per pod", "1袋12g".
_PIECE = (
    r"(?:capsul\w*|kapseln?|kapsler|pods?|sachets?|dosettes?|cialda|cialde|bustin[ae]|sobres?|sticks?"
    r"|zakjes?|capsula|drip ?bags?|filterbeutel|pad)"
)
_OF_A_PIECE = re.compile(
    rf"\b(?:each|every|per|ogni|jede[rsn]?|chaque|cada|elke|je|una|pro|par|por) {_PIECE}\b"
    r"[^.]{0,40}?\b\d+(?:[.,]\d+)?\s?g\b"
    rf"|\b\d+(?:[.,]\d+)?\s?g\b[^.,]{{0,30}}\b(?:each|apiece|chacune?|ciascun[oa]|cada un[oa]"
    rf"|(?:per|pro|par|por|je|a) {_PIECE})\b"
    r"|1\s?[\u888b\u5305\u5165]\s?\d+(?:[.,]\d+)?\s?g"
)
_NUTRIENT = re.compile(
    r"\b(?:kcal|energy|carbs|protein|sugars?|fat|sodium|serving|caffeine|water)\b"
)


def _of_a_piece(folded: str) -> bool:
    return _OF_A_PIECE.search(folded) is not None and not _NUTRIENT.search(folded)


_LEAST_BAG_GRAMS = 50  # less is a dose ("18 g whole beans")
_SIZE = re.compile(
    r"^\W*\d+(?:[.,]\d+)?\s?(?:g|gr|gms?|gram\w*|kg|kilos?|oz|lbs?|ounces?|pounds?)\.?,? "
)
_COFFEE_NOUN = re.compile(
    r"(?:of|de|di|da|von|van|av|af)? ?(?:whole|ground|roasted|fresh\w*|organic|bio)? ?"
    r"(?:\w*kaffee|coffee|kaffe|koffie|cafe|caffe|\w*bohnen|beans|bonen|bonor|bonner)"
    r"(?: (?:en grains?|en grano|in grani|em graos|moulu|molido|macinato))?\W*(?:[,;.|(\u2013]|$)"
)


def _opens_with_size(sentence: Words, grams: float) -> bool:
    """ "250 g ganze Bohnen, …": a text that begins with the size and then what is in the bag."""
    match = _SIZE.match(sentence.folded)
    if match is None or grams < _LEAST_BAG_GRAMS:
        return False
    rest = sentence.folded[match.end() :]
    hit = phrases("grinds", "brewers").first(short_words_of(rest).words)
    whole = hit is not None and hit.start == 0 and hit.value == "whole"
    return whole or _COFFEE_NOUN.match(rest) is not None


_MOST_WORDS_OF_A_SIZE = 4  # a line like "250 g whole bean" is the size itself
_BAG = (
    r"(?:bags?|packs?|packets?|packages?|pouch(?:es)?|tins?|box(?:es)?|jars?|cans?|beutel|packung"
    r"|paket|tute|dose|sachets?|paquete?s?|sacs?|boites?|bolsas?|latas?|sacchett[io]|barattolo"
    r"|confezione|pacotes?|zak|zakken|blik|pose|poser|pase|pasar)"
)
_HELD = re.compile(
    rf"\d\s?(?:g|gr|gms?|gram\w*|kg|oz|lbs?|ounces?|pounds?)\.?[\s-](?:re\w+ |kraft )?{_BAG}\b"
    r"|\d\s?(?:g|gr|gms?|grams?|kg|oz|lbs?|ounces?|pounds?)\.? of (?:our|this|whole|fresh\w*|coffee"
    r"|specialty|premium|roasted)\b"
    rf"|\b(?:{_BAG}|net weight|sold in)(?: of| a| de| da| di| von| van| mit| med| met|:)? ?\d"
)


def _held(folded: str) -> bool:
    return _HELD.search(folded) is not None


_PACK_WORDS = re.compile(
    r"\b(?:this|each|our|the|every) (?:\w+ )?(?:pack|box|tin|bag|pouch|set|carton|sleeve)\b"
    r"[^.]{0,40}\b(?:contains?|has|holds?|includes?|comes with|consists of)\b"
    r"|\b(?:sachets?|packets?|sticks?|capsules?|pods|bags|kapseln|capsulas|bustine|sobres|zakjes)"
    r" (?:per|pro|par|por|in each|in every|in a) (?:box|pack|tin|bag|carton|pouch|sleeve|packung"
    r"|schachtel|boite|caja|caixa|scatola|doos)\b"
    r"|\b(?:this|our|the|a) (?:two|three|four|five|six|\d)-pack\b|^\W*pack of \d"
)


def _counts_pack(folded: str) -> bool:
    return _PACK_WORDS.search(folded) is not None


_PORTIONED = re.compile(
    r"\b(?:capsul\w*|kapseln?|pods?|sachets?|drip ?bags?|brew ?bags?|coffee bags?|cold brew bags?"
    r"|cans?|bottles?|bottled|rtd|ready to drink|concentrate|instant|soluble|k-?cups?"
    r"|sticks?|dosettes?|cialde|nespresso|pouches of)\b"
)


_LIQUID = re.compile(
    r"\b(?:cans?|bottles?|bottled|rtd|ready to drink|concentrate|nitro|liquid|dose|flasche)\b"
)


def _is_liquid(page: Page) -> bool:
    texts = (page.title.text, page.product_type.text, *page.listing.options.get("Size", ()))
    return any(_LIQUID.search(fold(text)) for text in texts)


_GIFT = re.compile(r"\b(?:gift|hamper)\b")


def _is_portioned(page: Page) -> bool:
    return page.is_named(_PORTIONED)
