"""Whether a listing's goods are coffee, and whether they come by subscription.

Belongs here: that one decision, as an ordered list of rules with a confidence each.
Does not belong here: any fact about the coffee.

Goods that contain coffee are coffee: beans, ground, capsules, drip bags, sachets, instant,
ready-to-drink. Equipment, food, tea, cascara, vouchers, events and merchandise are not. A
gift, kit or bundle is coffee while its page names nothing else in it. A subscription that
delivers coffee is coffee.
"""

from collections.abc import Iterable
from functools import cache

from scout_assets.domain.coffee import provenance
from scout_assets.domain.coffee.passages import Page
from scout_assets.domain.coffee.process import process
from scout_assets.domain.coffee.roast import roast
from scout_assets.domain.lexicon import (
    Hit,
    Phrases,
    Words,
    fold,
    phrases,
    short_words_of,
    terms,
    vocabulary,
    word_set,
)
from scout_assets.domain.measure import parse_weight

# Labels that only a coffee's page has ("Process:", "Altitude:" …).
_COFFEE_LABELS = ("notes", "process", "variety", "altitude", "roast", "origin", "estate")


def classify(page: Page) -> tuple[bool, float]:
    """(whether the goods are coffee, how sure from 0 to 1), by the first rule that speaks."""
    if _is_occasion(page) or _titled_as_other(page) or _is_confection(page):
        return False, 0.95
    if _is_tea(page):
        return False, 0.85
    kind = _type_says(page)
    if _is_gift(page) and not (kind and _sold_like_coffee(page)):
        return (True, 0.75) if _holds_only_coffee(page) else (False, 0.85)
    if kind is not None:
        return kind, 0.95
    if _describes_equipment(page):
        return False, 0.8
    if _is_weighed_assortment(page):
        return True, 0.75
    if _has_tag(page, "not_coffee.tags") and not _sold_like_coffee(page):
        return False, 0.85
    if _has_tag(page, "coffee.tags") or has_grinds(page):
        return True, 0.9
    if _titled_as_coffee(page) or _labelled_as_coffee(page):
        return True, 0.8
    evidence = _distinct_words(page, "coffee.body") + _coffee_facts(page)
    if is_subscription(page) and (evidence or _speaks_of_coffee(page)):
        return True, 0.75
    return (True, 0.65) if evidence >= 2 else (False, 0.7)


def _is_weighed_assortment(page: Page) -> bool:
    """Samples by weight on a page that speaks of coffee: "Discovery Pack (5 x 60g)"."""
    weighed = parse_weight(page.title.text).grams is not None or _has_weights(page)
    return page.is_assortment and weighed and _distinct_words(page, "coffee.body") > 0


def is_subscription(page: Page) -> bool:
    """Whether the listing itself is a subscription: by title, type, handle or its options.

    Tags do not count: shops tag the coffees that a subscription may deliver.
    """
    words = terms("goods", "subscription.titles")
    handle = short_words_of((page.listing.url or "").rstrip("/").rpartition("/")[2])
    texts = (page.title, page.product_type, handle)
    if any(words.first(text.words) is not None for text in texts):
        return True
    if any(_is_compound(word, "subscription.heads") for text in texts for word in text.words):
        return True
    options = terms("goods", "subscription.options")
    return any(options.whole(short_words_of(name).words) for name in page.listing.options)


def _is_compound(word: str, section: str) -> bool:
    """Whether a word is a compound with a listed head ("Kaffeetasse"): German and its kin
    write them as one word, and the last part says what it is."""
    return any(
        word.endswith(head) and len(word) > len(head) + 2 for head in word_set("goods", section)
    )


def has_grinds(page: Page) -> bool:
    """Whether the listing offers grinds: an option named for it, or whole beans to choose."""
    names = word_set("grinds", "words.grind_names")
    brewers = phrases("grinds", "brewers")
    for name, values in page.listing.options.items():
        read = {hit.value for value in values for hit in brewers.hits(short_words_of(value).words)}
        if read and (fold(name).strip(" :?") in names or ("whole" in read and len(values) > 1)):
            return True
    return False


