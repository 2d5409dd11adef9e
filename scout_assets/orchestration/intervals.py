"""How often something is looked at, as the environment says.

Belongs here: reading intervals. Does not belong here: what is done so often.
"""

from collections.abc import Mapping

from scout_assets.domain.failures import BadConfig

__all__ = ["interval"]


def interval(environment: Mapping[str, str], name: str, default: int, unit: str = "seconds") -> int:
    """A whole number of a unit. Raises BadConfig, naming the variable, for what is none."""
    text = environment.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise BadConfig(f"{name} is {text!r}: expected a whole number of {unit}")
    return int(text)
