"""Splink 5 on DuckDB as a peer: a link-only model trained by EM, lightly tuned.

Belongs here: the model and running it. Does not belong here: how it is timed or judged.
Blocked on the model code and on any of the three rarest words of a name, as far as so few rows
share them that their pairs fit into memory: what its manual advises for large lists.
"""

import logging
from typing import Any

import polars as pl

from benchmarks.made_up_products import Lists

_MOST_SHARED = 200
_CODE = r"\b([A-Za-z]*-?\d+[A-Za-z]+\d*|[A-Za-z]+-?\d{2,}[A-Za-z]*)\b"


def link(made: Lists, threads: int) -> pl.DataFrame:
    """The best product of each item: item_id, product_id, score (match probability)."""
    import duckdb
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(duckdb.connect(config={"threads": threads}))
    both = _prepared(
        pl.concat([made.items.select(_columns(made)), made.catalogue.select(_columns(made))])
    )
    tables = [
        api.register(side.to_arrow(), dataset_display_name=name)
        for side, name in (
            (both.head(len(made.items)), "items"), (both.tail(len(made.catalogue)), "products")
        )
    ]  # fmt: skip
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            cl.JaroWinklerAtThresholds("name", [0.97, 0.92, 0.85, 0.75]),
            cl.ArrayIntersectAtSizes("words", [6, 5, 4, 3, 2]),
            cl.ExactMatch("code"),
            cl.ExactMatch("brand"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("code"),
            block_on("rare", arrays_to_explode=["rare"]),
        ],
    )
    linker = Linker(tables, settings, log_level=None)
    linker.training.estimate_probability_two_random_records_match([block_on("code")], recall=0.5)
    linker.training.estimate_u_using_random_sampling(max_pairs=2_000_000)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("code"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("brand", "rarest"))
    predicted: Any = linker.inference.predict()
    return _best(pl.DataFrame(pl.from_arrow(predicted.as_pyarrow_table())))


def _columns(made: Lists) -> list[str]:
    shared = made.items.columns
    return [name for name in ("id", "name", "brand") if name in shared]


def _prepared(side: pl.DataFrame) -> pl.DataFrame:
    """What the rules and comparisons need, out of a list's columns."""
    if "brand" not in side.columns:
        side = side.with_columns(brand=pl.lit(None, pl.String))
    name = pl.col("name").str.to_lowercase()
    words = name.str.extract_all(r"[a-z0-9]{2,}").list.unique(maintain_order=True)
    code = pl.col("name").str.extract(_CODE).str.replace_all("-", "").str.to_lowercase()
    side = side.select(
        pl.col("id").alias("unique_id"),
        name.alias("name"),
        words.alias("words"),
        code.alias("code"),
        pl.coalesce("brand", words.list.first()).str.to_lowercase().alias("brand"),
    )
    each = side.select("unique_id", "words").explode("words").drop_nulls()
    ranked = each.with_columns(rows=pl.len().over("words")).filter(
        pl.col("rows").is_between(2, _MOST_SHARED)
    )
    rare = (
        ranked.sort("unique_id", "rows", "words")
        .group_by("unique_id", maintain_order=True)
        .agg(pl.col("words").head(3).alias("rare"), pl.col("words").first().alias("rarest"))
    )
    return side.join(rare, on="unique_id", how="left", maintain_order="left")


def _best(pairs: pl.DataFrame) -> pl.DataFrame:
    left = pl.col("source_dataset_l") == "items"
    ids = pl.col("unique_id_l"), pl.col("unique_id_r")
    found = pairs.select(
        pl.when(left).then(ids[0]).otherwise(ids[1]).alias("item_id"),
        pl.when(left).then(ids[1]).otherwise(ids[0]).alias("product_id"),
        pl.col("match_weight").alias("score"),
    )
    return found.sort("score", descending=True).unique("item_id", keep="first")
