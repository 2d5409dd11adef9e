"""Price lists: get one from where it is, read it, and hold it to being a price list.

Belongs here: joining files, the web and Google Sheets with the reading of workbooks. Does not
belong here: file formats (`workbooks`), what cells mean (`domain.price_lists`), landing
(`snapshots`).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scout_assets.domain import supply
from scout_assets.domain.price_lists.model import PriceList
from scout_assets.domain.price_lists.reader import read_price_list
from scout_assets.domain.sources import Source
from scout_assets.gateways.google_sheets import Format, fetch_public, sheet_address
from scout_assets.gateways.http import HttpGateway, Policy, Validators
from scout_assets.gateways.storefronts import KnownPage, RawPage
from scout_assets.gateways.workbooks import read_workbook

__all__ = [
    "LIST_PAGE",
    "fetch_list",
    "list_name",
    "list_page",
    "read_list",
]

LIST_PAGE = "list"
ACCEPT = "text/csv, application/vnd.openxmlformats-officedocument.spreadsheetml.sheet, */*;q=0.5"
"""Servers label lists as they like; the reader finds out what came."""


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
) -> tuple[RawPage, ...]:
    """The list at an address, asked conditionally where `known` has validators.

    Raises the failures of `HttpGateway.get` and of `read_list`.
    """
    own = {"concurrency": source.default_concurrency, "allow_private": source.allow_private}
    policy = policy.model_copy(update=own)
    url = source.location
    before = known.get(url)
    validators = before.validators if before else None
    sheet = sheet_address(url)
    if sheet is not None:
        form: Format = "csv" if sheet.gid and not source.sheet_name else "xlsx"
        answer = await fetch_public(sheet, http, policy, counters, form=form, validators=validators)
    else:
        answer = await http.get(
            url,
            policy=policy,
            validators=validators,
            accept=ACCEPT,
            counters=counters,
            source=source.key,
        )
    if before is not None and answer.not_modified:
        return (RawPage(LIST_PAGE, url, before.load(), before.validators, 1),)
    name = f"{sheet.spreadsheet}.{form}" if sheet is not None else url
    # Reading takes seconds: other sources go on meanwhile.
    page = await asyncio.to_thread(list_page, source, answer.body, name, answer.validators)
    return (RawPage(page.role, url, page.body, page.validators, page.items),)
