"""Machine code for the inner loops: numba, cached on disk where a disk will take it.

Belongs here: how kernels are compiled and spread over threads. Does not belong here: any kernel.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any
"""What kernels are annotated with: numba infers the exact types from the call, and numpy's scalars
are no Python numbers."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile at the first call, without the GIL.

    The machine code is kept beside the module, or in the user's cache folder where the package
    is read-only; where neither can be written it is compiled anew in each process.
    """
    try:
        made: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        made = numba.njit(nogil=True)(function)
    kernel: Kernel = made
    return kernel


def inner(function: Kernel) -> Kernel:
    """Compile as a part of the kernels that call it; not to be called from Python."""
    njit: Any = numba.njit  # its stubs do not know all options
    made = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    kernel: Kernel = made
    return kernel


def spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut `count` rows into runs of at most `size`: (first, end)."""
    for first in range(0, count, size):
        yield first, min(count, first + size)


Part = TypeVar("Part")


def in_threads(
    work: Callable[[int, int], Part], count: int, size: int, threads: int
) -> Sequence[Part]:
    """`work(first, end)` for each run of rows, in order of rows; what it returns in that order."""
    parts = list(spans(count, size))
    if threads <= 1 or len(parts) <= 1:
        return [work(*part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda part: work(*part), parts))
