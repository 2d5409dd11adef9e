"""From scores to matches: what each supplier item is found to be, and the drafts of new goods.

Belongs here: the order in which suppliers are taken, statuses, drafts and their ids, what a
person's decisions change. Does not belong here: the scores (`matching`), the rows compared
(`supply`).

Every supplier's items are matched with the catalogue on their own. What is new there is then
compared with the drafts of suppliers before it in key order, so that two suppliers' same new
good makes one draft; all is made anew from all items each time, so the order of runs changes
nothing.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson
import polars as pl

from scout_assets.domain.history import Row
from scout_assets.domain.lexicon import fold
from scout_assets.domain.matching.calibration import BUNDLED, Calibration
from scout_assets.domain.matching.keys import ACCEPTED, REJECTED
from scout_assets.domain.matching.matcher import Matches, Settings, match
from scout_assets.domain.review import Standing, Status, Verdict, proposed_since

__all__ = ["VERSION", "Linked", "accepted_pairs", "link"]

VERSION = "2"
"""Bump when the same items and products give other matches."""

RECORD = {
    **dict.fromkeys(("id", "name", "sku", "gtin", "mpn", "brand", "category"), pl.String),
    **dict.fromkeys(("description", "currency", "size", "vintage", "supplier"), pl.String),
    "price": pl.Float64,
    "pack_count": pl.Int64,
}
DRAFT = "draft/"
"""What ids of drafts begin with: no source is called so."""
STATUS = {"link": Status.AUTO_MATCHED, "review": Status.POTENTIAL_MATCH, "new": Status.UNMATCHED}


@dataclass
class Linked:
    """Rows of `matches` and `drafts`; every item has exactly one match."""

    matches: list[Row] = field(default_factory=list)
    drafts: dict[str, Row] = field(default_factory=dict)


@dataclass(frozen=True)
class _Work:
    """What stays the same while suppliers are taken one by one."""

    items: Mapping[str, Row]
    standing: Standing
    before: Mapping[str, Row]
    calibration: Calibration
    now: datetime
    settings: Settings


def link(
    items: Sequence[Row],
    item_records: Sequence[Row],
    product_records: Sequence[Row],
    standing: Standing,
    before: Iterable[Row],
    now: datetime,
    calibration: Calibration = BUNDLED,
    settings: Settings | None = None,
) -> Linked:
    """Match all suppliers' items; `items` are rows of `supplier_items`, none of them gone.

    `item_records` and `product_records` are what is compared (see `supply`); `before` are the
    rows of the last matching, whose links by SKU are kept while nothing speaks against them.
    """
    known = {row["item_id"]: row for row in before}
    work = _Work(
        {row["item_id"]: row for row in items},
        standing,
        known,
        calibration,
        now,
        settings or Settings(),
    )
    linked = Linked()
    by_supplier = sorted(item_records, key=lambda row: (row["supplier"], row["id"]))
    for _, group in groupby(by_supplier, key=lambda row: row["supplier"]):
        _take(work, list(group), product_records, linked)
    return linked


def _take(work: _Work, records: list[Row], products: Sequence[Row], linked: Linked) -> None:
    """Match one supplier's items with the catalogue, then what is new with the drafts."""
    found = _compare(work, records, products)
    rows = {row["item_id"]: row for row in _rows(found)}
    of_catalogue: dict[str, Row] = {}
    for item_id, row in rows.items():
        verified = work.standing.verified.get(item_id)
        if verified is None:
            of_catalogue[item_id] = _match(work, row, found)
        elif verified.startswith(DRAFT):
            _join(work, item_id, verified, linked)
        else:
            linked.matches.append(_verified(work, row, verified, found))
    unknown = (Status.UNMATCHED, Status.REJECTED)
    linked.matches += [row for row in of_catalogue.values() if row["status"] not in unknown]
    new = [row for row in records if of_catalogue.get(row["id"], {}).get("status") in unknown]
    _draft(work, new, of_catalogue, linked)


def _compare(work: _Work, records: Sequence[Row], products: Sequence[Row]) -> Matches:
    frame = pl.DataFrame(records, schema=RECORD)
    catalogue = pl.DataFrame(
        [{name: row.get(name) for name in RECORD} for row in products], schema=RECORD
    )
    return match(
        frame,
        catalogue,
        work.settings,
        known_links=_known_links(work, records),
        decisions=_decided(work, records),
        calibration=work.calibration,
    )


