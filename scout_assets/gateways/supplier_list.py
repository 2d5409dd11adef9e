"""The suppliers' master list: fetch it, read it, take it over into the ledger.

Belongs here: where the list lies (`SCOUT_MASTER_LIST`: a csv, a workbook or a Google Sheet; path
or address), one sync at a time. Does not belong here: what its rows declare
(`domain.master_list`), what a sync changes (`domain.sources`).
"""

import asyncio
import fcntl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin

from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, Transient
from scout_assets.domain.master_list import BadRow, MasterList, read_master_list
from scout_assets.domain.sources import Source, State, SyncPlan
from scout_assets.gateways.files import is_url
from scout_assets.gateways.google_sheets import Format, sheet_address
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway
from scout_assets.gateways.workbooks import read_workbook

__all__ = ["ORIGIN", "Synced", "sync_suppliers"]

ORIGIN = "master"
"""Where sources of this list say they come from; it retires no others."""


@dataclass(frozen=True)
class Synced:
    """What a sync did; `bad_rows` declare nothing and retire nobody."""

    plan: SyncPlan
    bad_rows: tuple[BadRow, ...]
    counters: Counter[str]


def sync_suppliers(home: Home, now: datetime) -> Synced | None:
    """Make the suppliers of the list the known ones; None where no list is named.

    Raises Transient while another sync runs, and any failure of reading the list: then nothing
    is retired.
    """
    if not home.master_list:
        return None
    with _alone(home.root / "master_list.lock"):
        counters: Counter[str] = Counter()
        listed = _read(home, counters)
        known = {
            item.source.key: item.source
            for item in home.ledger.sources(Kind.SUPPLIER, State.ACTIVE)
            if item.origin == ORIGIN
        }
        declared = [_anchored(source, home) for source in listed.declared(known)]
        plan = home.ledger.sync(declared, now, ORIGIN)
    return Synced(plan, listed.bad_rows, counters + listed.counters)


def _read(home: Home, counters: Counter[str]) -> MasterList:
    name, body = asyncio.run(_fetch(home, counters))
    sheets = [sheet for sheet in read_workbook(body, name).sheets if not sheet.hidden]
    anchored = sheet_address(home.master_list, home.google) is None
    return read_master_list(sheets[0].rows if sheets else [], home.master_list, anchored)


async def _fetch(home: Home, counters: Counter[str]) -> tuple[str, bytes]:
    """File name and bytes of the list."""
    place = home.master_list
    if not is_url(place):
        path = Path(place).expanduser()
        try:
            return path.name, path.read_bytes()
        except OSError as error:
            raise BadConfig(
                f"cannot read {path}: {error.strerror}; SCOUT_MASTER_LIST names it"
            ) from error
    access = home.list_access
    own = {"allow_private": home.master_list_private}
    policy = access.capped(home.policy()).model_copy(update=own)
    async with HttpGateway() as http:
        sheet = sheet_address(place, access.google)
        if sheet is not None:
            form: Format = "csv" if sheet.gid else "xlsx"
            name, answer = await access.sheet(sheet, http, policy, counters, form)
            return name, answer.body
        answer = await http.get(place, policy=policy, counters=counters, source="master list")
        return place, answer.body


def _anchored(source: Source, home: Home) -> Source:
    """Relative places are below the list's folder, as in sources.yaml, or below its address."""
    if is_url(source.location) or source.location.startswith("~"):
        return source
    if is_url(home.master_list):
        if source.location.startswith("/"):
            return source
        return source.model_copy(update={"location": urljoin(home.master_list, source.location)})
    folder = Path(home.master_list).expanduser().resolve().parent
    return source.model_copy(update={"location": str((folder / source.location).resolve())})


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One sync at a time; the kernel frees the lock even of a killed one."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Transient("another sync of the master list is running: left out") from None
        yield
