"""Pictures of matches: valid, small, and drawing what the numbers say."""

import json
import struct

import pytest

from scout_assets.domain.matching.calibration import BUNDLED
from scout_assets.gateways import match_plots, plots
from scout_assets.gateways.match_plots import (
    parts_of,
    reliability_figure,
    scores_figure,
    waterfall_figure,
)
from scout_assets_tests.gateways.vega_lite import complaint

MATCHES = [
    {"status": "auto_matched", "score": 98.2},
    {"status": "auto_matched", "score": 96.0},
    {"status": "verified_match", "score": 100.0},
    {"status": "potential_match", "score": 71.3},
    {"status": "unmatched", "score": 0.0},
]
PARTS = [
    {"meaning": "where every pair starts", "contribution": -2.0},
    {"meaning": "rare words agree", "contribution": 6.5},
    {"meaning": "sizes differ", "contribution": -1.25},
]
BINS = BUNDLED.reliability([4.0, 5.0, -1.0, 1.0], [True, True, False, True])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[plots.Spec]:
    """The charts as they are rendered."""
    charts: list[plots.Spec] = []

    def kept(chart: plots.Spec, *scale: float) -> bytes:
        charts.append(chart)
        return plots.png(chart, *scale)

    monkeypatch.setattr(match_plots, "png", kept)
    return charts


def bars(chart):
    """The first part of a page that holds data."""
    found = []

    def look(part):
        if isinstance(part, dict):
            if "data" in part:
                found.append(part)
            for value in part.values():
                look(value)
        elif isinstance(part, list):
            for value in part:
                look(value)

    look(chart)
    return found


@pytest.mark.parametrize(
    "picture",
    [
        lambda: scores_figure(MATCHES),
        lambda: scores_figure([]),
        lambda: waterfall_figure("acme/1 → berg/1", PARTS),
        lambda: waterfall_figure("acme/1", []),
        lambda: reliability_figure(BINS),
        lambda: reliability_figure([]),
    ],
)
def test_pictures_are_png_of_modest_size(picture):
    png = picture()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert 300 < width < 1300
    assert 60 < height < 900
    assert len(png) < 120_000


@pytest.mark.parametrize(
    "draw",
    [
        lambda: scores_figure(MATCHES),
        lambda: waterfall_figure("acme/1", PARTS),
        lambda: reliability_figure(BINS),
    ],
)
def test_charts_are_valid_vega_lite(draw, drawn):
    draw()
    assert [complaint(chart) for chart in drawn] == [None]


def test_scores_are_counted_by_status_in_steps_of_five(drawn):
    scores_figure(MATCHES)
    (chart,) = bars(drawn[0])
    counted = {(row["from"], row["status"]): row["items"] for row in chart["data"]["values"]}
    assert counted == {
        (0, "unmatched"): 1,
        (70, "potential_match"): 1,
        (95, "auto_matched"): 2,
        (95, "verified_match"): 1,
    }
    said = json.dumps(drawn[0])
    assert "5 supplier items" in said
    assert "linked from 95, reviewed from 70" in said


def test_a_waterfall_goes_from_nothing_to_the_score_the_weightiest_first(drawn):
    waterfall_figure("acme/1 → berg/1", PARTS)
    (chart,) = bars(drawn[0])
    rows = chart["data"]["values"]
    assert [(row["part"], row["from"], row["to"], row["kind"]) for row in rows] == [
        ("rare words agree", 0.0, 6.5, "for"),
        ("where every pair starts", 6.5, 4.5, "against"),
        ("sizes differ", 4.5, 3.25, "against"),
        ("score before calibration", 0.0, 3.25, "sum"),
    ]


def test_reliability_shows_what_was_right_beside_what_was_promised(drawn):
    reliability_figure(BINS)
    _, found = bars(drawn[0])
    rows = found["data"]["values"]
    assert [(row["right"], row["pairs"]) for row in rows] == [(0.0, 1), (100.0, 1), (100.0, 2)]
    assert rows[-1]["score"] > 95
    assert "4 decided pairs" in json.dumps(drawn[0])


def test_evidence_is_read_as_the_warehouse_keeps_it():
    assert parts_of(json.dumps(PARTS)) == PARTS
