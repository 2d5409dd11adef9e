"""Price lists: get one from where it is, read it, and hold it to being a price list.

Belongs here: joining files, the web and Google Sheets with the reading of workbooks. Does not
belong here: file formats (`workbooks`), what cells mean (`domain.price_lists`), landing
(`snapshots`).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scout_assets.domain import supply
from scout_assets.domain.price_lists.model import PriceList
from scout_assets.domain.price_lists.reader import read_price_list
from scout_assets.domain.sources import Source
from scout_assets.gateways.google_sheets import (
    GOOGLE,
    Format,
    SheetAddress,
    fetch_sheet,
    sheet_address,
)
from scout_assets.gateways.http import HttpGateway, Page, Policy, Validators
from scout_assets.gateways.storefronts import KnownPage, RawPage
from scout_assets.gateways.workbooks import read_workbook

__all__ = [
    "LIST_PAGE",
    "ListAccess",
    "fetch_list",
    "list_name",
    "list_page",
    "newer_list",
    "read_list",
]

LIST_PAGE = "list"
ACCEPT = "text/csv, application/vnd.openxmlformats-officedocument.spreadsheetml.sheet, */*;q=0.5"
"""Servers label lists as they like; the reader finds out what came."""


SIZE_LIMIT = "MAX_FILE_SIZE_MB"


@dataclass(frozen=True)
class ListAccess:
    """What an installation allows to whoever gets its price lists.

    `roots`: folders that local lists may lie in, none means anywhere; `max_bytes`: of one list,
    set by MAX_FILE_SIZE_MB; `google_key`: of the service account for private sheets; `google`:
    where Google is.
    """

    roots: tuple[Path, ...] = ()
    max_bytes: int = 50_000_000
    google_key: Path | None = None
    google: str = GOOGLE

    def capped(self, policy: Policy) -> Policy:
        """The policy with the cap on one list in place of that on a page."""
        return policy.model_copy(update={"max_bytes": self.max_bytes, "cap_name": SIZE_LIMIT})

    async def sheet(
        self,
        address: SheetAddress,
        http: HttpGateway,
        policy: Policy,
        counters: Counter[str],
        form: Format,
        validators: Validators | None = None,
    ) -> tuple[str, Page]:
        """A Google Sheet as the file it is exported to: its name and the answer."""
        page = await fetch_sheet(
            address,
            http,
            policy,
            counters,
            form=form,
            validators=validators,
            key_file=self.google_key,
            base=self.google,
        )
        return f"{address.spreadsheet}.{form}", page


def read_list(source: Source, body: bytes, name: str) -> PriceList:
    """What a file holds, by the declaration of its source.

    Raises BrokenContract (no table, no item), Refused (a limit, a password), BadConfig (a
    sheet or column that is declared and not there).
    """
    book = read_workbook(body, name, encoding=source.encoding, delimiter=source.delimiter)
    return supply.checked(read_price_list(book, supply.settings(source)), name)


def list_page(source: Source, body: bytes, url: str, validators: Validators) -> RawPage:
    """A list as it came, held to its contract: it can be read and holds items.

    One for the ML service is not read here.
    """
    if source.use_ml_processing:
        return RawPage(LIST_PAGE, url, body, validators, 1)
    return RawPage(
        LIST_PAGE, url, body, validators, len(read_list(source, body, list_name(url)).items)
    )


def list_name(url: str) -> str:
    """The file's own name in an address."""
    return unquote(Path(urlsplit(url).path).name) or url


async def fetch_list(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    known: Mapping[str, KnownPage],
    counters: Counter[str],
    access: ListAccess = ListAccess(),
) -> tuple[RawPage, ...]:
    """The list at an address, asked conditionally where `known` has validators.

    Raises the failures of `HttpGateway.get`, of `fetch_sheet` and of `read_list`.
    """
    url = source.location
    before = known.get(url)
    validators = before.validators if before else None
    name, answer = await _asked(source, http, policy, validators, counters, access)
    if before is not None and answer.not_modified:
        return (RawPage(LIST_PAGE, url, before.load(), before.validators, 1),)
    # Reading takes seconds: other sources go on meanwhile.
    page = await asyncio.to_thread(list_page, source, answer.body, name, answer.validators)
    return (RawPage(page.role, url, page.body, page.validators, page.items),)


async def newer_list(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    validators: Validators,
    counters: Counter[str],
    access: ListAccess = ListAccess(),
) -> bytes | None:
    """The list as `fetch_list` asks for it, unread; None where it is unchanged.

    Raises the failures of `HttpGateway.get` and of `fetch_sheet`.
    """
    _, answer = await _asked(source, http, policy, validators, counters, access)
    return None if answer.not_modified else answer.body


async def _asked(
    source: Source,
    http: HttpGateway,
    policy: Policy,
    validators: Validators | None,
    counters: Counter[str],
    access: ListAccess,
) -> tuple[str, Page]:
    """What the place answers, and the name of the file it is."""
    own = {"concurrency": source.default_concurrency, "allow_private": source.allow_private}
    policy = access.capped(policy).model_copy(update=own)
    url = source.location
    sheet = sheet_address(url, access.google)
    if sheet is None:
        return url, await http.get(
            url,
            policy=policy,
            validators=validators,
            accept=ACCEPT,
            counters=counters,
            source=source.key,
        )
    form: Format = "csv" if sheet.gid and not source.sheet_name else "xlsx"
    return await access.sheet(sheet, http, policy, counters, form, validators)
