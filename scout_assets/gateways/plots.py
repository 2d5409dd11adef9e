"""Pictures of sources: what a table of numbers cannot say at a glance.

Belongs here: which number is drawn how, as Vega-Lite, and its rendering to PNG. Does not
belong here: what is measured (`domain.stats`), Dagster metadata (`orchestration.reporting`).
A chart is plain Vega-Lite 6 (`source_chart`, `overview_chart`), which a browser can draw too;
`vl-convert` renders it here with no browser, display or installed font. Charts are built
without Altair, whose validation and copying took as long as the rendering. Numbers are
binned and ranked here, so a picture of many rows costs hardly more than one of few.
"""

import base64
import math
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from statistics import fmean, median, quantiles
from typing import Any

from scout_assets.domain.stats import (
    INDEX_BASE,
    OFFER_COVERAGE,
    PARENT_COVERAGE,
    PRODUCT_COVERAGE,
    UNKNOWN_CURRENCY,
    parse_currency_at,
)

Row = Mapping[str, Any]
Spec = dict[str, Any]
BySource = Mapping[str, Mapping[str, float]]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# vl-convert carries this font. A name it does not know may come out as no text at all.
FONT = "Liberation Sans"
SOURCE_SCALE, OVERVIEW_SCALE = 1.15, 1.0
PANEL_WIDTH, PANEL_HEIGHT = 400, 215
ROW_HEIGHT = 13
BINS = 28
CURRENCIES_DRAWN = 2
CAPTURES_DRAWN = 26
POINTS_DRAWN = 400
SOURCES_DRAWN = 60
GAP = "…"

INK, FAINT, GRID = "#2d2926", "#76706b", "#e9e5e1"
COFFEE, TEAL, PALE = "#8a5d41", "#3f8a9c", "#f3ece5"
SHARES = [PALE, "#c8a183", "#7b4f35", "#3f2718"]
CURRENCY_COLOURS = (COFFEE, TEAL, "#d9902f", "#7d6b9e", "#6f8f4e", "#b5485d", "#5b6f94", "#a58b3b")
CHANGES: Mapping[str, tuple[str, str]] = {
    "new": ("new", "#3d8b6a"),
    "back": ("back", "#9fcdb4"),
    "price": ("price", "#d9902f"),
    "availability": ("availability", "#b3bcc4"),
    "gone": ("vanished", "#b5483a"),
}
"""Change to its name and colour in the picture."""
FIELD_NAMES: Mapping[str, str] = {
    **{field: field.replace("_", " ") for field in (*PARENT_COVERAGE, *PRODUCT_COVERAGE)},
    **{field: field for field in OFFER_COVERAGE},
    "net_weight_g": "net weight",
    "sku": "SKU",
    "gtin": "GTIN",
}
_AXIS = {
    "domainColor": GRID,
    "gridColor": GRID,
    "labelColor": FAINT,
    "labelFontSize": 10,
    "tickColor": GRID,
    "titleColor": FAINT,
    "titleFontSize": 10.5,
    "titleFontWeight": "normal",
}
_CONFIG: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {"orient": "bottom", "title": None, "labelColor": FAINT, "symbolSize": 70},
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "subtitleColor": FAINT},
    "text": {"color": FAINT, "fontSize": 9.5},
}
_OWN_COLOURS = {"scale": {"color": "independent"}}


def source_figure(title: str, stats: Sequence[Row], offers: Sequence[Row]) -> bytes:
    """`source_chart` as PNG, about 1100 by 730 pixels."""
    return png(source_chart(title, stats, offers), SOURCE_SCALE)


def overview_figure(title: str, stats: Sequence[Row]) -> bytes:
    """`overview_chart` as PNG, about 950 pixels wide; its height grows with the sources."""
    return png(overview_chart(title, stats), OVERVIEW_SCALE)


def markdown(png: bytes, alt: str) -> str:
    """The picture inside one Markdown image, for metadata that has no files."""
    text = " ".join(alt.replace("[", "(").replace("]", ")").split())
    return f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})"


def source_chart(title: str, stats: Sequence[Row], offers: Sequence[Row]) -> Spec:
    """One source: unit prices, coverage, price index and changes, as Vega-Lite.

    stats: the source's rows of `domain.stats.source_stats`. offers: the rows whose current
    prices are drawn, in any order (`domain.stats.coffee_offers`, or all of the source's).
    A panel without data says so.
    """
    top = {"hconcat": [_unit_prices(offers), _coverage(stats)]}
    bottom = {"hconcat": [_index(stats), _changes(stats)]}
    rows = [{**row, "spacing": 40, "resolve": _OWN_COLOURS} for row in (top, bottom)]
    return page(title, _summary(stats), {"vconcat": rows, "spacing": 24, "resolve": _OWN_COLOURS})


