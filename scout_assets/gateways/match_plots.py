"""Pictures of matches: scores, evidence, reliability.

Belongs here: which number of a match is drawn how. Does not belong here: the numbers
(`domain.matching`), drawing sources and rendering (`plots`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from scout_assets.domain.matching.calibration import LINK, REVIEW, Bin
from scout_assets.domain.review import Status
from scout_assets.gateways.plots import Spec, data, page, png

__all__ = ["parts_of", "reliability_figure", "scores_figure", "waterfall_figure"]

Row = Mapping[str, Any]

STATUS_COLOURS: Mapping[str, str] = {
    Status.VERIFIED_MATCH: "#2c6e57",
    Status.AUTO_MATCHED: "#3d8b6a",
    Status.POTENTIAL_MATCH: "#d9902f",
    Status.UNMATCHED: "#b3bcc4",
    Status.REJECTED: "#b5485d",
}
FOR, AGAINST, SUM = "#3d8b6a", "#b5485d", "#5b6f94"
WIDTH, ROW = 420, 16


def parts_of(evidence: str) -> list[Row]:
    """The parts of a score as `matches.evidence` keeps them."""
    parts: list[Row] = orjson.loads(evidence)
    return parts


def scores_figure(matches: Sequence[Row]) -> bytes:
    """How many items of each status have which score, in steps of five."""
    counted: dict[tuple[int, str], int] = {}
    for row in matches:
        step = min(int(row["score"] // 5) * 5, 95)
        counted[step, row["status"]] = counted.get((step, row["status"]), 0) + 1
    rows = [
        {"from": step, "to": step + 5, "status": status, "items": count}
        for (step, status), count in sorted(counted.items())
    ]
    names = list(STATUS_COLOURS)
    bars: Spec = {
        "data": data(rows),
        "width": WIDTH,
        "height": 180,
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {"field": "from", "type": "quantitative", "title": "score", "bin": "binned"},
            "x2": {"field": "to"},
            "y": {"field": "items", "type": "quantitative", "title": "items", "stack": True},
            "color": {
                "field": "status",
                "type": "nominal",
                "title": None,
                "scale": {"domain": names, "range": list(STATUS_COLOURS.values())},
            },
        },
    }
    bands = f"linked from {LINK:g}, reviewed from {REVIEW:g}"
    return png(page(f"{len(matches)} supplier items", bands, bars))


def waterfall_figure(title: str, parts: Sequence[Row]) -> bytes:
    """From nothing to the score, part by part, the weightiest first."""
    rows, at = [], 0.0
    for part in sorted(parts, key=lambda part: -abs(part["contribution"])):
        after = at + part["contribution"]
        rows.append(
            {
                "part": part["meaning"],
                "from": at,
                "to": after,
                "kind": "for" if after >= at else "against",
            }
        )
        at = after
    rows.append({"part": "score before calibration", "from": 0.0, "to": at, "kind": "sum"})
    bars: Spec = {
        "data": data(rows),
        "width": WIDTH,
        "height": {"step": ROW},
        "mark": "bar",
        "encoding": {
            "y": {"field": "part", "type": "nominal", "sort": None, "title": None,
                  "axis": {"labelLimit": 260}},
            "x": {"field": "from", "type": "quantitative", "title": "points"},
            "x2": {"field": "to"},
            "color": {
                "field": "kind",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": ["for", "against", "sum"], "range": [FOR, AGAINST, SUM]},
            },
        },
    }  # fmt: skip
    return png(page(title, "what speaks for and against it", bars))


def reliability_figure(bins: Sequence[Bin]) -> bytes:
    """What share of decided pairs was right, by their score, beside what the score promised."""
    rows = [
        {"score": one.mean_percent, "right": 100 * one.accepted / one.count, "pairs": one.count}
        for one in bins
        if one.count
    ]
    scale = {"domain": [0, 100]}
    promised: Spec = {
        "data": data([{"score": 0, "right": 0}, {"score": 100, "right": 100}]),
        "mark": {"type": "line", "color": "#b3bcc4", "strokeDash": [4, 3]},
        "encoding": {
            "x": {"field": "score", "type": "quantitative", "scale": scale, "title": "score"},
            "y": {"field": "right", "type": "quantitative", "scale": scale, "title": "right, %"},
        },
    }
    found: Spec = {
        "data": data(rows),
        "mark": {"type": "point", "filled": True, "color": SUM, "opacity": 0.9},
        "encoding": {
            "x": {"field": "score", "type": "quantitative", "scale": scale},
            "y": {"field": "right", "type": "quantitative", "scale": scale},
            "size": {"field": "pairs", "type": "quantitative", "title": "pairs"},
        },
    }
    drawn: Spec = {"width": 300, "height": 300, "layer": [promised, found]}
    total = sum(one.count for one in bins)
    return png(page("Does the score keep its word?", f"{total} decided pairs", drawn))
