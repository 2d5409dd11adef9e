"""Single requests to the analysis service: addresses, bounds and failures."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scout_assets.domain.failures import BrokenContract, NotFound, Permanent, Refused, Transient
from scout_assets.domain.jobs import Status
from scout_assets.gateways.ml_service import MlService
from scout_assets_tests.loopback import Loopback, Reply, Store

ROWS = [{"name": "Tinto Joven"}]


@pytest.fixture
def store(loopback: Loopback) -> Store:
    return loopback.store()


def ask(
    url: str, question: Callable[[MlService], Awaitable[Any]], seconds: float = 2.0, **limits: int
) -> Any:
    async def run() -> Any:
        async with MlService(url, seconds, **limits) as service:
            return await question(service)

    return asyncio.run(run())


def completed(result_url: str) -> Status:
    return Status(job_id="1", status="completed", result_url=result_url)


def test_every_path_is_below_the_configured_address(store):
    store.route("/ml/analyze/file", Reply.json({"job_id": 7}))
    store.route("/ml/analyze/status/7", Reply.json({"job_id": "7", "status": "pending"}))
    url = store.url("/ml/")
    assert ask(url, lambda service: service.submit("/s/a.csv", "nord", "csv")).job_id == "7"
    assert ask(url, lambda service: service.status("7")).status == "pending"
    assert [request.method for request in store.requests] == ["POST", "GET"]


def test_a_job_id_is_one_part_of_the_path(store):
    store.route("/analyze/status/..%2F..%2Fadmin%3Fx", Reply(status=404))
    with pytest.raises(NotFound):
        ask(store.url(""), lambda service: service.status("../../admin?x"))
    assert store.paths == ["/analyze/status/..%2F..%2Fadmin%3Fx"]


@pytest.mark.parametrize("where", ["results/1", "/ml/results/1", "{}"])
def test_a_result_may_stand_anywhere_on_the_service(store, where):
    store.route("/ml/results/1", Reply.json(ROWS))
    result_url = where.format(store.url("/ml/results/1"))
    assert ask(store.url("/ml"), lambda service: service.rows(completed(result_url))) == ROWS


@pytest.mark.parametrize(
    "result_url", ["http://169.254.169.254/latest", "//elsewhere.example/x", "file:///etc/passwd"]
)
def test_a_result_elsewhere_is_not_asked_for(store, result_url):
    with pytest.raises(Refused, match="gave a result elsewhere"):
        ask(store.url(""), lambda service: service.rows(completed(result_url)))


@pytest.mark.parametrize(
    ("reply", "failure", "said"),
    [
        (Reply.json({"items": {}}), BrokenContract, "completed without its rows"),
        (Reply.text("[1"), BrokenContract, "did not answer with JSON"),
        (Reply.text("[" * 9999), BrokenContract, "did not answer with JSON"),
        (Reply(body=b"[1,\n", repeat=500), Refused, "more than 1,000 bytes"),
        (Reply(status=302, headers={"Location": "/"}), Permanent, "answered 302"),
        (Reply.text("busy", status=503), Transient, "answered 503: busy"),
        (Reply(raw=b"nonsense\r\n\r\n"), Transient, "could not be read"),
    ],
)
def test_what_goes_wrong_is_told(store, reply, failure, said):
    store.route("/r", reply)
    limit = 1000 if failure is Refused else 100_000
    with pytest.raises(failure, match=said):
        ask(store.url(""), lambda service: service.rows(completed("/r")), max_bytes=limit)


@pytest.mark.parametrize(
    "reply", [Reply(pause=9), Reply(body=b"[" * 999, drip=1)], ids=["silence", "drip"]
)
def test_an_answer_is_bounded_in_time_as_a_whole(store, reply):
    store.route("/r", reply)
    with pytest.raises(Transient, match=r"not answered within 0\.3 s"):
        ask(store.url(""), lambda service: service.rows(completed("/r")), seconds=0.3)


def test_messages_keep_secrets(store):
    url = store.url("", host="user:secret@127.0.0.1")
    with pytest.raises(NotFound) as told:
        ask(url, lambda service: service.submit("/s/a.csv", "nord", "csv"))
    assert "secret" not in str(told.value)
    assert store.requests[0].headers["authorization"].startswith("Basic ")
