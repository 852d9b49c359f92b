"""Compilation of functions by numba, with a cache on disk between runs.

Only this module imports numba; the event engines of this package use it. Must never be imported
from outside `simulate`, as numba is an extra.
"""

from collections.abc import Callable
from typing import TypeVar, cast

try:
    import numba
except ImportError as fault:
    message = "simulations need numba: install the extra, 'modelfleet[simulate]'"
    raise ImportError(message) from fault

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Return the function as machine code; compiled at its first call, kept on disk."""
    return cast("_F", numba.njit(cache=True)(function))


def inlined(function: _F) -> _F:
    """Return the function as machine code that is copied into its callers.

    A call that passes a whole state costs 0.1 us; a copy avoids this.
    """
    return cast("_F", numba.njit(cache=True, inline="always")(function))