def _coffee_facts(page: Page) -> int:
    """How many facts the page states that only coffee has; tasting notes count beside one,
    and on a page that speaks of coffee its cultivar, its altitude and the weights to choose."""
    facts = sum(fact is not None for fact in (roast(page), process(page)))
    if _speaks_of_coffee(page):
        facts += bool(provenance.varieties(page))
        facts += facts > 0 and provenance.altitude(page)[0] is not None
        facts += facts > 0 and _has_weights(page)
    return facts + (facts > 0 and "notes" in page.labelled)


def _labelled_as_coffee(page: Page) -> bool:
    """Two labels of coffee, one of them of no other plant's page."""
    labels = [label for label in _COFFEE_LABELS if label in page.labelled]
    return len(labels) >= 2 and not {"process", "variety", "altitude", "roast"}.isdisjoint(labels)


def _sold_like_coffee(page: Page) -> bool:
    return has_grinds(page) or sum(label in page.labelled for label in _COFFEE_LABELS) >= 2


# --- other goods --------------------------------------------------------------------------


def _is_occasion(page: Page) -> bool:
    """Dates, cities or voucher values to choose: an event or a gift card; a colour or a shirt
    size: merchandise. None of it beside grinds or bag weights."""
    names = (short_words_of(name) for name in page.listing.options)
    options = terms("goods", "not_coffee.options")
    return any(options.whole(name.words) for name in names) and not (
        has_grinds(page) or _has_weights(page)
    )


def _has_weights(page: Page, *, ounces: bool = False) -> bool:
    """Whether weights are to choose; ounces may also be the size of a cup."""
    quantities = (
        parse_weight(value) for values in page.listing.options.values() for value in values
    )
    return any(
        quantity.grams is not None and (ounces or not quantity.imperial) for quantity in quantities
    )


@cache
def _goods_nouns() -> Phrases:
    return Phrases(
        (term, kind)
        for kind in ("goods", "vessels", "food", "drink", "sets")
        for term in vocabulary("goods")["title"][kind]
    )


def _is_confection(page: Page) -> bool:
    return terms("goods", "not_coffee.confections").first(page.title.words) is not None


def _is_tea(page: Page) -> bool:
    """A tag for tea, or a text of steeping, where nothing is sold or tagged like coffee: shops
    leave the type "Coffee" on whatever they sell."""
    if has_grinds(page) or _has_tag(page, "coffee.tags") or "roast" in page.labelled:
        return False
    if _has_tag(page, "not_coffee.tea_tags"):
        return True
    return _distinct_words(page, "not_coffee.tea_body") >= 2 and not _mentions_coffee(page)


def _mentions_coffee(page: Page) -> bool:
    return _speaks_of_coffee(page) or _titled_as_coffee(page)


def _titled_as_other(page: Page) -> bool:
    """Whether the title's head noun is other goods, against what else the page shows.

    Coffees bear names like "Carrot Cake" or "Fruit Bowl": a coffee's type, grinds or labels
    outweigh such a name, but not "Matcha" or "Gift Card".
    """
    kinds = {kind for part in page.title_parts if (kind := _head_goods(part)) is not None}
    kinds.discard("sets")  # what is in them decides
    if not kinds or (_sold_like_coffee(page) and not _is_gift(page)):
        return False
    typed = _type_says(page) is True
    if "drink" in kinds:
        return True
    if {"goods", "vessels"} & kinds:
        return not (typed and _has_weights(page, ounces="vessels" not in kinds))
    return not (typed or _has_tag(page, "coffee.tags"))


_ABOUT = frozenset(("for", "fur", "pour", "para", "per", "voor", "till"))


