"""A small trade for tests: one roaster, suppliers' price lists, an installation to read them.

Belongs here: the lists and their files, and taking each step of the lane without Dagster. Does
not belong here: real lists, expectations.
"""

import asyncio
import copy
import io
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import openpyxl

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.review import Decision, Verdict
from scout_assets.domain.sources import Source, State
from scout_assets.gateways.catchup import catch_up
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets.gateways.matching import Matched, best_price_batch, match_all
from scout_assets.gateways.readers import reader_of, tables_of
from scout_assets.gateways.review_queue import Waiting, waiting
from scout_assets_tests.stores import shopify_page, shopify_product, shopify_variant

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADER = ("Art. no.", "Description", "Brand", "Size", "Pack", "Price per unit", "EAN")
KENYA = ("A-1", "Kenya Embu Mwangaza AB", "Berg Kaffe", "250 g", 6, "10,40", None)
BLEND = ("A-2", "Nordlys Espresso Blend", "Berg Kaffe", "250 g", 6, "8,10", None)
OTHER_SIZE = ("A-3", "Ethiopia Guji Natural", "Berg Kaffe", "500 g", 6, "19,50", None)
"""The roaster sells it in bags of 250 g only: a person has to look."""
CUPS = ("A-4", "Paper cups, sleeve of 50", "Pappra", None, 20, "3,15", None)
ACME = (KENYA, BLEND, OTHER_SIZE, CUPS)

Cells = Sequence[object]


def csv_list(rows: Iterable[Cells] = ACME, header: Cells = HEADER) -> bytes:
    """A list as a European program exports it: semicolons, decimal commas, prices in euros."""
    lines = [["Acme wholesale", "prices in EUR"], [], header, *rows]
    text = "\n".join(";".join("" if cell is None else str(cell) for cell in row) for row in lines)
    return text.encode("cp1252")


def xlsx_list(rows: Iterable[Cells], header: Cells = HEADER, title: str = "Prices") -> bytes:
    """A workbook of one sheet; prices are numbers in euros."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    sheet.append(["Zeta Trading: prices in EUR"])
    sheet.append([])
    sheet.append(list(header))
    for *cells, price, code in rows:
        sheet.append([*cells, float(str(price).replace(",", ".")), code])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def coffees() -> list[dict[str, Any]]:
    """What the roaster lists: four coffees in bags of 250 g, one of them in two grinds."""
    names = ("Kenya Embu Mwangaza AB", "Nordlys Espresso Blend", "Ethiopia Guji Natural",
             "Colombia Huila Decaf")  # fmt: skip
    products = [
        shopify_product(number, title=name, vendor="Berg Kaffe")
        for number, name in enumerate(names, 1)
    ]
    ground = shopify_variant(12, title="250 g / Filter", option2="Filter")
    products[0]["variants"].append(ground)
    return products


class Installation:
    """Stores and lists kept as files below `root`; the home is `root`/home."""

    def __init__(self, root: Path, now: datetime = START) -> None:
        self.root = root
        self.now = now
        self.declared: dict[str, Source] = {}
        self.store(coffees())
        self.declare("berg", "shopify", "berg.json", currency="EUR")

    def copied(self, root: Path) -> "Installation":
        """The same installation in another folder: a test begins where this one stands."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        other = copy.copy(self)
        other.__dict__.pop("home", None)
        other.root = root
        moved = {
            key: source.location.replace(str(self.root), str(root), 1)
            for key, source in self.declared.items()
        }
        other.declared = {
            key: source.model_copy(update={"location": moved[key]})
            for key, source in self.declared.items()
        }
        other.home.ledger.sync(list(other.declared.values()), other.now)
        return other

    @cached_property
    def home(self) -> Home:
        return Home.locate(
            {"SCOUT_RATES": str(self.root / "rates.csv")},
            str(self.root / "home"),
            str(self.root / "sources.yaml"),
        )

    def store(self, products: Sequence[Any]) -> None:
        (self.root / "berg.json").write_bytes(shopify_page(products))

    def declare(self, key: str, platform: str, location: str, **fields: Any) -> None:
        """Make a source known, or its declaration another one."""
        place = location if "://" in location else str(self.root / location)
        declared = {"key": key, "platform": platform, "location": place} | fields
        self.declared[key] = Source.read(declared, "test")
        self.home.ledger.sync(list(self.declared.values()), self.now)

    def supplier(self, key: str, body: bytes, name: str = "", **fields: Any) -> None:
        """Give a supplier a new list."""
        name = name or f"{key}.{'xlsx' if body[:2] == b'PK' else 'csv'}"
        (self.root / name).write_bytes(body)
        self.declare(key, "price-list", name, **fields)

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    def fetch(self, key: str) -> str:
        """Fetch one source; what came of it. Raises its failure."""
        self.pass_time(minutes=1)

        async def refreshed() -> str:
            async with HttpGateway() as http:
                landing = await self.home.snapshots.refresh(
                    self.declared[key], http, Policy(delay_seconds=0, jitter_seconds=0),
                    lambda: self.now,
                )  # fmt: skip
            return landing.outcome.value

        return asyncio.run(refreshed())

    def read(self, *kinds: Kind) -> None:
        """Bring items and catalogue, or one of them, to what landed."""
        home = self.home
        for kind in kinds or Kind:
            sources = [item.source for item in home.ledger.sources(kind, State.ACTIVE)]
            found = catch_up(
                kind, sources, tables_of(kind), home.ledger, home.snapshots, home.warehouse,
                reader_of(kind, home),
            )  # fmt: skip
            for batch in found.batches.values():
                if batch.watermarks:
                    home.warehouse.write(batch)

    def match(self, anew: bool = False) -> Matched:
        """Match as the asset does, and write what is due."""
        made = match_all(self.home, self.now, anew)
        for batch in (made.matches, made.drafts):
            if batch.watermarks:
                self.home.warehouse.write(batch)
        return made

    def price(self) -> bool:
        """Compute best prices as the asset does; whether there was anything to do."""
        batch = best_price_batch(self.home, self.now)
        if batch.watermarks:
            self.home.warehouse.write(batch)
        return bool(batch.watermarks)

    def run(self) -> None:
        """The whole lane, once."""
        for key in self.declared:
            self.fetch(key)
        self.read()
        self.match()
        self.price()

    def rows(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.home.warehouse.read(table).to_pylist()
        return sorted(found, key=lambda row: str(list(row.values())))

    def matches(self) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in self.rows("matches")}

    def statuses(self) -> Mapping[str, str]:
        return {item: row["status"] for item, row in sorted(self.matches().items())}

    def queue(self, **options: Any) -> list[Waiting]:
        return waiting(self.home, self.now, **options)

    def decide(self, item: str, verdict: str, product: str | None = None) -> Decision:
        """What a person says of one match."""
        one = next(one for one in self.queue(decided=True) if one.item_id == item)
        self.pass_time(minutes=1)
        judged = one.judged(product)
        return self.home.decisions.add(judged, Verdict(verdict), "ana", self.now)
