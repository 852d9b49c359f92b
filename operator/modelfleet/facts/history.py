"""Words of a model's past: what is wished to be known of it, and what a source told.

Between `memory.history_backfill` and a source such as `prometheus.past_arrivals`. Values only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelfleet.facts.identity import Key


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A model, and the wall clock in seconds before which nothing is its own."""

    key: Key
    since_seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """Requests (n,) in steps of several bins, oldest first; NaN where nobody knows.

    Step i holds the bins from `begin` + i x `step_bins` on; bins are counted on the wall clock.
    """

    begin: int
    step_bins: int
    requests: NDArray[np.floating[Any]]


class HistoryUnavailable(Exception):
    """The source cannot be asked now; the text says why."""
