"""What a robots.txt says about one URL (RFC 9309), told so that a person can act on it.

Belongs here: reading the text, and naming the rule that decides. Does not belong here: fetching
and caching it, and what a fetch does about the answer (`http`). protego judges; this module
only adds which line it was.
"""

import re

from protego import Protego

_DISALLOW = re.compile(r"(?i)^\s*disallow\s*:\s*(?P<path>[^#\s]+)")
_SUSPECTS = 20  # lines tried as the deciding rule; every trial parses the file again


class RobotsRules:
    """The rules of one origin. `agent` is a product token such as `scout-assets`."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._parsed = Protego.parse(text)

    def crawl_delay(self, agent: str) -> float:
        """Seconds asked for between requests; 0.0 where nothing is asked."""
        return self._parsed.crawl_delay(agent) or 0.0

    def forbids(self, url: str, agent: str) -> str | None:
        """The rule that forbids `url`, as the file has it; None where it is allowed."""
        if self._parsed.can_fetch(url, agent):
            return None
        suspects = [number for number, line in enumerate(self._lines) if _matches(line, url)]
        # The longest rule decides (RFC 9309 2.2.2), unless it is in another agent's group.
        for number in sorted(suspects, key=lambda n: -len(self._lines[n]))[:_SUSPECTS]:
            if self._still_forbidden(url, agent, set(suspects) - {number}):
                return f"line {number + 1}: {self._lines[number].strip()[:200]}"
        return "a Disallow rule"

    def _still_forbidden(self, url: str, agent: str, silenced: set[int]) -> bool:
        # An empty Disallow keeps groups apart that a deleted line would merge.
        kept = ("Disallow:" if n in silenced else line for n, line in enumerate(self._lines))
        return not Protego.parse("\n".join(kept)).can_fetch(url, agent)


def _matches(line: str, url: str) -> bool:
    """Whether `line` is a Disallow that would forbid `url`, were it the only rule."""
    rule = _DISALLOW.match(line)
    if rule is None:
        return False
    return not Protego.parse(f"User-agent: *\nDisallow: {rule['path']}").can_fetch(url, "any")
