"""What can go wrong, by what the caller should do about it.

    ScoutFailure
    ├── Permanent          asking again cannot help until a person changes something
    │   ├── NotFound       the place answers 404 or 410
    │   ├── Refused        robots.txt, an address guard or a limit of ours forbids it
    │   ├── BadConfig      a source, setting or argument is wrong
    │   └── BrokenContract the answer is not what this kind of source promises
    ├── Transient          the same request may work later (time-out, 429, 5xx, lock)
    └── Critical           an invariant of ours is broken; stop and look

Belongs here: the tree, and nothing else. Every message names the source or place and the
mend. Does not belong here: how a failure is retried, shown or counted.
"""


class ScoutFailure(Exception):
    """Root of the tree; catch it to report, catch a branch to decide."""


class Permanent(ScoutFailure):
    """Asking again cannot help until a person changes something."""


class NotFound(Permanent):
    """The place answers 404 or 410."""


class Refused(Permanent):
    """robots.txt, an address guard or one of our limits forbids the request."""


class BadConfig(Permanent):
    """A source, setting or argument is wrong; the message names the field."""


class BrokenContract(Permanent):
    """The answer is not what this kind of source promises."""


class Transient(ScoutFailure):
    """The same request may work later.

    `retry_after` is the number of seconds the other side asked us to wait, if it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Critical(ScoutFailure):
    """An invariant of ours is broken; automation should stop."""