def overview_chart(title: str, stats: Sequence[Row]) -> Spec:
    """Many sources, a line each: products, coverage, median unit price, as Vega-Lite.

    stats: rows of `domain.stats.source_stats` of all of them. Of more than `SOURCES_DRAWN`
    sources the ones with the best and the worst mean coverage are drawn.
    """
    coverage = _by_source(stats, "coverage")
    products = _by_source(stats, "products_listed")
    if not products:
        return page(title, "", _empty("Sources"))
    shown, note = _shown_sources(coverage, products)
    columns = [
        _products_column(shown, products),
        _coverage_column(shown, coverage),
        _unit_price_column(shown, _by_source(stats, "unit_price_100g_median")),
    ]
    return page(title, note, {"hconcat": columns, "spacing": 16, "resolve": _OWN_COLOURS})


# Rendering


def png(chart: Spec, scale: float = 1.0) -> bytes:
    """A chart rendered; needs no browser, display or installed font."""
    # Here, because it loads a JavaScript engine that most processes never need.
    import vl_convert

    return _deflated(vl_convert.vegalite_to_png(chart, scale=scale))


def _deflated(png: bytes) -> bytes:
    """The same picture in about a fifth of the bytes: vl-convert hardly compresses.

    Chunks by the PNG specification (W3C, third edition, section 5.3): length, type, data, CRC.
    """
    kept: list[tuple[bytes, bytes]] = []
    pixels, at = b"", 8
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + length]
        at += length + 12
        if name == b"IDAT":
            pixels += data
        else:
            kept.append((name, data))
    kept.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(pixels), 7)))
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in kept
    )


# Parts of every chart


def page(title: str, subtitle: str, content: Spec) -> Spec:
    """A chart under its title, in the style of all."""
    heading = {"text": title, "subtitle": subtitle, "fontSize": 17, "offset": 14}
    if "vconcat" not in content and "hconcat" not in content:
        content = {"vconcat": [content]}
    frame = {"background": "white", "padding": 14, "config": _CONFIG}
    return {"$schema": SCHEMA, "title": heading, **frame, **content}


def _empty(title: str, reason: str = "no data yet") -> Spec:
    return {
        "title": title,
        "width": PANEL_WIDTH,
        "height": PANEL_HEIGHT,
        "view": {"fill": "#faf8f6", "cornerRadius": 4},
        "data": {"values": [{}]},
        "mark": {"type": "text", "text": reason, "fontSize": 13},
    }


def data(rows: Iterable[Row]) -> Spec:
    """Rows as a chart's inline data."""
    return {"values": [dict(row) for row in rows]}


def _number(field: str, title: str | None = None, **more: object) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, **more}


def _name(field: str, title: str | None = None, **more: object) -> Spec:
    return {"field": field, "type": "nominal", "title": title, **more}


def _colours(field: str, colours: Mapping[str, str]) -> Spec:
    """A colour for each name; a legend only where there is something to tell apart."""
    scale = {"domain": list(colours), "range": list(colours.values())}
    legend: Spec = {} if len(colours) > 1 else {"legend": None}
    return _name(field, scale=scale, **legend)


def _currency_colours(currencies: Iterable[str]) -> dict[str, str]:
    return {
        currency: CURRENCY_COLOURS[n % len(CURRENCY_COLOURS)]
        for n, currency in enumerate(sorted(currencies))
    }


def _summary(stats: Sequence[Row]) -> str:
    counts = {row["metric"]: f"{row['value']:,.0f}" for row in stats if not row["dimension"]}
    if not counts:
        return ""
    return (
        f"{counts['coffees']} coffees in {counts['parents_listed']} pages · "
        f"{counts['products_listed']} products listed, {counts['products_available']} available"
        f" · {counts['products_gone']} gone"
    )


# One source: what it costs


def _unit_prices(offers: Sequence[Row]) -> Spec:
    title = "Price of 100 g now"
    prices = sorted(_current_unit_prices(offers).items(), key=lambda item: -len(item[1]))
    if not prices:
        return _empty(title)
    drawn, left_out = prices[:CURRENCIES_DRAWN], [name for name, _ in prices[CURRENCIES_DRAWN:]]
    height = (PANEL_HEIGHT - 46 * (len(drawn) - 1)) // len(drawn)
    charts = [_histogram(currency, values, height) for currency, values in drawn]
    charts[0]["title"] = f"{title} (not drawn: {', '.join(left_out)})" if left_out else title
    return charts[0] if len(charts) == 1 else {"vconcat": charts, "spacing": 8}


