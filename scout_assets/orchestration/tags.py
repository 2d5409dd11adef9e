"""Names of the run tags that are ours: the UI filters runs by them.

Belongs here: names. Does not belong here: what is done about a tag.
"""

__all__ = [
    "DISPATCH_TAG",
    "HARD_LIMIT_SECONDS",
    "REASON_TAG",
    "SCOPE_TAG",
    "SOURCES_FAILED_TAG",
    "TRIGGER_TAG",
]

HARD_LIMIT_SECONDS = 3600
"""Dagster ends an automated run after an hour (tag `dagster/max_runtime`)."""

TRIGGER_TAG = "scout/trigger"
DISPATCH_TAG = "scout/dispatch"
SCOPE_TAG = "scout/scope"
REASON_TAG = "scout/reason"
SOURCES_FAILED_TAG = "scout/sources_failed"
"""How many sources failed in a run that is otherwise sound: the fault is theirs."""
