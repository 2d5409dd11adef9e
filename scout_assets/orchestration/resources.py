"""Resources: where an installation lives and how it talks to the outside.

Belongs here: Dagster resources over `gateways`. Does not belong here: what the gateways do.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG

from scout_assets.gateways.embedders import Embedder, WordLlama
from scout_assets.gateways.home import Home
from scout_assets.gateways.http import HttpGateway, Policy
from scout_assets.orchestration.control import is_automated, refusal

__all__ = ["Embedding", "ScoutHome", "Web"]


class ScoutHome(dg.ConfigurableResource[Any]):
    """Folder of warehouse, ledger and artifacts, and the list of sources.

    Empty fields mean the environment (`SCOUT_HOME`, `SCOUT_SOURCES`), else `.scout` and
    `sources.yaml` in the working directory. `retry_seconds`: how long a step waits before it is
    tried again, twice as long each time.
    """

    root: str = ""
    sources_file: str = ""
    retry_seconds: float = 10.0

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Refuses an automated run while the mode is manual, also one that waited in the queue.

        Dagster would take the refusal for a crash of its process, and repeat the run.
        """
        if context.run is None or not is_automated(context.run.tags):
            return
        state = self.open().control.state()
        if not state.is_auto:
            if context.instance is not None:
                context.instance.add_run_tags(context.run.run_id, {MAX_RETRIES_TAG: "0"})
            raise dg.Failure(f"not run: {refusal(state)}", allow_retries=False)

    def open(self) -> Home:
        return Home.locate(root=self.root, sources_file=self.sources_file)

    def trip(self, reason: str) -> None:
        """The fail-safe: something is wrong with ourselves, so nothing acts by itself any more."""
        self.open().control.trip(reason, datetime.now(UTC))


class Web(dg.ConfigurableResource[Any]):
    """HTTP to stores, how politely, and the clock that dates what they answer.

    Times in seconds; the meaning of each field is that of `gateways.http.Policy`. After
    `soft_limit_seconds` a run asks no further source, five minutes before Dagster ends it.
    """

    sources_at_once: int = 50
    soft_limit_seconds: float = 55 * 60
    delay_seconds: float = 0.25
    jitter_seconds: float = 0.10
    timeout_seconds: float = 30.0
    deadline_seconds: float = 300.0
    attempts: int = 6
    backoff_seconds: float = 1.0
    max_bytes: int = 50_000_000

    def gateway(self, stopped: Callable[[], bool]) -> HttpGateway:
        """`stopped` is asked between requests; once it is true no more are made."""
        return HttpGateway(cancelled=stopped)

    def policy(self, home: Home) -> Policy:
        return home.policy(**self.model_dump(include=set(Policy.model_fields)))

    def now(self) -> datetime:
        return datetime.now(UTC)


class Embedding(dg.ConfigurableResource[Any]):
    """Which model turns texts into vectors."""

    def embedder(self) -> Embedder:
        return WordLlama()
