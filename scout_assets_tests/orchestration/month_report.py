"""What became of a simulated month, for people: figures, and a plot by the day.

Belongs here: counting and drawing. Does not belong here: what should have been (`foretold`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from scout_assets.gateways.plots import page, png
from scout_assets_tests.orchestration.foretold import Acts, acted, slots_of
from scout_assets_tests.orchestration.months import Life, Shop

Row = Mapping[str, Any]
Spec = dict[str, Any]

ACTED, TOGETHER, ERASED = "acted on", "taken together with another", "erased in manual"
BACKING_OFF = "while its source failed"
COLOURS = {ACTED: "#3f8a9c", TOGETHER: "#9fcdb4", BACKING_OFF: "#d9902f", ERASED: "#d4cdc7"}
TRIES = {"retries": "#d9902f", "failed fetches": "#b5483a"}
WIDTH = 860


@dataclass(frozen=True)
class Slot:
    """A slot of a source and what became of it."""

    at: datetime
    fate: str


def report(life: Life, folder: Path) -> Path:
    """Writes `month.png` and `month.md` into `folder`; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "month.png").write_bytes(png(chart(life), 1.3))
    told = folder / "month.md"
    told.write_text(f"# {_title(life)}\n\n{figures(life)}\n\n![By the day](month.png)\n")
    return told


def figures(life: Life) -> str:
    """The numbers as a Markdown table."""
    lines = [f"| {name} | {value} |" for name, value in _numbers(life).items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _numbers(life: Life) -> dict[str, str]:
    found = acted(life)
    fates = Counter(slot.fate for shop in life.shops for slot in fates_of(life, shop, found))
    reasons = Counter(act.reason for acts in found.values() for act in acts)
    runs, ticks = life.daemon.runs, [tick.seconds for tick in life.daemon.ticks]
    seconds = sum(run.ended - run.began for run in runs) + sum(ticks)
    return {
        "sources, of which failing": f"{len(life.shops)}, {sum(map(_is_troubled, life.shops))}",
        "slots": f"{sum(fates.values()):,}",
        **{f"slots {fate}": f"{fates[fate]:,}" for fate in COLOURS},
        "first fetches of new sources": f"{reasons['new']:,}",
        "retries": f"{reasons['retry']:,}",
        "failed fetches": f"{sum(1 for _ in _failed(life, found)):,}",
        "longest wait for the tick, daemon up": f"{_longest_wait(life, found):.0f} s",
        "ticks": f"{len(ticks):,}",
        "runs": f"{len(runs):,}",
        "requests": f"{sum(len(shop.store.requests) for shop in life.shops):,}",
        "seconds it took": f"{seconds:.0f}",
        "tick p50": f"{1000 * median(ticks):.0f} ms",
        "tick p95": f"{1000 * quantiles(ticks, n=20)[-1]:.0f} ms",
    }


def _is_troubled(shop: Shop) -> bool:
    return shop.trouble is not None


def fates_of(life: Life, shop: Shop, found: Mapping[str, Acts]) -> Iterator[Slot]:
    """Its slots until a failure for ever, those of both cadences at one moment as one."""
    acts = found[shop.key]
    launched = [at for at in acts.values() if at is not None]
    claimed = {act.slot for act in acts if act.reason == "slot"}
    trouble = shop.trouble
    ends = next((at for at in launched if trouble and trouble.permanent and shop.fails(at)), None)
    for slot in sorted({slot for listed in slots_of(shop, life.plan) for slot in listed}):
        if ends is not None and slot > ends:
            return
        yield Slot(slot, _fate(life, shop, slot, claimed, launched))


def _fate(
    life: Life, shop: Shop, slot: datetime, claimed: set[datetime], launched: Sequence[datetime]
) -> str:
    if slot in claimed:
        return ACTED
    before = max((at for at in launched if at < slot), default=None)
    if before is not None and shop.fails(before):
        return BACKING_OFF
    until = min((at for at in launched if at >= slot), default=life.plan.end)
    if any(slot < one.until <= until and not one.catch_up for one in life.plan.manual):
        return ERASED
    return TOGETHER


def _failed(life: Life, found: Mapping[str, Acts]) -> Iterator[datetime]:
    for shop in life.shops:
        yield from (at for at in found[shop.key].values() if at and shop.fails(at))


def _longest_wait(life: Life, found: Mapping[str, Acts]) -> float:
    """From slot to claim in seconds, where a tick came within a minute of the slot."""
    ticks = [tick.at for tick in life.daemon.ticks if not life.plan.is_manual(tick.at)]
    minute = timedelta(minutes=1)
    slots = {act.slot: act.claimed for acts in found.values() for act in acts}
    up = {slot for slot in slots if any(slot <= at <= slot + minute for at in ticks)}
    return max((slots[slot] - slot).total_seconds() for slot in up)


# The picture


def _title(life: Life) -> str:
    days = (life.plan.end - life.plan.start).days
    failing = sum(map(_is_troubled, life.shops))
    return f"{days} days of {len(life.shops)} sources, {failing} of them failing"


def chart(life: Life) -> Spec:
    """Above what became of the slots of each day, below retries and failures."""
    found = acted(life)
    slots = [slot for shop in life.shops for slot in fates_of(life, shop, found)]
    by_day = Counter((_day(slot.at), slot.fate) for slot in slots)
    bars = [{"day": day, "what": fate, "count": n} for (day, fate), n in by_day.items()]
    tried = Counter((_day(act.claimed), "retries") for act in _retries(found))
    tried += Counter((_day(at), "failed fetches") for at in _failed(life, found))
    points = [{"day": day, "what": what, "count": n} for (day, what), n in tried.items()]
    upper = _panel("Slots due, and what became of them", bars, COLOURS, life, stacked=True)
    lower = _panel("Retries and failed fetches", points, TRIES, life, stacked=False)
    return page(_title(life), _subtitle(life), {"vconcat": [upper, lower], "spacing": 26})


def _subtitle(life: Life) -> str:
    state = life.world.home.control.state()
    return f"Shaded: mode manual. At the end the mode is {state.mode}, set by {state.actor}"


def _retries(found: Mapping[str, Acts]) -> Iterator[Any]:
    return (act for acts in found.values() for act in acts if act.reason == "retry")


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%dT00:00:00}"


