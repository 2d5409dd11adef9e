"""How two rows compare, as numbers between 0 and 1 and as vetoes.

Belongs here: the features of a pair, one kernel for the batch and for explaining. Does not
belong here: what each feature weighs (`scoring`) or which pairs are compared (`blocking`).
"""

import numpy as np

from scout_assets.domain.matching.compiled import Array, Scalar, compiled, inner
from scout_assets.domain.matching.records import Corpus

FEATURES = {
    "cover_item": "share of the item's words, by rarity, that the product has",
    "cover_product": "share of the product's words, by rarity, that the item has",
    "cover_best": "the larger of both shares",
    "shared_weight": "how much rare text is shared at all",
    "grams": "cosine of the names' 3-grams",
    "code_agrees": "a rare model code that both have",
    "code_prefix": "a code of one begins the code of the other",
    "code_near": "codes that differ in their last signs only",
    "code_conflicts": "each has a rare code that the other lacks",
    "numbers_agree": "numbers that both have",
    "numbers_conflict": "each has a number that the other lacks",
    "number_missing": "one has a number, the other has none",
    "measures_agree": "measures that both have",
    "measures_conflict": "measures of one kind that differ",
    "colour_conflicts": "colours that differ",
    "edition_differs": "edition words that one side lacks",
    "platform_conflicts": "platforms that differ",
    "brand_agrees": "share of the brand's words that the other side has",
    "brand_conflicts": "both name a brand, with no word in common",
    "category_agrees": "share of the category's words in common",
    "category_conflicts": "both name a category, with no word in common",
    "price_near": "same currency and nearly one price",
    "price_far": "how far the prices are apart, by ratio",
    "description": "cosine of the descriptions' words",
    "fact_agrees": "stated size, pack, vintage or the like that are equal",
    "fact_missing": "a pack count or vintage that one side does not state",
    "facts_conflict": "stated size, pack, vintage, voltage or capacity that differ",
}
"""Name and meaning of each feature, in the order of the kernel."""

VETOES = ("size", "pack count", "voltage", "capacity", "power", "vintage", "code", "price", "sku")
"""Bit by bit. A vetoed pair is never linked."""

PRICE_RATIO = 2.5
"""Prices in one currency further apart than this are not of one product; see MATCHING."""


@inner
def _rarity(token: Scalar, item_rows: Array, product_rows: Array) -> Scalar:
    """1 for a token of one row a side, 0 for one of 40 or more."""
    rows: Scalar = max(item_rows[token], product_rows[token], 1)
    return max(0.0, 1.0 - np.log(rows) / np.log(40.0))


@inner
def _mask(entry: Array) -> Scalar:
    """The places an entry stands for, as bits."""
    if entry["first"] > 63:
        return np.uint64(0)
    width = np.uint64(entry["last"] - entry["first"] + 1)
    ones = (np.uint64(1) << width) - np.uint64(1)
    return ones << np.uint64(entry["first"])


@inner
def _weak(entry: Array) -> Scalar:
    kind = entry["flags"] >> 3
    return kind == 3 or kind == 6


@inner
def _cover(
    a: Array,
    a_at: Scalar,
    a_end: Scalar,
    b: Array,
    b_at: Scalar,
    b_end: Scalar,
    item_rows: Array,
    product_rows: Array,
    masks: Array,
    s: Array,
) -> None:
    """Merge both rows' tokens: which places are covered, fully (0, 1) or by a prefix (2, 3)."""
    masks[:] = 0
    while a_at < a_end and b_at < b_end:
        left, right = a[a_at]["id"], b[b_at]["id"]
        if left < right:
            a_at += 1
        elif right < left:
            b_at += 1
        else:
            a_next, b_next = a_at, b_at
            while a_next < a_end and a[a_next]["id"] == left:
                a_next += 1
            while b_next < b_end and b[b_next]["id"] == left:
                b_next += 1
            _agree(
                a, a_at, a_next, b, b_at, b_next, masks, s, _rarity(left, item_rows, product_rows)
            )
            a_at, b_at = a_next, b_next


@inner
def _agree(
    a: Array,
    a_at: Scalar,
    a_end: Scalar,
    b: Array,
    b_at: Scalar,
    b_end: Scalar,
    masks: Array,
    s: Array,
    rarity: Scalar,
) -> None:
    """One token id that both rows have, perhaps more than once and in more than one role."""
    strong = code = False
    a_strong = b_strong = False
    for at in range(a_at, a_end):
        a_strong = a_strong or not _weak(a[at])
        code = code or a[at]["flags"] & 7 == 2
    for at in range(b_at, b_end):
        b_strong = b_strong or not _weak(b[at])
        code = code or b[at]["flags"] & 7 == 2
    strong = a_strong and b_strong
    for at in range(a_at, a_end):
        kind = a[at]["flags"] >> 3
        masks[0 if strong else 2] |= _mask(a[at])
        s[4] += a[at]["weight"] * (kind == 5 and strong)
        s[6] += a[at]["weight"] * (kind == 6)
    for at in range(b_at, b_end):
        kind = b[at]["flags"] >> 3
        masks[1 if strong else 3] |= _mask(b[at])
        s[5] += b[at]["weight"] * (kind == 5 and strong)
        s[7] += b[at]["weight"] * (kind == 6)
    if code:
        slot = 0 if strong else (1 if a_strong or b_strong else 2)
        s[slot] = max(s[slot], rarity)


