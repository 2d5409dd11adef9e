"""The parsers against gold labels of the sample world, field by field.

The labels say what a careful person reads on the page; null where it does not say.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scout_assets.domain.capture import RawSnapshot, read_capture
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.sources import read_sources

PROJECT = Path(__file__).parents[2]
FIRST_CAPTURE = datetime(2026, 8, 3, tzinfo=UTC)

Rows = dict[str, dict[str, Any]]


@cache
def labels() -> dict[str, Rows]:
    return dict(json.loads((PROJECT / "samples" / "labels.json").read_text()))


@cache
def found() -> dict[str, Rows]:
    """What the parsers read in the first captures: `source/external id` → row."""
    rows: dict[str, Rows] = {"parents": {}, "products": {}}
    document = yaml.safe_load((PROJECT / "sources.yaml").read_text())
    roasters = [s for s in read_sources(document, "sources.yaml") if s.kind is Kind.ROASTER]
    for source in roasters:
        body = (PROJECT / source.location / f"{FIRST_CAPTURE:%Y-%m-%d}.json").read_bytes()
        capture = read_capture(source, RawSnapshot(1, "hash", FIRST_CAPTURE, [("products", body)]))
        rows["parents"] |= {row["parent_id"]: row for row in capture.parents}
        rows["products"] |= {row["product_id"]: row for row in capture.products}
    return rows


def folded(words: list[str]) -> set[str]:
    return {"".join(c for c in word.casefold() if c.isalnum()) for word in words}


def same(field: str, label: Any, value: Any, source: str | None) -> bool:
    if field in ("varieties", "tasting_notes"):
        return folded(label) == folded(value)
    if field == "net_weight_g":
        if label is None:
            return value is None or source == "shipping_grams"
        return value is not None and abs(value - label) <= 0.005 * label
    return bool(value == label) or (field == "decaf" and not label and not value)


@pytest.mark.parametrize(
    ("table", "field", "target"),
    [
        ("parents", "is_coffee", 0.98),
        ("parents", "subscription", 0.98),
        ("parents", "roast_level", 0.97),
        ("parents", "process", 0.97),
        ("parents", "species", 0.97),
        ("parents", "decaf", 0.97),
        ("parents", "varieties", 0.97),
        ("parents", "tasting_notes", 0.90),
        ("products", "net_weight_g", 0.995),
        ("products", "pack_count", 0.995),
        ("products", "grind", 0.97),
    ],
)
def test_fields_are_read_as_labelled(table: str, field: str, target: float):
    gold, rows = labels()[table], found()[table]
    assert gold.keys() == rows.keys()
    wrong = {
        key: (label[field], rows[key][field])
        for key, label in gold.items()
        if not same(field, label[field], rows[key][field], rows[key].get("net_weight_source"))
    }
    assert 1 - len(wrong) / len(gold) >= target, wrong
