"""Google Sheets as a place where price lists and master lists live.

Belongs here: recognising a sheet's address, the address of its export, getting that from a
public sheet or through a service account, and saying what a private sheet's answer means. Does
not belong here: polite fetching as such (`http`), reading the workbook that comes.

A sheet always comes as a whole workbook (xlsx) unless csv of one `gid` is asked for: people
copy addresses with whatever tab they had open, so `gid` alone does not choose.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode, urlsplit

from scout_assets.domain.failures import (
    BadConfig,
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    Transient,
)
from scout_assets.gateways.http import HttpGateway, Page, Policy, Validators

if TYPE_CHECKING:
    from requests import Response

__all__ = [
    "GOOGLE",
    "SERVICE_ACCOUNT",
    "Private",
    "SheetAddress",
    "export_url",
    "fetch_public",
    "fetch_sheet",
    "fetch_with_service_account",
    "sheet_address",
]

GOOGLE = "https://docs.google.com"
SERVICE_ACCOUNT = "SCOUT_GOOGLE_SERVICE_ACCOUNT"
_PATH = re.compile(
    r"^(?:/a/[^/]+)?/spreadsheets(?:/u/\d+)?/d/(?P<published>e/)?(?P<id>[A-Za-z0-9_-]{10,})(?:/|$)"
)
_GID = re.compile(r"(?:^|[&?])gid=(\d+)")
_LOGIN_HOST = "accounts.google.com"
_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two reads
_CHUNK = 1 << 16
Format = Literal["xlsx", "csv"]


class Private(Refused):
    """Google asks who wants to see the sheet."""


@dataclass(frozen=True)
class SheetAddress:
    """Which spreadsheet; `gid` names the tab that the address showed, if it did."""

    spreadsheet: str
    gid: str | None = None
    published: bool = False


def sheet_address(url: str, base: str = GOOGLE) -> SheetAddress | None:
    """The spreadsheet behind an address of a person's browser; None for any other address."""
    try:
        parts, home = urlsplit(url.strip()), urlsplit(base)
        same_host = (parts.hostname, parts.port) == (home.hostname, home.port)
    except ValueError:
        return None
    found = _PATH.match(parts.path)
    if parts.scheme not in ("http", "https") or not same_host or found is None:
        return None
    gid = _GID.search(parts.fragment) or _GID.search(parts.query)
    return SheetAddress(found["id"], gid[1] if gid else None, found["published"] is not None)


def export_url(address: SheetAddress, form: Format = "xlsx", base: str = GOOGLE) -> str:
    """Where the spreadsheet can be had as a file. `csv` gives the tab `gid`, else the first."""
    tab = {"gid": address.gid} if form == "csv" and address.gid is not None else {}
    if address.published:
        only = {"single": "true"} if tab else {}
        query = urlencode({"output": form, **tab, **only})
        return f"{base}/spreadsheets/d/e/{address.spreadsheet}/pub?{query}"
    return (
        f"{base}/spreadsheets/d/{address.spreadsheet}/export?{urlencode({'format': form, **tab})}"
    )


async def fetch_sheet(
    address: SheetAddress,
    http: HttpGateway,
    policy: Policy,
    counters: Counter[str],
    *,
    form: Format = "xlsx",
    validators: Validators | None = None,
    key_file: Path | None = None,
    base: str = GOOGLE,
) -> Page:
    """The export of a sheet as anyone sees it; a private one through the account of `key_file`.

    Raises the failures of `fetch_public`, and of `fetch_with_service_account`.
    """
    try:
        return await fetch_public(
            address, http, policy, counters, form=form, validators=validators, base=base
        )
    except Private:
        if key_file is None:
            raise
    body = await asyncio.to_thread(
        fetch_with_service_account,
        address,
        key_file,
        counters,
        form=form,
        max_bytes=policy.max_bytes,
        base=base,
    )
    return Page(export_url(address, form, base), 200, body, {}, Validators())


