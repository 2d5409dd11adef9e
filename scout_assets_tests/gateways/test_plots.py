"""Pictures: that they are valid, legible, small, and draw what the numbers say."""

import base64
import json
import re
import struct
import subprocess
import sys
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain import stats
from scout_assets.gateways import plots
from scout_assets_tests.gateways.vega_lite import complaint

START = datetime(2026, 9, 7, tzinfo=UTC)


def stat(metric, dimension, value, source="hillside"):
    row = {"kind": "roaster", "source": source, "metric": metric}
    return {**row, "dimension": dimension, "value": float(value)}


def source_rows(source="hillside", captures=3, share=0.5, currency="EUR", median=6.0):
    """Stats as `source_stats` gives them, of a source with `captures` captures."""
    counts = {"coffees": 10, "parents_listed": 12, "products_listed": 34}
    counts |= {"products_available": 30, "products_gone": 2}
    rows = [stat(metric, "", value, source) for metric, value in counts.items()]
    rows += [stat("coverage", field, share, source) for field in plots.FIELD_NAMES]
    rows.append(stat("unit_price_100g_median", currency, median, source))
    for number in range(captures):
        moment = START + timedelta(weeks=number)
        rows.append(stat("price_index", stats.currency_at(currency, moment), 100 + number, source))
        for change in stats.CHANGES:
            rows.append(stat(f"change_{change}", stats.capture_key(moment), number, source))
    return rows


def offer(product_id, unit_price, currency="EUR", snapshot=1):
    row = {"product_id": str(product_id), "unit_price_100g": unit_price, "currency": currency}
    return {**row, "snapshot": snapshot, "observed_at": START + timedelta(weeks=snapshot)}


OFFERS = [offer(n, 4 + n % 7) for n in range(40)]
TWO_CURRENCIES = OFFERS + [offer(f"s{n}", 50 + n, "SEK") for n in range(5)]
CHARTS = {
    "a source": plots.source_chart("hillside", source_rows(), OFFERS),
    "one capture": plots.source_chart("hillside", source_rows(captures=1), OFFERS),
    "two currencies": plots.source_chart("hillside", source_rows(), TWO_CURRENCIES),
    "one price": plots.source_chart("hillside", source_rows(), OFFERS[:1]),
    "nothing": plots.source_chart("hillside", [], []),
    "one source": plots.overview_chart("all", source_rows()),
    "no source": plots.overview_chart("all", []),
    "no prices": plots.overview_chart("all", source_rows()[:5]),
    "several sources": plots.overview_chart(
        "all", [row for n in range(5) for row in source_rows(f"roaster-{n}", median=10.0**n)]
    ),
}


def texts(chart):
    return json.dumps(chart, ensure_ascii=False)


def panel(chart, row, column):
    return chart["vconcat"][row]["hconcat"][column]


def chunks(png):
    at = 8
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        yield name, png[at + 8 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        at += length + 12


# All charts


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS.keys())
def test_charts_are_valid_vega_lite(chart):
    assert complaint(chart) is None


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS.keys())
def test_charts_render_to_small_png(chart):
    png = plots.png(chart, 1.0)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert 2_000 < len(png) < 120_000


def test_figures_are_of_modest_size():
    for png in (
        plots.source_figure("hillside", source_rows(), OFFERS),
        plots.overview_figure("all", source_rows()),
    ):
        (_, header, _), *_ = chunks(png)
        width, height = struct.unpack(">II", header[:8])
        assert 700 < width < 1300
        assert 100 < height < 900
        assert len(png) < 120_000


def test_text_is_drawn():
    """With a font that is not found, a picture comes out the same whatever its text."""
    assert plots.source_figure("hillside", [], []) != plots.source_figure("lakeside", [], [])


def test_packing_keeps_every_pixel_and_chunk():
    import vl_convert

    loose = vl_convert.vegalite_to_png(CHARTS["a source"])
    packed = plots._deflated(loose)
    assert len(packed) < len(loose) / 2
    before, after = list(chunks(loose)), list(chunks(packed))
    assert [name for name, *_ in before] == [name for name, *_ in after]
    assert all(struct.unpack(">I", crc)[0] == zlib.crc32(n + d) for n, d, crc in after)
    for (name, old, _), (_, new, _) in zip(before, after, strict=True):
        unpack = zlib.decompress if name == b"IDAT" else bytes
        assert unpack(old) == unpack(new)


def test_loading_the_module_loads_no_renderer():
    code = "import sys, scout_assets.gateways.plots; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not {b"altair", b"vl_convert"} & set(loaded.stdout.split())


# One source


def test_without_data_every_panel_says_so():
    assert texts(CHARTS["nothing"]).count("no data yet") == 4
    assert "no data yet" not in texts(CHARTS["a source"])


def test_unit_prices_are_those_of_the_last_row_of_each_product():
    offers = [offer("a", 9, snapshot=2), offer("a", 5, snapshot=1), offer("b", 7)]
    gone = [offer("c", 3, snapshot=1), offer("c", None, snapshot=2)]
    histogram = panel(plots.source_chart("hillside", [], offers + gone), 0, 0)
    assert "median 8.00" in texts(histogram)
    assert sum(row["count"] for row in histogram["layer"][0]["data"]["values"]) == 2


def test_each_currency_has_its_own_axis_and_the_rarest_are_named():
    offers = [*TWO_CURRENCIES, offer("y", 900, "JPY"), offer("x", 1, None)]
    prices = panel(plots.source_chart("hillside", [], offers), 0, 0)
    assert re.findall(r"(\w+) per 100 g", texts(prices)) == ["EUR"] * 3 + ["SEK"] * 3
    assert prices["vconcat"][0]["title"].endswith("(not drawn: JPY, unknown)")