@inner
def _within(words: Array, first: Scalar, end: Scalar, token: Scalar) -> Scalar:
    while first < end:
        middle = (first + end) // 2
        if words[middle] < token:
            first = middle + 1
        else:
            end = middle
    return first


@inner
def _survey(
    e: Array,
    at: Scalar,
    end: Scalar,
    full: Scalar,
    part: Scalar,
    words: Array,
    w_at: Scalar,
    w_end: Scalar,
    item_rows: Array,
    product_rows: Array,
    t: Array,
) -> None:
    """Sums over one row's places. t: 0 all, 1 covered, 2 rarest code left over, 3 numbers,
    4 numbers left over, 5 measures, 6 measures left over, 7 to 9 trait words left over (bits),
    10 words of the brand, 11 of the category, 12 measures left over by dimension (bits),
    13 code found in the other's description, 14 shared weight."""
    t[:] = 0.0
    for place in range(at, end):
        entry = e[place]
        kind, sort, weight = entry["flags"] >> 3, entry["flags"] & 7, entry["weight"]
        if kind == 5 or kind == 6:
            t[10 if kind == 5 else 11] += weight
        if kind != 0:
            continue
        bit = np.uint64(1) << np.uint64(entry["first"])
        covered = 1.0 if full & bit else (0.6 if part & bit else 0.0)
        if covered < 1.0 and w_at < w_end:
            found = _within(words, w_at, w_end, entry["id"])
            if found < w_end and words[found] == entry["id"]:
                covered = max(covered, 0.45)
                if sort == 2:
                    t[13] = max(t[13], _rarity(entry["id"], item_rows, product_rows))
        t[0] += weight
        t[1] += weight * covered
        t[14] += weight * covered if covered == 1.0 else 0.0
        if sort == 2 and covered == 0.0:
            t[2] = max(t[2], _rarity(entry["id"], item_rows, product_rows))
        elif sort == 1:
            t[3] += 1.0
            t[4] += covered < 1.0
        elif sort == 3:
            t[5] += 1.0
            t[6] += covered < 1.0
            if covered < 1.0:
                t[12] = np.float64(np.int64(t[12]) | (1 << np.int64(entry["tag"])))
        elif sort == 0 and entry["tag"] and covered < 0.4:
            t[6 + entry["tag"]] += 1.0


@inner
def _cosine(
    a: Array, a_at: Scalar, a_end: Scalar, b: Array, b_at: Scalar, b_end: Scalar, weight: Array
) -> Scalar:
    """Cosine of two sorted sets of ids, weighted by rarity."""
    left = right = 0.0
    if a_at == a_end or b_at == b_end:
        return 0.0
    for at in range(a_at, a_end):
        left += weight[a[at]] ** 2
    for at in range(b_at, b_end):
        right += weight[b[at]] ** 2
    return _dot(a, a_at, a_end, b, b_at, b_end, weight) / np.sqrt(left * right)


@inner
def _dot(
    a: Array, a_at: Scalar, a_end: Scalar, b: Array, b_at: Scalar, b_end: Scalar, weight: Array
) -> Scalar:
    dot: Scalar = 0.0
    while a_at < a_end and b_at < b_end:
        x, y = a[a_at], b[b_at]
        if x == y:
            dot += weight[x] ** 2
        a_at += x <= y
        b_at += y <= x
    return dot


@inner
def _both(left: Scalar, right: Scalar) -> Scalar:
    return 1.0 if left > 0.0 and right > 0.0 else 0.0


@inner
def _facts(p: Array, q: Array, x: Array) -> Scalar:
    """Compare stated facts; returns the bits of those that differ by more than 3 %."""
    vetoes = 0
    equal = missing = differ = 0.0
    for fact in range(p.size):
        if np.isnan(p[fact]) or np.isnan(q[fact]):
            pack = fact == 2 and (p[fact] > 1.0 or q[fact] > 1.0)
            if (pack or fact == 6) and np.isnan(p[fact]) != np.isnan(q[fact]):
                missing += 1.0
        elif abs(p[fact] - q[fact]) <= (0.0 if fact == 6 else 0.03 * max(p[fact], q[fact])):
            equal += 1.0
        else:
            differ += 1.0
            vetoes |= 1 << _VETO_OF_FACT[fact]
    x[24], x[25], x[26] = min(equal, 3.0) / 3.0, min(missing, 1.0), min(differ, 2.0) / 2.0
    return vetoes


_VETO_OF_FACT = (0, 0, 1, 2, 3, 4, 5)  # FACTS to VETOES


@inner
def _price(p: Scalar, q: Scalar, same: Scalar, x: Array) -> Scalar:
    """Price features; returns the veto's bit."""
    if not same or np.isnan(p) or np.isnan(q):
        return 0
    ratio = max(p, q) / min(p, q)
    x[21] = 1.0 if ratio <= 1.12 else 0.0
    x[22] = min(np.log(ratio), 1.5) / 1.5
    return 128 if ratio > 2.5 else 0


