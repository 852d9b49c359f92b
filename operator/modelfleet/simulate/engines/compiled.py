"""The only place that imports numba: compiled functions, kept on disk between runs.

Used by the event engines of this package. Must never be imported from outside `simulate`, as
numba is an extra.
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
    """The function as machine code; compiled at its first call, kept on disk."""
    return cast("_F", numba.njit(cache=True)(function))


def inlined(function: _F) -> _F:
    """As `compiled`, put into its callers: a call that hands over a whole state costs 0.1 us."""
    return cast("_F", numba.njit(cache=True, inline="always")(function))