def test_a_price_far_out_is_named_instead_of_drawn():
    histogram = panel(plots.source_chart("hillside", [], [*OFFERS, offer("z", 4000)]), 0, 0)
    assert "(1 dearer not drawn)" in texts(histogram)
    assert max(row["to"] for row in histogram["layer"][0]["data"]["values"]) < 20


def test_changes_leave_the_first_capture_out_and_hang_the_vanished_below():
    bars = panel(CHARTS["a source"], 1, 1)["layer"][0]["data"]["values"]
    assert {row["capture"] for row in bars} == {"14 Sep 2026", "21 Sep 2026"}
    assert [row["products"] for row in bars if row["change"] == "vanished"] == [-1, -2]
    assert "one capture so far" in texts(CHARTS["one capture"])


def test_two_captures_of_one_day_are_told_apart():
    moments = [START + timedelta(hours=hour) for hour in (0, 6, 12)]
    rows = [stat(f"change_{c}", stats.capture_key(m), 1) for m in moments for c in stats.CHANGES]
    bars = panel(plots.source_chart("hillside", rows, []), 1, 1)["layer"][0]["data"]["values"]
    assert {row["capture"] for row in bars} == {"7 Sep 2026 06:00:00", "7 Sep 2026 12:00:00"}


def test_long_histories_are_cut_to_the_latest():
    rows = source_rows(captures=plots.POINTS_DRAWN + 50)
    chart = plots.source_chart("hillside", rows, [])
    line = panel(chart, 1, 0)["layer"][1]["data"]["values"]
    bars = panel(chart, 1, 1)["layer"][0]["data"]["values"]
    assert (len(line), line[-1]["index"]) == (plots.POINTS_DRAWN, 100 + plots.POINTS_DRAWN + 49)
    assert len({row["capture"] for row in bars}) == plots.CAPTURES_DRAWN


def test_the_index_takes_instants_in_utc():
    line = panel(CHARTS["a source"], 1, 0)["layer"][1]["data"]["values"]
    assert line[0]["at"] == START.timestamp() * 1000


# Many sources


def test_few_sources_are_all_drawn_best_covered_first():
    rows = source_rows("poor", share=0.1) + source_rows("rich", share=0.9)
    chart = plots.overview_chart("all", rows)
    lines = chart["hconcat"][0]["encoding"]["y"]["scale"]["domain"]
    assert lines == ["rich", "poor"]
    assert chart["title"]["subtitle"].startswith("2 sources · 68 products listed")


def test_of_many_sources_the_best_and_the_worst_are_drawn():
    count = 3 * plots.SOURCES_DRAWN
    rows = [row for n in range(count) for row in source_rows(f"r{n:03}", 0, share=n / count)]
    chart = plots.overview_chart("all", rows)
    lines = chart["hconcat"][0]["encoding"]["y"]["scale"]["domain"]
    assert len(lines) == plots.SOURCES_DRAWN + 1
    assert (lines[0], lines[plots.SOURCES_DRAWN // 2], lines[-1]) == ("r179", plots.GAP, "r000")
    assert "30 best and the 30 worst" in chart["title"]["subtitle"]


def test_a_source_without_coffee_comes_last_with_an_empty_line():
    bare = [stat("products_listed", "", 4, "bare")]
    chart = plots.overview_chart("all", bare + source_rows("full"))
    assert chart["hconcat"][0]["encoding"]["y"]["scale"]["domain"] == ["full", "bare"]
    assert {row["source"] for row in chart["hconcat"][1]["data"]["values"]} == {"full"}


# Parts

PRICES = st.lists(st.floats(0.0001, 1e6), min_size=1, max_size=50)


@given(PRICES)
def test_bins_hold_every_value_and_do_not_overlap(values):
    bins = plots._binned(values)
    assert sum(row["count"] for row in bins) == len(values)
    assert len(bins) <= 2 * plots.BINS
    slack = 1e-9 * max(values)
    assert bins[0]["from"] <= min(values) + slack
    assert bins[-1]["to"] >= max(values) - slack
    assert all(a["to"] <= b["from"] + slack for a, b in pairwise(bins))


@given(PRICES)
def test_far_out_values_are_few_and_counted(values):
    drawn, beyond = plots._without_far_out(values)
    assert len(drawn) + beyond == len(values)
    assert 4 * beyond <= len(values)


def test_among_equal_prices_a_neighbour_is_not_far_out():
    assert plots._without_far_out([5.0, 5.0, 5.0, 5.0, 6.0]) == ([5.0, 5.0, 5.0, 5.0, 6.0], 0)


@given(PRICES)
def test_ticks_of_a_log_axis_enclose_the_values(values):
    ticks = plots._log_ticks(values)
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= min(values) <= max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 16


@pytest.mark.parametrize(
    ("width", "rounded"), [(1, 1), (1.2, 2), (2.1, 2.5), (0.03, 0.05), (51, 100), (7, 10)]
)
def test_bins_have_round_widths(width, rounded):
    assert plots._round_up(width) == pytest.approx(rounded)


def test_markdown_holds_the_picture_itself():
    found = re.fullmatch(r"!\[(.*?)\]\(data:image/png;base64,(.+)\)", plots.markdown(b"png", "hi"))
    assert found is not None
    assert (found[1], base64.b64decode(found[2])) == ("hi", b"png")


@pytest.mark.parametrize(
    ("alt", "written"), [("a [b] c", "a (b) c"), ("two\nlines", "two lines"), ("", "")]
)
def test_markdown_text_cannot_end_the_image(alt, written):
    assert plots.markdown(b"", alt).startswith(f"![{written}](data:")