def _head_goods(part: tuple[str, ...]) -> str | None:
    """The kind of the last goods noun of a part, unless it describes a coffee noun after it
    ("French Press Blend"), a use ("for Moka Pot") or a name ("Cup of Excellence")."""
    hits = list(_goods_nouns().hits(part))
    hits += [
        Hit(at, at + 1, "goods")
        for at, word in enumerate(part)
        if _is_compound(word, "not_coffee.heads")
    ]
    if not hits:
        return None
    last = max(hits)
    after = part[last.end :]
    if terms("goods", "coffee.heads").first(after) is not None or after[:1] == ("of",):
        return None
    if _ABOUT & set(part[max(0, last.start - 2) : last.start]):
        return None
    return last.value


def _is_gift(page: Page) -> bool:
    gifts = terms("goods", "not_coffee.gifts")
    parts = vocabulary("goods")["not_coffee"]["gift_compounds"]
    return any(
        gifts.first(text.words) is not None or any(part in text.folded for part in parts)
        for text in (page.title, page.product_type)
    )


def _holds_only_coffee(page: Page) -> bool:
    """Whether the page of a gift or set names coffee and nothing else that is in it."""
    others = terms("goods", "not_coffee.in_gifts")
    texts = [page.title, *page.spoken]
    if any(others.first(text.words) is not None for text in texts) or _type_says(page) is False:
        return False
    named = terms("goods", "coffee.titles").first(page.title.words) is not None
    return (
        named
        or _has_tag(page, "coffee.tags")
        or _speaks_of_coffee(page)
        or _type_says(page) is True
        or is_subscription(page)
    )


def _describes_equipment(page: Page) -> bool:
    if _sold_like_coffee(page) or _has_weights(page):
        return False
    return _distinct_words(page, "not_coffee.body") >= 2


def _distinct_words(page: Page, section: str) -> int:
    listed = terms("goods", section)
    return len({hit.value for text in page.spoken for hit in listed.hits(text.words)})


# --- coffee -------------------------------------------------------------------------------


@cache
def _types() -> Phrases:
    kinds = (
        ("coffee", vocabulary("goods")["coffee"]["types"]),
        ("other", vocabulary("goods")["not_coffee"]["types"]),
    )
    return Phrases((term, kind) for kind, listed in kinds for term in listed)


def _type_says(page: Page) -> bool | None:
    """What the product type or the categories say; None when silent or of two minds."""
    # Of a path ("Food > Beverages > Coffee") the last step is the category.
    printed = page.product_type.text.rpartition(">")[2]
    said: set[str] = set()
    for part in _type_parts(short_words_of(printed)):
        hits = list(_types().hits(part))
        if hits:
            said.add(hits[-1].value)
    return said.pop() == "coffee" if len(said) == 1 else None


def _type_parts(product_type: Words) -> Iterable[tuple[str, ...]]:
    part: list[str] = []
    for word in (*product_type.words, "|"):
        if word.isalnum():
            part.append(word)
        elif part:
            yield tuple(part)
            part = []


_TAG_PREFIXES = frozenset(("category", "categories", "cat", "type", "collection", ":", "-"))


def _has_tag(page: Page, section: str) -> bool:
    listed = terms("goods", section)
    tags = (tuple(w for w in tag.words if w not in _TAG_PREFIXES) for tag in page.tags)
    return any(listed.whole(words) is not None for words in tags if words)


def _titled_as_coffee(page: Page) -> bool:
    """A coffee noun, a process, a cultivar or a growing country in the title."""
    words = page.title.words
    lists = (
        terms("goods", "coffee.titles"),
        phrases("process", "terms"),
        phrases("varieties", "plain"),
        phrases("species"),
    )
    return any(listed.first(words) is not None for listed in lists) or _names_origin(words)


@cache
def _origin_names() -> Phrases:
    return Phrases(
        (term, code)
        for code, lists in vocabulary("origins").items()
        for listed in lists.values()
        for term in listed
    )


def _names_origin(words: tuple[str, ...]) -> bool:
    return _origin_names().first(words) is not None


def _speaks_of_coffee(page: Page) -> bool:
    return any(
        terms("goods", "coffee.titles").first(text.words) is not None for text in page.spoken
    )
