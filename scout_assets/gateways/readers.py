"""How each kind of source's landed snapshots become rows, in one installation.

Belongs here: which reader and tables a kind has; lists that the ML service reads instead. Does
not belong here: reading (`price_lists`, `domain`), folding (`catchup`), carrying (`courier`).
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scout_assets.domain import supply
from scout_assets.domain.capture import Blacklist, RawSnapshot, Reader, store_reader
from scout_assets.domain.catalogue import Kind
from scout_assets.domain.failures import BadConfig, BrokenContract, Refused
from scout_assets.domain.history import Capture
from scout_assets.domain.jobs import Job, Phase, job_id
from scout_assets.domain.sources import Source
from scout_assets.domain.tables import LIST_SHEETS, QUARANTINE, SUPPLIER_ITEMS, Table
from scout_assets.gateways.catchup import CATALOGUE_TABLES
from scout_assets.gateways.files import LISTS
from scout_assets.gateways.home import Home
from scout_assets.gateways.ledger import Page
from scout_assets.gateways.price_lists import list_name, read_list

__all__ = ["LIST_TABLES", "analysis", "list_reader", "reader_of", "start_analysis", "tables_of"]

LIST_TABLES: Sequence[Table] = (SUPPLIER_ITEMS, LIST_SHEETS, QUARANTINE)


def reader_of(kind: Kind, home: Home) -> Reader:
    """How snapshots of a kind become rows."""
    if kind is Kind.SUPPLIER:
        return list_reader(home)
    settings = home.control.state().settings
    return store_reader(Blacklist(settings.blacklist_titles, settings.blacklist_external_ids))


def tables_of(kind: Kind) -> Sequence[Table]:
    """The tables these rows go to."""
    return LIST_TABLES if kind is Kind.SUPPLIER else CATALOGUE_TABLES


def list_reader(home: Home) -> Reader:
    """How lists become rows: read here, or by the ML service for suppliers that say so.

    Currency, sheet and columns a person declares are part of what a list means.
    """

    def ready(source: Source) -> bool:
        if not _by_service(home, source):
            return True
        job = analysis(home, source)
        return job is not None and job.phase is Phase.COMPLETE

    def read(source: Source, raw: RawSnapshot) -> Capture:
        ((_, body),) = raw.pages
        try:
            if _by_service(home, source):
                found = supply.found_by_service(home.courier.rows(_job(home, source, body)))
            else:
                found = read_list(source, body, _called(source, raw))
        except (Refused, BadConfig) as problem:
            raise BrokenContract(str(problem)) from problem
        return supply.read_items(source, raw, found)

    def declared(source: Source) -> str:
        return f"{supply.declared(source)}{'+ml' if _by_service(home, source) else ''}"

    return Reader(supply.VERSION, declared, read, ready)


def _called(source: Source, raw: RawSnapshot) -> str:
    """The source's key, whatever the file is called this time, and what form its name promises."""
    suffix = Path(list_name(raw.urls[0])).suffix.lower() if raw.urls else ""
    return f"{source.key}{suffix if suffix in LISTS else ''}"


def _by_service(home: Home, source: Source) -> bool:
    return bool(home.resolved(source).use_ml_processing)


def _job(home: Home, source: Source, body: bytes) -> Job:
    return home.courier.job(job_id(source.key, hashlib.sha256(body).hexdigest()))


def _handed_over(home: Home, source: Source) -> Page | None:
    """The source's last list, where the service reads it; most sources are not looked up at all."""
    if not _by_service(home, source):
        return None
    latest = home.ledger.latest_snapshots([source.key]).get(source.key)
    return None if latest is None else latest.pages[0]


def analysis(home: Home, source: Source) -> Job | None:
    """The service's job for the source's last list; None when it is read here or has no job."""
    page = _handed_over(home, source)
    if page is None:
        return None
    jobs = {job.job_id: job for job in home.courier.jobs(source.key)}
    return jobs.get(job_id(source.key, page.sha256))


async def start_analysis(home: Home, source: Source, counters: Counter[str]) -> Job | None:
    """Hand the source's last list to the service; None without a list, or when read here.

    Raises the failures of `Courier.start`.
    """
    page = _handed_over(home, source)
    if page is None:
        return None
    body = home.artifacts.get(page.sha256)
    return await home.courier.start(source.key, _file_name(page.url, body), body, counters)


def _file_name(url: str, body: bytes) -> str:
    """The list's name; an address without one, as of a Google Sheet, gets it by its bytes."""
    name = list_name(url)
    if Path(name).suffix.lower() in LISTS:
        return name
    forms = {b"PK": ".xlsx", b"\xd0\xcf": ".xls", b"%P": ".pdf"}
    return f"{name}{forms.get(body[:2], '.csv')}"
