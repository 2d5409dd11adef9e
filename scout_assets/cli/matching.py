"""`scout match`, `scout explain`, `scout calibrate`: scores, and why.

Belongs here: arguments and printing. Does not belong here: matching (`domain.matching`), what
an installation matches (`gateways.matching`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from scout_assets.cli.terminal import explained, now, out, print_json, print_table
from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.home import Home
from scout_assets.gateways.tables_on_disk import read_csv, write_csv

__all__ = ["calibrate", "explain", "match"]

BAR = 24


@explained
def match(
    items: Annotated[Path, typer.Option(help="CSV with id, name, and any of sku, gtin, mpn, ...")],
    catalogue: Annotated[Path, typer.Option(help="CSV with the same columns")],
    to: Annotated[Path, typer.Option("--out", help="Where the matches go")],
    explain: Annotated[bool, typer.Option("--explain", help="Add a column of evidence")] = False,
) -> None:
    """Match two files: every item gets a product, a score and a decision."""
    from scout_assets.domain.matching import matcher  # heavy: not for other commands

    try:
        found = matcher.match(read_csv(items), read_csv(catalogue))
    except BadConfig as error:
        raise BadConfig(f"--items {items}, --catalogue {catalogue}: {error}") from error
    columns = ["item_id", "product_id", "score", "decision", "reason", "candidates"]
    rows = _matched(found.table.to_pylist())
    if explain:
        rows = ({**row, "evidence": _evidence(found, row)} for row in rows)
        columns.append("evidence")
    count = write_csv(to, rows, columns)
    told = ", ".join(f"{n} {k.removeprefix('match/')}" for k, n in sorted(found.counters.items())
                     if k.startswith("match/"))  # fmt: skip
    out.print(f"{count} items: {told}; written to {to}", markup=False)


def _matched(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        pairs = (f"{found['product_id']}:{found['score']:g}" for found in row["candidates"])
        yield {**row, "candidates": " ".join(pairs)}


def _evidence(found: Any, row: Mapping[str, Any]) -> str:  # noqa: ANN401 (see the lazy import)
    if row["product_id"] is None:
        return ""
    records = found.explain(row["item_id"], row["product_id"]).records
    return orjson.dumps({part.feature: round(part.contribution, 3) for part in records}).decode()


@explained
def explain(
    item: Annotated[str, typer.Argument(help="Id of a supplier item, such as acme/NV-1")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Why an item matches as it does: each feature with its share of the score."""
    rows = Home.locate().warehouse.read("matches").to_pylist()
    found = next((row for row in rows if row["item_id"] == item), None)
    if found is None:
        raise BadConfig(f"no match of item {item!r}; `scout review list` shows those that wait")
    parts = orjson.loads(found["evidence"])
    if as_json:
        print_json({**found, "evidence": parts, "candidates": orjson.loads(found["candidates"])})
        return
    out.print(
        f"{item} → {found['product_id'] or found['draft_id']}: {found['status']}, "
        f"score {found['score']:g} ({found['reason']})",
        markup=False,
        highlight=False,
    )
    print_waterfall(parts)


def print_waterfall(parts: Sequence[Mapping[str, Any]]) -> None:
    """The parts of a score, weightiest first, with the sum so far."""
    widest = max((abs(part["contribution"]) for part in parts), default=1.0) or 1.0
    rows, total = [], 0.0
    for part in sorted(parts, key=lambda part: -abs(part["contribution"])):
        total += part["contribution"]
        bar = ("+" if part["contribution"] >= 0 else "-") * max(
            1, round(BAR * abs(part["contribution"]) / widest)
        )
        rows.append({**part, "points": f"{part['contribution']:+.2f}", "sum": f"{total:+.2f}",
                     "": bar})  # fmt: skip
    print_table("Evidence", rows, ("meaning", "points", "sum", ""))


@explained
def calibrate(
    by: Annotated[str, typer.Option(envvar="SCOUT_ACTOR", help="Who decides so")] = "",
    plot: Annotated[Path | None, typer.Option(help="Write the reliability plot, a PNG")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, change nothing")] = False,
) -> None:
    """Fit the score to what people decided, so that 95 means 95 here."""
    from scout_assets.domain import linking
    from scout_assets.domain.matching.calibration import calibrate as fit

    decisions = Home.locate().decisions
    pairs = linking.accepted_pairs(decisions.all())
    before = decisions.calibration()
    scores, right = [score for score, _ in pairs], [accepted for _, accepted in pairs]
    fitted = fit(scores, right)
    print_table(
        "Reliability before and after",
        [
            {"score": f"{b.low:g} to {b.high:g}", "pairs": b.count, "right": b.accepted,
             "promised before": _rounded(b.mean_percent), "after": _rounded(a.mean_percent)}
            for b, a in zip(before.reliability(scores, right), fitted.reliability(scores, right),
                            strict=True)
            if b.count or a.count
        ],
        ("score", "pairs", "right", "promised before", "after"),
    )  # fmt: skip
    if plot is not None:
        from scout_assets.gateways.match_plots import reliability_figure

        picture = reliability_figure(fitted.reliability(scores, right))
        try:
            plot.write_bytes(picture)
        except OSError as error:
            raise BadConfig(f"cannot write {plot}: {error.strerror}") from error
        out.print(f"plot: {plot}", markup=False)
    if dry_run:
        return
    if not by.strip():
        raise BadConfig("a calibration needs a name: --by NAME, or set SCOUT_ACTOR")
    if fitted == before:
        out.print("it is in use already: nothing was decided since")
        return
    decisions.calibrated(fitted, by, now())
    out.print("used from the next materialisation of suppliers/matches on")


def _rounded(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.1f}"