def _panel(
    title: str, rows: Sequence[Row], colours: Mapping[str, str], life: Life, stacked: bool
) -> Spec:
    scale = {"domain": list(colours), "range": list(colours.values())}
    count: Spec = {"field": "count", "type": "quantitative", "title": None}
    beside = {} if stacked else {"xOffset": {"field": "what", "sort": list(colours)}}
    bars = {
        "data": {"values": list(rows)},
        "mark": "bar",
        "encoding": {
            "x": {"field": "day", "timeUnit": "utcyearmonthdate", **_time(life)},
            "y": count,
            **beside,
            "color": {"field": "what", "type": "nominal", "scale": scale},
            "order": {"field": "what", "sort": list(colours)},
        },
    }
    return {
        "title": title,
        "width": WIDTH,
        "height": 230 if stacked else 110,
        "layer": [bars, _shades(life)],
        "resolve": {"scale": {"color": "independent"}},
    }


def _shades(life: Life) -> Spec:
    manual = [
        {"since": f"{one.since:%Y-%m-%dT%H:%M:%S}Z", "until": f"{one.until:%Y-%m-%dT%H:%M:%S}Z"}
        for one in life.plan.manual
    ]
    return {
        "data": {"values": manual},
        "mark": {"type": "rect", "color": "#7d6b9e", "opacity": 0.22},
        "encoding": {"x": {"field": "since", **_time(life)}, "x2": {"field": "until"}},
    }


def _time(life: Life) -> Spec:
    """The days of the plan along the x axis, whole ones."""
    days = [_day(life.plan.start) + "Z", _day(life.plan.end + timedelta(hours=23)) + "Z"]
    domain = [1000 * datetime.fromisoformat(day).timestamp() for day in days]
    axis = {"title": None, "format": "%d %b", "labelAngle": 0, "grid": False}
    return {"type": "temporal", "scale": {"type": "utc", "domain": domain}, "axis": axis}