async def fetch_public(
    address: SheetAddress,
    http: HttpGateway,
    policy: Policy,
    counters: Counter[str],
    *,
    form: Format = "xlsx",
    validators: Validators | None = None,
    base: str = GOOGLE,
) -> Page:
    """The export of a sheet that anyone with the link may see.

    Raises Private, NotFound, BrokenContract, and what `HttpGateway.get`
    raises.
    """
    # robots.txt speaks to crawlers; this is one document, named by a person who may open it.
    policy = policy.model_copy(update={"respect_robots": False})
    accept = f"{_TYPES[form]}, text/html, */*;q=0.5"  # html: a login page is told as what it is
    url = export_url(address, form, base)
    try:
        page = await http.get(
            url, policy=policy, validators=validators, accept=accept, counters=counters
        )
    except NotFound as error:
        raise NotFound(f"there is no Google sheet {address.spreadsheet}: {error}") from error
    except Permanent as error:
        if re.search(r" answered 40[13]:", str(error)) is None:
            raise
        raise _private(address, counters) from error
    media = page.headers.get("content-type", "").partition(";")[0].strip().lower()
    if urlsplit(page.url).hostname == _LOGIN_HOST or media == "text/html":
        raise _private(address, counters)
    if not page.not_modified:
        _check_form(address, page.body, form)
    return page


def _private(address: SheetAddress, counters: Counter[str]) -> Private:
    counters["sheets/private"] += 1
    return Private(
        f"the Google sheet {address.spreadsheet} is private: Google answered with its login; "
        "share it as 'anyone with the link', or share it with a service account and set "
        f"{SERVICE_ACCOUNT} to that account's key file"
    )


def _check_form(address: SheetAddress, body: bytes, form: Format) -> None:
    """An export that is no workbook, or a page in place of csv, is no price list."""
    wrong = not body.startswith(b"PK") if form == "xlsx" else body.lstrip()[:1] == b"<"
    if wrong:
        raise BrokenContract(
            f"the Google sheet {address.spreadsheet} came without being {form}; "
            "open its export address in a browser to see what Google says"
        )


def fetch_with_service_account(
    address: SheetAddress,
    key_file: Path,
    counters: Counter[str],
    *,
    form: Format = "xlsx",
    max_bytes: int = 50_000_000,
    base: str = GOOGLE,
) -> bytes:
    """The export of a sheet shared with a service account; blocks, so call it in a thread.

    Raises BadConfig (the extra or the key file is missing or wrong), Refused (not shared with
    the account, too large), NotFound, BrokenContract, Transient.
    """
    client = _authorized(key_file)
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException

    url, session = export_url(address, form, base), client.http_client.session
    try:
        with session.get(url, timeout=_TIMEOUT, stream=True, allow_redirects=True) as response:
            _check_status(address, response, str(client.http_client.auth.service_account_email))
            body = _limited(address, response, max_bytes)
    except (RequestException, TransportError) as error:
        raise Transient(f"the Google sheet {address.spreadsheet} was not read: {error}") from error
    except GoogleAuthError as error:
        raise BadConfig(
            f"Google does not accept the service account of {key_file} ({error}); make a new key "
            f"and set {SERVICE_ACCOUNT} to it"
        ) from error
    _check_form(address, body, form)
    counters["sheets/by_service_account"] += 1
    counters["http/bytes"] += len(body)
    return body


def _authorized(key_file: Path) -> Any:  # noqa: ANN401 (a client of an optional dependency)
    try:
        import gspread
    except ImportError as error:
        raise BadConfig(
            "a private Google sheet needs an extra: pip install scout-assets[gspread]"
        ) from error
    try:
        return gspread.service_account(key_file, gspread.auth.READONLY_SCOPES)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # any JSON at all
        raise BadConfig(
            f"{key_file} is no key file of a Google service account ({error}); "
            f"{SERVICE_ACCOUNT} must name the JSON file that Google gave"
        ) from error


def _check_status(address: SheetAddress, response: "Response", account: str) -> None:
    status, name = response.status_code, f"the Google sheet {address.spreadsheet}"
    html = response.headers.get("Content-Type", "").startswith("text/html")
    if status == 404:
        raise NotFound(f"there is no {name.removeprefix('the ')}; correct the source's address")
    if status in (408, 425, 429) or status >= 500:
        raise Transient(f"{name} was not read: Google answered {status}")
    if status in (401, 403) or (status == 200 and html):
        raise Refused(f"{name} is not shared with {account}; share it with that address, to read")
    if status != 200:
        raise Permanent(f"{name}: Google answered {status}; correct the source's address")


def _limited(address: SheetAddress, response: "Response", max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise Refused(
                f"the Google sheet {address.spreadsheet} is larger than {max_bytes:,} bytes; "
                "split it, or raise MAX_FILE_SIZE_MB"
            )
    return bytes(body)
