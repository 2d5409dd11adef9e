"""Where everything of an installation lives.

Belongs here: the folder layout and the environment variables that move it. Does not belong
here: what is kept in those places.

`SCOUT_HOME` (default `.scout` below the working directory) holds warehouse, ledger and
search cache; `SCOUT_ARTIFACTS` (default: a folder in it) may be any fsspec URL;
`SCOUT_SOURCES` (default `sources.yaml`) is the declared list of sources; `SCOUT_USER_AGENT`
tells stores who asks, with a contact.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from scout_assets.domain.failures import BadConfig
from scout_assets.gateways.artifacts import Artifacts
from scout_assets.gateways.http import Policy
from scout_assets.gateways.ledger import Ledger
from scout_assets.gateways.snapshots import Snapshots
from scout_assets.gateways.warehouse import Warehouse

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """An installation. Opening its parts is lazy: a warehouse file appears when first used."""

    root: Path
    sources_file: Path
    artifacts_url: str
    user_agent: str | None = None

    @classmethod
    def locate(
        cls,
        environment: Mapping[str, str] = os.environ,
        root: str = "",
        sources_file: str = "",
    ) -> Self:
        """From explicit paths, else the environment, else the working directory."""
        home = Path(root or environment.get("SCOUT_HOME") or ".scout").expanduser().resolve()
        declared = sources_file or environment.get("SCOUT_SOURCES") or "sources.yaml"
        artifacts = environment.get("SCOUT_ARTIFACTS") or str(home / "artifacts")
        agent = environment.get("SCOUT_USER_AGENT") or None
        return cls(home, Path(declared).expanduser().resolve(), artifacts, agent)

    def policy(self, **limits: float) -> Policy:
        """How stores are asked, in this installation's name."""
        own = {} if self.user_agent is None else {"user_agent": self.user_agent}
        try:
            return Policy.model_validate({**limits, **own})
        except ValidationError as error:
            raise BadConfig(f"SCOUT_USER_AGENT or a limit of ours is wrong: {error}") from None

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.root / "ledger.sqlite")

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.root / "warehouse.duckdb")

    @cached_property
    def artifacts(self) -> Artifacts:
        return Artifacts(self.artifacts_url)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(self.ledger, self.artifacts)

    @property
    def search_cache(self) -> Path:
        return self.root / "search"
