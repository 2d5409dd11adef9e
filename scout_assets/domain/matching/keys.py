"""Exact keys: what links, or forbids to link, without looking at names.

Belongs here: known links, decisions of people, GTIN, brand with MPN, and SKU. Does not belong
here: codes found inside names (`features`).
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.matching.scoring import KEYS
from scout_assets.domain.matching.text import folded
from scout_assets.domain.measure import valid_gtin

SHARED_SKUS = 0.1
"""SKUs of two nameless lists are one numbering where this share of the items' SKUs occurs in the
catalogue; SKUs of two named suppliers are compared only where the supplier is the same."""

ACCEPTED, REJECTED = "accepted", "rejected"


class Links(NamedTuple):
    """What is decided already, as positions in both ordered sides.

    item, product and key (a number of KEYS) are parallel; `rejected` holds pairs of positions.
    """

    item: NDArray[np.int64]
    product: NDArray[np.int64]
    key: NDArray[np.uint8]
    rejected: NDArray[np.int64]


class Codes(NamedTuple):
    """Numbers of GTIN, MPN and SKU of each row, -1 for none: equal numbers, equal codes."""

    items: NDArray[np.int32]
    products: NDArray[np.int32]


def normal_codes(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns at, gtin (14 digits), mpn and sku (letters and digits only), brand (first word)."""
    gtins = {raw: valid_gtin(raw) for raw in frame["gtin"].drop_nulls().unique()}
    return frame.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("at"),
        pl.col("gtin").replace_strict(gtins, default=None, return_dtype=pl.String)
        .str.zfill(14).alias("gtin"),
        _plain("mpn"),
        _plain("sku"),
        folded(pl.col("brand")).str.extract(r"([^\W_]+)").alias("brand"),
        folded(pl.col("supplier")).alias("supplier"),
    )  # fmt: skip


def _plain(name: str) -> pl.Expr:
    return folded(pl.col(name)).str.replace_all(r"[\W_]", "").replace("", None).alias(name)


def _comparable_skus(items: pl.DataFrame, products: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """SKUs of both sides with the supplier before them; null where they cannot be compared."""
    named = [
        side.select(
            pl.when(pl.col("supplier").is_not_null()).then(
                pl.col("supplier") + "\0" + pl.col("sku")
            ).otherwise("\0" + pl.col("sku")).alias("sku")
        )["sku"]
        for side in (items, products)
    ]  # fmt: skip
    nameless = [sku.filter(sku.str.starts_with("\0")).unique() for sku in named]
    shared = nameless[0].is_in(nameless[1].implode()).sum()
    if len(nameless[0]) and shared < SHARED_SKUS * len(nameless[0]):
        named = [pl.select(pl.when(~s.str.starts_with("\0")).then(s))[s.name] for s in named]
    return named[0], named[1]


def codes_and_links(
    items: pl.DataFrame, products: pl.DataFrame, known_links: pl.DataFrame | None,
    decisions: pl.DataFrame | None,
) -> tuple[Codes, Links]:  # fmt: skip
    """Compare codes, known links and decisions of both ordered sides.

    `known_links` has columns item_id, product_id; `decisions` a third, verdict, which is
    "accepted" or "rejected". Pairs of ids that are not there any more are left out.
    """
    left, right = normal_codes(items), normal_codes(products)
    sku = _comparable_skus(left, right)
    left, right = left.with_columns(sku[0].alias("sku")), right.with_columns(sku[1].alias("sku"))
    made = Codes(*_numbered(left, right))
    found = [
        _joined(left, right, ["gtin"], "gtin"),
        _joined(left, right, ["brand", "mpn"], "brand and mpn"),
        _joined(left, right, ["sku"], "sku"),
    ]
    rejected = np.zeros((0, 2), np.int64)
    if known_links is not None:
        found.append(_known(items, products, known_links, "known link"))
    if decisions is not None:
        accepted = _with_verdict(decisions, ACCEPTED)
        found.append(_known(items, products, accepted, "accepted"))
        refused = _known(items, products, _with_verdict(decisions, REJECTED), "accepted")
        rejected = refused.select("item", "product").to_numpy()
    pairs = pl.concat(found).sort("item", "key", "product", descending=[False, True, False])
    pairs = _without(pairs, rejected).unique("item", keep="first", maintain_order=True)
    return made, Links(
        pairs["item"].to_numpy(), pairs["product"].to_numpy(), pairs["key"].to_numpy(), rejected
    )


def _without(pairs: pl.DataFrame, rejected: NDArray[np.int64]) -> pl.DataFrame:
    gone = pl.DataFrame({"item": rejected[:, 0], "product": rejected[:, 1]})
    return pairs.join(gone, on=["item", "product"], how="anti", maintain_order="left")


def _with_verdict(decisions: pl.DataFrame, verdict: str) -> pl.DataFrame:
    _has(decisions, ("item_id", "product_id", "verdict"), "decisions")
    unknown = decisions.filter(~pl.col("verdict").is_in([ACCEPTED, REJECTED]))
    if len(unknown):
        raise BadConfig(
            f"decisions: verdict {unknown['verdict'][0]!r} is neither {ACCEPTED} nor {REJECTED}"
        )
    return decisions.filter(pl.col("verdict") == verdict)


def _has(frame: pl.DataFrame, columns: tuple[str, ...], role: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BadConfig(f"{role} have no column {missing[0]!r}: they need {', '.join(columns)}")


def _joined(left: pl.DataFrame, right: pl.DataFrame, on: list[str], key: str) -> pl.DataFrame:
    """Pairs of rows that agree in all of `on`; nulls agree with nothing."""
    pairs = left.select("at", *on).join(right.select("at", *on), on=on, how="inner")
    return pairs.select(
        pl.col("at").alias("item"), pl.col("at_right").alias("product"),
        pl.lit(KEYS.index(key), pl.UInt8).alias("key"),
    )  # fmt: skip


def _known(
    items: pl.DataFrame, products: pl.DataFrame, pairs: pl.DataFrame, key: str
) -> pl.DataFrame:
    _has(pairs, ("item_id", "product_id"), "known links")
    places = [
        side.select(
            pl.col("id").alias(name), pl.int_range(pl.len(), dtype=pl.Int64).alias(alias)
        )
        for side, name, alias in (
            (items, "item_id", "item"), (products, "product_id", "product")
        )
    ]  # fmt: skip
    given = pairs.select(pl.col("item_id", "product_id").cast(pl.String))
    found = given.join(places[0], on="item_id").join(places[1], on="product_id")
    return found.select("item", "product", pl.lit(KEYS.index(key), pl.UInt8).alias("key"))


def _numbered(left: pl.DataFrame, right: pl.DataFrame) -> list[NDArray[np.int32]]:
    """The codes of both sides as numbers: columns GTIN, MPN within a brand, SKU."""
    columns: list[list[NDArray[np.int32]]] = [[], []]
    for name in ("gtin", "mpn", "sku"):
        texts = [
            side.select(
                pl.concat_str("brand", "mpn", separator="\0") if name == "mpn" else pl.col(name)
            ).to_series()
            for side in (left, right)
        ]
        numbers = pl.concat(texts).rank("dense").cast(pl.Int32).fill_null(-1).to_numpy()
        columns[0].append(numbers[: len(left)])
        columns[1].append(numbers[len(left) :])
    return [np.stack(side, axis=1).astype(np.int32) for side in columns]