@inner
def _tokens(
    corpus: Corpus, item: Scalar, product: Scalar, masks: Array, s: Array, t: Array, u: Array
) -> None:
    """Merge the tokens of both rows into `s`, and survey each of them into `t` and `u`."""
    a, b = corpus.items, corpus.catalogue
    a_at, a_end = a.offsets[item], a.offsets[item + 1]
    b_at, b_end = b.offsets[product], b.offsets[product + 1]
    aw, aw_end = a.word_offsets[item], a.word_offsets[item + 1]
    bw, bw_end = b.word_offsets[product], b.word_offsets[product + 1]
    rows = corpus.item_rows, corpus.product_rows
    _cover(a.entries, a_at, a_end, b.entries, b_at, b_end, rows[0], rows[1], masks, s)
    full, part = masks[0], masks[2]
    _survey(a.entries, a_at, a_end, full, part, b.words, bw, bw_end, rows[0], rows[1], t)
    full, part = masks[1], masks[3]
    _survey(b.entries, b_at, b_end, full, part, a.words, aw, aw_end, rows[0], rows[1], u)


@inner
def _likeness(corpus: Corpus, item: Scalar, product: Scalar, x: Array) -> None:
    """Cosines of the names' 3-grams and of the descriptions' words."""
    a, b = corpus.items, corpus.catalogue
    norms = a.gram_norm[item] * b.gram_norm[product]
    if norms > 0.0:
        at, end = a.gram_offsets[item], a.gram_offsets[item + 1]
        begin, stop = b.gram_offsets[product], b.gram_offsets[product + 1]
        x[4] = _dot(a.grams, at, end, b.grams, begin, stop, corpus.gram_weight) / norms
    at, end = a.word_offsets[item], a.word_offsets[item + 1]
    begin, stop = b.word_offsets[product], b.word_offsets[product + 1]
    x[23] = _cosine(a.words, at, end, b.words, begin, stop, corpus.word_weight)


@compiled
def compare(
    corpus: Corpus,
    item: Scalar,
    product: Scalar,
    x: Array,
    masks: Array,
    s: Array,
    t: Array,
    u: Array,
) -> Scalar:
    """The features of a pair into `x`; returns its vetoes as bits. The rest is scratch space."""
    a, b = corpus.items, corpus.catalogue
    x[:] = 0.0
    s[:] = 0.0
    _tokens(corpus, item, product, masks, s, t, u)
    _texts(s, t, u, x)
    _traits(s, t, u, x)
    _likeness(corpus, item, product, x)
    same = a.currency[item] == b.currency[product]
    vetoes = _facts(a.facts[item], b.facts[product], x)
    vetoes |= _price(a.price[item], b.price[product], same, x)
    return vetoes | (64 if x[8] > 0.6 else 0)


@inner
def _texts(s: Array, t: Array, u: Array, x: Array) -> None:
    """Cover and codes."""
    x[0] = t[1] / t[0] if t[0] > 0.0 else 0.0
    x[1] = u[1] / u[0] if u[0] > 0.0 else 0.0
    x[2] = max(x[0], x[1])
    x[3] = min(min(t[14], u[14]) / 3.0, 1.0)
    x[5] = max(s[0], 0.8 * max(t[13], u[13]))
    if x[5] < 0.5:
        x[6] = s[1]
        x[7] = s[2] if s[1] < 0.5 else 0.0
        if s[1] < 0.5:
            x[8] = min(t[2], u[2])


@inner
def _traits(s: Array, t: Array, u: Array, x: Array) -> None:
    """Numbers, measures, variants, brand and category."""
    shared = min(t[3] - t[4], u[3] - u[4])
    x[9] = min(shared, 2.0) / 2.0
    x[10] = min(min(t[4], u[4]), 2.0) / 2.0
    x[11] = 1.0 if (t[4] > 0.0) != (u[4] > 0.0) and x[10] == 0.0 else 0.0
    x[12] = min(min(t[5] - t[6], u[5] - u[6]), 2.0) / 2.0
    x[13] = 1.0 if np.int64(t[12]) & np.int64(u[12]) else 0.0
    x[14] = _both(t[7], u[7])
    x[15] = min(t[8] + u[8], 2.0) / 2.0
    x[16] = _both(t[9], u[9])
    brand = max(s[4] / t[10] if t[10] > 0.0 else 0.0, s[5] / u[10] if u[10] > 0.0 else 0.0)
    x[17] = min(brand, 1.0)
    x[18] = _both(t[10], u[10]) if brand == 0.0 else 0.0
    category = max(s[6] / t[11] if t[11] > 0.0 else 0.0, s[7] / u[11] if u[11] > 0.0 else 0.0)
    x[19] = min(category, 1.0) * _both(t[11], u[11])
    x[20] = _both(t[11], u[11]) if category == 0.0 else 0.0


SCRATCH = (4, 8, 15)
"""Sizes of the scratch arrays: masks, sums of the pair, sums of each row (twice)."""