def _current_unit_prices(offers: Sequence[Row]) -> dict[str, list[float]]:
    history = sorted(offers, key=itemgetter("observed_at", "snapshot"))
    prices: dict[str, list[float]] = {}
    for offer in {offer["product_id"]: offer for offer in history}.values():
        if offer["unit_price_100g"]:
            currency = offer["currency"] or UNKNOWN_CURRENCY
            prices.setdefault(currency, []).append(float(offer["unit_price_100g"]))
    return prices


def _histogram(currency: str, values: Sequence[float], height: int) -> Spec:
    drawn, dearer = _without_far_out(values)
    bins = _binned(drawn)
    axis_title = f"{currency} per 100 g" + (f" ({dearer} dearer not drawn)" if dearer else "")
    ceiling = 1.15 * max(row["count"] for row in bins)
    counts = _number(
        "count",
        "products",
        axis={"tickMinStep": 1, "tickCount": height // 43 + 1},
        scale={"domain": [0, ceiling], "nice": False},
    )
    x = _number("from", axis_title, bin="binned", axis={"tickCount": 7, "grid": False})
    bars = {
        "data": data(bins),
        "mark": {"type": "bar", "color": COFFEE},
        "encoding": {"x": x, "x2": {"field": "to"}, "y": counts},
    }
    at = {"x": _number("median", axis_title)}
    middle = {"data": data([{"median": median(values)}]), "encoding": at}
    rule = {"type": "rule", "color": INK, "strokeDash": [3, 3]}
    text = {"type": "text", "align": "left", "dx": 5, "y": 6, "color": INK, "fontSize": 10.5}
    text["text"] = f"median {median(values):,.2f}"
    layers = [bars, {**middle, "mark": rule}, {**middle, "mark": text}]
    return {"width": PANEL_WIDTH, "height": height, "layer": layers}


def _without_far_out(values: Sequence[float]) -> tuple[list[float], int]:
    """Values up to Tukey's upper outer fence (1977), and how many lie beyond.

    One misread weight would otherwise squeeze all the rest into one bar.
    """
    if len(values) < 2:
        return list(values), 0
    low, _, high = quantiles(values, n=4, method="inclusive")
    fence = max(high + 3 * (high - low), 2 * high)
    drawn = [value for value in values if value <= fence]
    return drawn, len(values) - len(drawn)


def _binned(values: Sequence[float]) -> list[dict[str, float]]:
    """Counts in bins of one round width, empty ones left out."""
    width = _round_up(((max(values) - min(values)) or max(values)) / BINS)
    counts = Counter(math.floor(value / width) for value in values)
    return [
        {"from": number * width, "to": (number + 1) * width, "count": count}
        for number, count in sorted(counts.items())
    ]


def _round_up(width: float) -> float:
    magnitude: float = 10.0 ** math.floor(math.log10(width))
    steps = (magnitude * step for step in (1, 2, 2.5, 5))
    return next((step for step in steps if step >= width), magnitude * 10)


# One source: what it tells


def _coverage(stats: Sequence[Row]) -> Spec:
    title = "Fields the store fills"
    shares = {row["dimension"]: row["value"] for row in stats if row["metric"] == "coverage"}
    rows = [
        {
            "field": f"{name}  {shares[field]:.0%}",
            "share": shares[field],
            "of": "share of coffees" if field in PARENT_COVERAGE else "share of their products",
        }
        for field, name in FIELD_NAMES.items()
        if field in shares
    ]
    if not rows:
        return _empty(title)
    share = _number("share", axis=None, scale={"domain": [0, 1]})
    whole = {"datum": 1, "type": "quantitative", "axis": None}
    colour = _colours("of", {"share of coffees": COFFEE, "share of their products": TEAL})
    return {
        "title": title,
        "width": PANEL_WIDTH - 60,
        "height": PANEL_HEIGHT,
        "data": data(rows),
        "encoding": {
            "y": _name(
                "field", sort=None, axis={"ticks": False, "domain": False, "labelPadding": 6}
            )
        },
        "layer": [
            {"mark": {"type": "bar", "color": PALE}, "encoding": {"x": whole}},
            {"mark": "bar", "encoding": {"x": share, "color": colour}},
        ],
    }


# One source: how it moves


def _index(stats: Sequence[Row]) -> Spec:
    title = "Price index of coffee"
    lines = _index_lines(stats)
    if not lines:
        return _empty(title)
    points = [point for line in lines.values() for point in line]
    at = {"field": "at", "type": "temporal", "title": "capture", "axis": _date_axis(points)}
    at["scale"] = {"type": "utc", "padding": 14}
    index = _number(
        "index", "first capture = 100", scale=_index_scale(points), axis={"tickCount": 5}
    )
    colour = _colours("currency", _currency_colours(lines))
    base = {"data": data([{"index": INDEX_BASE}]), "encoding": {"y": index}}
    marker = {"size": 34 if len(points) <= 40 else 10}
    text = {"type": "text", "dy": -12, "fontSize": 10.5}
    layers = [
        {**base, "mark": {"type": "rule", "color": FAINT, "strokeDash": [2, 3]}},
        {
            "data": data(points),
            "mark": {"type": "line", "point": marker, "strokeWidth": 2},
            "encoding": {"x": at, "y": index, "color": colour},
        },
        {
            "data": data(line[-1] for line in lines.values()),
            "mark": text,
            "encoding": {"x": at, "y": index, "color": colour, "text": {"field": "text"}},
        },
    ]
    return {"title": title, "width": PANEL_WIDTH, "height": PANEL_HEIGHT, "layer": layers}


def _index_lines(stats: Sequence[Row]) -> dict[str, list[Row]]:
    lines: dict[str, list[Row]] = {}
    for row in stats:
        if row["metric"] == "price_index":
            currency, at = parse_currency_at(row["dimension"])
            text = f"{row['value']:.1f}"
            # Vega-Lite takes an instant as milliseconds since 1970, in UTC.
            point = {"currency": currency, "at": at.timestamp() * 1000, "text": text}
            lines.setdefault(currency, []).append({**point, "index": row["value"]})
    return {
        currency: sorted(points, key=itemgetter("at"))[-POINTS_DRAWN:]
        for currency, points in lines.items()
    }


def _date_axis(points: Sequence[Row]) -> Spec:
    times = sorted({point["at"] for point in points})
    return {"format": "%-d %b %Y", "grid": False, "values": times[:: math.ceil(len(times) / 5)]}


def _index_scale(points: Sequence[Row]) -> Spec:
    values = [INDEX_BASE, *(point["index"] for point in points)]
    low, high = min(values), max(values)
    margin = max(1.0, 0.15 * (high - low))
    return {"domain": [low - margin, high + margin], "nice": False}


def _changes(stats: Sequence[Row]) -> Spec:
    title = "Products that changed, by capture"
    captures = sorted({row["dimension"] for row in stats if row["metric"] == "change_new"})
    if len(captures) < 2:
        return _empty(title, "one capture so far" if captures else "no data yet")
    # In the first capture everything is new, which would dwarf all that follows.
    rows = list(_change_rows(stats, captures[1:][-CAPTURES_DRAWN:]))
    labels = list(dict.fromkeys(row["capture"] for row in rows))
    shown = labels[:: math.ceil(len(labels) / 5)]
    axis = {"labelExpr": "format(abs(datum.value), ',')", "tickMinStep": 1, "tickCount": 6}
    vertical = "products (vanished below 0)"
    bars = {
        "data": data(rows),
        "mark": {"type": "bar", "size": min(44, 340 // len(labels))},
        "encoding": {
            "x": _name("capture", "capture", sort=None, axis={"labelAngle": 0, "values": shown}),
            "y": _number("products", vertical, axis=axis, scale=_stack_scale(rows)),
            "color": _colours("change", dict(CHANGES.values())),
        },
    }
    zero = {"mark": {"type": "rule", "color": FAINT}, "encoding": {"y": {"datum": 0}}}
    size = {"width": PANEL_WIDTH, "height": PANEL_HEIGHT}
    return {"title": title, **size, "layer": [bars, zero]}


def _change_rows(stats: Sequence[Row], captures: Sequence[str]) -> Iterator[Row]:
    values = {(row["metric"], row["dimension"]): row["value"] for row in stats}
    times = [datetime.fromisoformat(capture) for capture in captures]
    daily = len({at.date() for at in times}) == len(times)
    for capture, at in zip(captures, times, strict=True):
        day = f"{at.day} {at:%b %Y}"
        label = day if daily else f"{day} {at:%H:%M:%S}"
        for change, (name, _) in CHANGES.items():
            value = values.get((f"change_{change}", capture), 0.0)
            yield {
                "capture": label,
                "change": name,
                "products": -value if change == "gone" else value,
            }


def _stack_scale(rows: Iterable[Row]) -> Spec:
    above: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for row in rows:
        (above if row["products"] > 0 else below)[row["capture"]] += row["products"]
    low, high = min(below.values(), default=0), max(above.values(), default=0)
    margin = 0.06 * (high - low) or 1
    return {"domain": [low and low - margin, high + margin], "nice": False}


# Many sources


def _by_source(stats: Sequence[Row], metric: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in stats:
        if row["metric"] == metric:
            found.setdefault(row["source"], {})[row["dimension"]] = row["value"]
    return found


def _shown_sources(coverage: BySource, products: BySource) -> tuple[list[str], str]:
    """The sources that get a line, best covered first, and what the subtitle says of it."""
    mean = {source: fmean(coverage.get(source, {}).values() or [0.0]) for source in products}
    ranked = sorted(mean, key=lambda source: (-mean[source], source))
    listed = sum(counts[""] for counts in products.values())
    note = f"{len(ranked):,} sources · {listed:,.0f} products listed · best covered first"
    if len(ranked) <= SOURCES_DRAWN:
        return ranked, note
    half = SOURCES_DRAWN // 2
    note += f" · drawn: the {half} best and the {half} worst"
    return [*ranked[:half], GAP, *ranked[-half:]], note


def _column(title: str, shown: Sequence[str], **axis: object) -> Spec:
    """A column with one line per source. Columns stand side by side: one has the labels."""
    axis = {"labelLimit": 150, "domain": False, "ticks": False, **axis}
    source = _name("source", scale={"domain": list(shown)}, axis=axis)
    return {"title": title, "height": len(shown) * ROW_HEIGHT, "encoding": {"y": source}}


def _products_column(shown: Sequence[str], products: BySource) -> Spec:
    counts = [(key, products[key][""]) for key in shown if key in products]
    rows = [{"source": key, "n": n, "text": f"{n:,.0f}"} for key, n in counts]
    count = _number("n", "products listed", axis={"tickCount": 3, "tickMinStep": 1})
    text = {"type": "text", "align": "left", "dx": 4}
    return {
        **_column("Products", shown),
        "width": 150,
        "data": data(rows),
        "layer": [
            {"mark": {"type": "bar", "color": COFFEE}, "encoding": {"x": count}},
            {"mark": text, "encoding": {"x": count, "text": {"field": "text"}}},
        ],
    }


def _coverage_column(shown: Sequence[str], coverage: BySource) -> Spec:
    rows = [
        {"source": key, "field": name, "share": coverage[key][field]}
        for key in shown
        for field, name in FIELD_NAMES.items()
        if field in coverage.get(key, {})
    ]
    column = _column("Share of fields filled", shown, labels=False)
    legend = {"format": "%", "gradientLength": 160, "gradientThickness": 9}
    column["encoding"] |= {
        "x": _name("field", axis={"labelAngle": -45}, scale={"domain": list(FIELD_NAMES.values())}),
        "color": _number("share", scale={"domain": [0, 1], "range": SHARES}, legend=legend),
    }
    mark = {"type": "rect", "stroke": "white"}
    return {**column, "width": {"step": 24}, "data": data(rows), "mark": mark}


def _unit_price_column(shown: Sequence[str], prices: BySource) -> Spec:
    drawn = {key: prices.get(key, {}) for key in shown}
    rows = [
        {"source": key, "currency": currency, "price": price}
        for key, by_currency in drawn.items()
        for currency, price in by_currency.items()
    ]
    ticks = _log_ticks([price for found in drawn.values() for price in found.values()])
    scale = {"type": "log", "domain": [ticks[0], ticks[-1]], "nice": False}
    axis = {"values": ticks, "format": "~r"}
    column = _column("Median price of 100 g", shown, labels=False, grid=True)
    column["encoding"] |= {
        "x": _number("price", "own currency (log scale)", scale=scale, axis=axis),
        "color": _colours("currency", _currency_colours({c for f in drawn.values() for c in f})),
    }
    mark = {"type": "point", "filled": True, "size": 48, "opacity": 1}
    return {**column, "width": 190, "data": data(rows), "mark": mark}


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Round ticks around all values: 1, 2, 5 within two decades, else powers of ten."""
    low, high = min(values, default=1.0), max(values, default=10.0)
    # One decade to spare: log10 of a number just below a power of ten rounds up to it.
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    steps = (1, 2, 5) if high / low < 100 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    first = max(tick for tick in ticks if tick <= low)
    last = min(tick for tick in ticks if tick >= high and tick > first)
    return [tick for tick in ticks if first <= tick <= last]
