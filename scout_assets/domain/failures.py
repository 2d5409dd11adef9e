"""What can go wrong, by what the caller should do about it.

    ScoutFailure
    ├── Permanent          asking again cannot help until a person changes something
    │   ├── NotFound       the place answers 404 or 410
    │   ├── Refused        robots.txt, an address guard or a limit of ours forbids it
    │   ├── BadConfig      a source, setting or argument is wrong
    │   └── BrokenContract the answer is not what this kind of source promises
    ├── Transient          the same request may work later (time-out, 429, 5xx, lock)
    └── Critical           an invariant of ours is broken; stop and look
        ├── Crashed        our own code raised something else over what it was given
        └── Shrunk         a source lost most of what it listed, which nobody has looked at

Belongs here: the tree, and how what nobody foresaw becomes part of it. Every message names the
source or place and the mend. Does not belong here: how a failure is retried, shown or counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager


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


class Crashed(Critical):
    """Our own code raised something else over what it was given; its `__cause__` tells where."""


class Shrunk(Critical):
    """A source lost most of what it listed at once; a person may take it, nobody else."""


_MESSAGE_LENGTH = 300


@contextmanager
def contained(place: str) -> Iterator[None]:
    """What nobody foresaw ends here: any exception but ours leaves as Crashed, naming `place`.

    For the borders between sources: over one of them the others must not fail. Panics of readers
    written in Rust are no `Exception`, and are held too; interrupts and cancellation pass.
    """
    try:
        yield
    except ScoutFailure:
        raise
    except BaseException as error:
        name = type(error).__name__
        if not isinstance(error, Exception) and name != "PanicException":
            raise
        said = " ".join(str(error).split())[:_MESSAGE_LENGTH]
        raise Crashed(
            f"{place}: reading it crashed ({name}: {said}); the last rows stay. "
            "This is a fault of the program: report it with the traceback in the run's log"
        ) from error
