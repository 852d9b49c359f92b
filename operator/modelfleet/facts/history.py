"""A model's past: the request for it, and the answer of a source.

`memory.history_backfill` sends the request to a source such as `prometheus.past_arrivals`. Values
only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.facts.identity import Key


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A model, and the Unix time in seconds before which no arrival is its own."""

    key: Key
    since_seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """Requests (n,) in steps of several bins, oldest first; NaN where the number is not known.

    Step i holds the bins from `begin` + i x `step_bins` on; bins are numbered by Unix time.
    """

    begin: int
    step_bins: int
    requests: NDArray[np.floating[Any]]


class HistoryUnavailable(Exception):
    """Raised when the source cannot be asked now; the text is the reason."""
