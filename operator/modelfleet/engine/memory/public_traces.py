"""Public request traces in the package: the source of the prior of a model without history.

`compose` and the simulator read them once for `quantiles.prior`. They are one week of two
production services, derived from Alibaba's ServeGen (Apache-2.0); see `public_traces.md`. Must
never be read on the request path.
"""

from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.features.arrivals_history import decode_counts


def traces() -> tuple[NDArray[np.float32], ...]:
    """Return the arrivals of each trace in bins of 5 s, shape (n,)."""
    stored = files("modelfleet.engine.memory").joinpath("public_traces.npz").read_bytes()
    with np.load(BytesIO(stored)) as archive:
        return tuple(decode_counts(archive[name]) for name in sorted(archive.files))
