"""Rounds over all sources in key order, cut into stretches that a text remembers between them.

Belongs here: where a round stands, when the next one starts, who is left. Does not belong here:
the clock, what is done with each source (`gateways.changes`), where the text is kept
(`orchestration.changes`).

    round = Round.read(text).at(now, interval)    # None until it is time for the next one
    keys = round.left(sources, now)               # do some of them, in order
    text = round.past(keys[:n], n < len(keys)).text
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

__all__ = ["Round"]


class Round(BaseModel):
    """One round. `after`: the last source that had its turn; `over`: none is left.

    `waiting`: sources that asked to be left alone, until when; that outlives the round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    started_at: AwareDatetime | None = None
    after: str = ""
    over: bool = True
    waiting: Mapping[str, AwareDatetime] = {}

    @classmethod
    def read(cls, text: str | None) -> Self:
        """From what `text` gave. One of another version costs one round that starts at once."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()

    @property
    def text(self) -> str:
        return self.model_dump_json()

    def next_at(self, interval: timedelta) -> datetime | None:
        """When the next round may start; None when there was none yet."""
        return None if self.started_at is None else self.started_at + interval

    def at(self, now: datetime, interval: timedelta) -> Self | None:
        """The round to go on with, else a new one when `interval` has passed since the last start.

        A clock that was set back does not make anybody wait for longer.
        """
        if not self.over:
            return self
        if self.started_at is not None and self.started_at <= now < self.started_at + interval:
            return None
        waiting = {key: until for key, until in self.waiting.items() if until > now}
        return self.model_copy(
            update={"started_at": now, "after": "", "over": False, "waiting": waiting}
        )

    def left(self, keys: Iterable[str], now: datetime) -> list[str]:
        """Those that still have their turn, in order."""
        waiting = {key for key, until in self.waiting.items() if until > now}
        return sorted(key for key in keys if key > self.after and key not in waiting)

    def past(
        self, keys: Sequence[str], more: bool, waiting: Mapping[str, datetime] | None = None
    ) -> Self:
        """The round once `keys` had their turn; some of them are `waiting` from now on."""
        return self.model_copy(
            update={
                "after": keys[-1] if keys else self.after,
                "over": not more,
                "waiting": {**self.waiting, **(waiting or {})},
            }
        )
