"""The analysis service of the operator: one request at a time, each bounded.

Belongs here: asking the service, and telling its answers and silences as our failures. Does not
belong here: what its answers look like and mean for a job (`domain.jobs`), when to ask and what
to keep (`courier`), the public web (`http`): this service is the operator's own, so it may have
a private address, and politeness, robots.txt and retries are not for it.

    async with MlService(url) as service:
        accepted = await service.submit("/shared/uploads/x.csv", "nord", "csv")
        status = await service.status(accepted.job_id)

How an outcome is told:

    2xx with the promised JSON            the answer
    404                                   NotFound
    silence, broken connection, 408,
    425, 429, 5xx                         Transient
    other statuses                        Permanent, with what the service says about it
    another JSON, or none                 BrokenContract
    too large, a result elsewhere         Refused
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from scout_assets.domain.failures import (
    BrokenContract,
    NotFound,
    Permanent,
    Refused,
    ScoutFailure,
    Transient,
)
from scout_assets.domain.jobs import Accepted, Status
from scout_assets.gateways.exchange import shown

__all__ = ["Health", "MlService"]

MAX_ANSWER_BYTES = 256 << 20  # rows of the largest lists are a tenth of it
_RETRIED_4XX = frozenset({408, 425, 429})
_DETAIL_LENGTH = 200
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Health:
    """Whether the service answers, and what it or the network said."""

    healthy: bool
    detail: str


class MlService:
    """A client of the service at `url`. `seconds` and `max_bytes` bound one answer."""

    def __init__(self, url: str, seconds: float = 10.0, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._client = httpx.AsyncClient(timeout=seconds, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def submit(self, file_path: str, supplier: str, file_type: str) -> Accepted:
        """Hand over a file that the service finds at `file_path`."""
        order = {"file_path": file_path, "supplier_id": supplier, "file_type": file_type}
        url = f"{self._url}/analyze/file"
        return _parsed(Accepted, await self._ask("POST", url, order), url)

    async def status(self, job: str) -> Status:
        """How a job of the service's stands. NotFound when it does not know it."""
        url = f"{self._url}/analyze/status/{quote(job, safe='')}"
        status = _parsed(Status, await self._ask("GET", url), url)
        if status.job_id != job:
            raise BrokenContract(f"{shown(url)} answered about another job, {status.job_id!r}")
        return status

    async def rows(self, status: Status) -> list[dict[str, Any]]:
        """The rows of a completed job. What is no object comes as {"value": it}."""
        if status.items is not None:
            found: object = status.items
        elif status.result_url:
            url = self._own(status.result_url)
            found = _json(await self._ask("GET", url), url)
        else:
            found = None
        if isinstance(found, dict):
            found = found.get("items")
        if not isinstance(found, list):
            raise BrokenContract(
                f"{shown(self._url)} calls job {status.job_id} completed without its rows; "
                "it must send items, or a result_url that gives them"
            )
        return [row if isinstance(row, dict) else {"value": row} for row in found]

    async def health(self) -> Health:
        """Never raises a failure of the service: that is what it tells."""
        try:
            body = await self._ask("GET", f"{self._url}/health")
        except ScoutFailure as failure:
            return Health(False, str(failure))
        return Health(True, body[:_DETAIL_LENGTH].decode(errors="replace"))

    def _own(self, result_url: str) -> str:
        """`result_url` as an address of this service; what it names is not trusted further."""
        base = httpx.URL(f"{self._url}/")
        try:
            url = base.join(result_url)
        except httpx.InvalidURL as error:
            raise BrokenContract(f"{shown(self._url)} gave an unusable result_url") from error
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise Refused(f"{shown(self._url)} gave a result elsewhere, at {shown(url)}: not asked")
        return str(url)

    async def _ask(self, method: str, url: str, order: dict[str, str] | None = None) -> bytes:
        name = f"{method} {shown(url)}"
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, url, json=order) as response,
            ):
                body = await self._read(response, name)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Transient(f"{name} was not answered within {self._seconds:g} s") from error
        except httpx.InvalidURL as error:
            raise BrokenContract(f"{name}: {error}") from error
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise Transient(f"{name} could not be read: {why}") from error
        _check_status(response.status_code, body, name)
        return body

    async def _read(self, response: httpx.Response, name: str) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise Refused(f"{name} answered with more than {self._max_bytes:,} bytes")
        return bytes(body)


def _check_status(status: int, body: bytes, name: str) -> None:
    if 200 <= status < 300:
        return
    detail = " ".join(body[: 4 * _DETAIL_LENGTH].decode(errors="replace").split())
    said = f"{name} answered {status}" + (f": {detail[:_DETAIL_LENGTH]}" if detail else "")
    if status == 404:
        raise NotFound(said)
    if status in _RETRIED_4XX or status >= 500:
        raise Transient(said)
    raise Permanent(said)


def _json(body: bytes, url: str) -> object:
    try:
        value: object = from_json(body)
    except ValueError as error:
        raise BrokenContract(f"{shown(url)} did not answer with JSON: {error}") from None
    return value


def _parsed(model: type[T], body: bytes, url: str) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"])) or "the answer"
        raise BrokenContract(
            f"{shown(url)} did not answer as agreed: {field}: {problem['msg']}; "
            "is ML_ANALYZE_URL the analysis service?"
        ) from None