def _known_links(work: _Work, records: Sequence[Row]) -> pl.DataFrame:
    """Links of the last matching by the supplier's own SKU: they stay."""
    rows = [
        (row["id"], before["product_id"])
        for row in records
        if row["sku"]
        and (before := work.before.get(row["id"])) is not None
        and before["status"] == Status.AUTO_MATCHED
    ]
    schema = {"item_id": pl.String, "product_id": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _decided(work: _Work, records: Sequence[Row]) -> pl.DataFrame:
    """What people said of these items: nobody else gets a product that was accepted for one."""
    ids = [row["id"] for row in records]
    refused = [(i, p, REJECTED) for i in ids for p in sorted(work.standing.rejected.get(i, ()))]
    accepted = [
        (i, work.standing.verified[i], ACCEPTED) for i in ids if i in work.standing.verified
    ]
    schema = dict.fromkeys(("item_id", "product_id", "verdict"), pl.String)
    return pl.DataFrame(refused + accepted, schema=schema, orient="row")


def _rows(found: Matches) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = found.table.to_pylist()
    return rows


def _match(work: _Work, row: Mapping[str, Any], found: Matches) -> Row:
    item_id, product_id = row["item_id"], row["product_id"]
    status = STATUS[row["decision"]]
    refused = item_id in work.standing.rejected
    waits = status is Status.POTENTIAL_MATCH
    return {
        **_common(work, item_id),
        "status": Status.REJECTED if status is Status.UNMATCHED and refused else status,
        "product_id": product_id,
        "draft_id": None,
        "score": row["score"],
        "linear": row["linear"],
        "reason": row["reason"],
        "candidates": _json(row["candidates"]),
        "evidence": _json(_evidence(found, item_id, product_id)),
        "proposed_at": (
            proposed_since(work.before.get(item_id), product_id, work.now) if waits else None
        ),
    }


def _evidence(found: Matches, item_id: str, product_id: str | None) -> list[dict[str, Any]]:
    if product_id is None:
        return []
    return [part._asdict() for part in found.explain(item_id, product_id).records]


def _verified(work: _Work, row: Mapping[str, Any], product_id: str, found: Matches) -> Row:
    """As a person decided, with the evidence there is while the product is listed."""
    compared = product_id if row["product_id"] == product_id else None
    return {
        **_accepted(work, row["item_id"]),
        "product_id": product_id,
        "draft_id": None,
        "candidates": _json([{"product_id": product_id, "score": 100.0}]),
        "evidence": _json(_evidence(found, row["item_id"], compared)),
    }


def _accepted(work: _Work, item_id: str) -> Row:
    return {
        **_common(work, item_id),
        "status": Status.VERIFIED_MATCH,
        "score": 100.0,
        "linear": None,
        "reason": "accepted by a person",
        "proposed_at": None,
    }


def _common(work: _Work, item_id: str) -> Row:
    item = work.items[item_id]
    return {"kind": item["kind"], "source": item["source"], "item_id": item_id}


def _json(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


# --- drafts ---------------------------------------------------------------------------------


def _draft(
    work: _Work, new: Sequence[Row], of_catalogue: Mapping[str, Row], linked: Linked
) -> None:
    """Give each new item a draft: that of an earlier supplier it links to, else its own."""
    pool = [_as_record(draft) for draft in linked.drafts.values()]
    joined = dict(_joined(work, new, pool)) if pool and new else {}
    for record in new:
        item = work.items[record["id"]]
        draft_id = joined.get(record["id"]) or _draft_id(record)
        draft = linked.drafts.setdefault(draft_id, _new_draft(item, draft_id))
        draft["items"].append(item["item_id"])
        linked.matches.append({**of_catalogue[item["item_id"]], "draft_id": draft_id})


def _join(work: _Work, item_id: str, draft_id: str, linked: Linked) -> None:
    """Put an item with a draft, as a person decided; the draft lasts as long as its items."""
    draft = linked.drafts.setdefault(draft_id, _new_draft(work.items[item_id], draft_id))
    draft["items"].append(item_id)
    nothing = {"product_id": None, "candidates": "[]", "evidence": "[]"}
    linked.matches.append({**_accepted(work, item_id), **nothing, "draft_id": draft_id})


def _joined(work: _Work, new: Sequence[Row], pool: Sequence[Row]) -> Iterator[tuple[str, str]]:
    for row in _rows(_compare(work, new, pool)):
        if row["decision"] == "link" and row["product_id"] is not None:
            yield row["item_id"], row["product_id"]


_PUNCTUATION = re.compile(r"[\W_]+")


def _draft_id(record: Mapping[str, Any]) -> str:
    """A hash of what names a good: GTIN, else the words of its name, brand, size, pack, year."""
    if record["gtin"]:
        identity: list[object] = [record["gtin"]]
    else:
        words = _PUNCTUATION.sub(" ", fold(f"{record['brand'] or ''} {record['name']}")).split()
        packed = (record["size"], record["pack_count"], record["vintage"])
        identity = [*sorted(set(words)), *packed]
    digest = hashlib.sha256("|".join(map(str, identity)).encode()).hexdigest()
    return f"{DRAFT}{digest[:16]}"


def _new_draft(item: Row, draft_id: str) -> Row:
    section = " / ".join(item["section"])
    return {
        "kind": item["kind"],
        "source": item["source"],
        "draft_id": draft_id,
        "name": item["name"],
        "brand": item["brand"],
        "category": item["category"] or section or None,
        "gtin": item["gtin"],
        "vintage": item["vintage"],
        "size_ml": item["size_ml"],
        "net_weight_g": item["net_weight_g"],
        "pack_count": item["pack_count"],
        "items": [],
    }


def _as_record(draft: Row) -> Row:
    size = f"{draft['size_ml']:g} ml" if draft["size_ml"] else None
    weight = f"{draft['net_weight_g']:g} g" if draft["net_weight_g"] else None
    return {
        "id": draft["draft_id"],
        "name": draft["name"],
        "gtin": draft["gtin"],
        "brand": draft["brand"],
        "category": draft["category"],
        "size": size or weight,
        "pack_count": draft["pack_count"],
        "vintage": draft["vintage"],
    }


def accepted_pairs(decisions: Iterable[Any]) -> list[tuple[float, bool]]:
    """(linear score, accepted) of standing verdicts that saw a score: what calibration fits.

    Of several verdicts on one pair the last one stands. Vetoed pairs and those with an exact
    key are left out: it is not the score that decides about them.
    """
    last = {
        (made.item_id, made.product_id): made
        for made in decisions
        if made.undone_at is None and made.verdict is not Verdict.DEFER
    }
    return [
        (made.evidence["linear"], made.verdict is Verdict.ACCEPT)
        for made in last.values()
        if made.evidence.get("linear") is not None
        and not made.evidence.get("vetoed")
        and all(part["feature"] != "exact_key" for part in made.evidence.get("parts", ()))
    ]
