"""Public request traces that the package ships, as a first belief about a model without history.

Read once by `main` (and by the simulator) for `quantiles.prior`. One week of two production
services, derived from Alibaba's ServeGen (Apache-2.0), see `public_traces.md`. Must never be read
on the request path.
"""

from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.features.arrivals_history import decode_counts


def traces() -> tuple[NDArray[np.float32], ...]:
    """Arrivals by bins of 5 s of each trace, shape (n,)."""
    stored = files("modelfleet.engine.memory").joinpath("public_traces.npz").read_bytes()
    with np.load(BytesIO(stored)) as archive:
        return tuple(decode_counts(archive[name]) for name in sorted(archive.files))
