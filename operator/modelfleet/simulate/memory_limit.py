"""Memory limit of a simulation: checks requests and slots before any array exists.

The command line calls these checks before `replay` or `comparison` runs. Without the checks, a
query that lacked rate() asked for 97 billion requests. The machine then ended other processes
before the simulation. Must never refuse a simulation that fits.
"""

import math
from collections.abc import Sequence

from modelfleet.simulate.trace import Trace, TraceError

MAX_BYTES = 4e9
"""Bytes that a laptop can spare for one process; `--jobs` multiplies them."""
DRAWING_BYTES = 32
"""Bytes of a request while it is drawn: bin, random number, moment, work, and their copies."""
DRAWN_BYTES = 16
"""Bytes of a request in each draw afterwards: moment, work, wait."""
SLOT_BYTES = 40
"""Bytes of a request slot: two positions and three times."""


def check_requests(traces: Sequence[Trace], source: str, draws: int, is_rising: bool) -> None:
    """Check that the requests fit into memory; raises `TraceError`.

    `source` is the file or the query, for the message. `is_rising`: whether the values never fall,
    like those of a counter.
    """
    requests = min(sum(trace.requests() for trace in traces), 1e300)
    most = MAX_BYTES / (DRAWING_BYTES + DRAWN_BYTES * draws)
    if requests <= most:
        return
    if is_rising:
        advice = "its values never fall, so it looks like a counter: wrap it in rate(...)"
    elif len(traces) > 1:
        advice = "take a shorter piece, or fewer models"
    else:
        factor = 10.0 ** math.floor(math.log10(most / requests))
        advice = f"scale it down (--rate-times {factor:g}) or take a shorter piece"
    advice += ", or fewer --seeds" if draws > 1 else ""
    drawn = f"{draws} draws (--seeds) of " if draws > 1 else ""
    message = (
        f"{source}: {drawn}{requests:,.0f} requests do not fit; at most {most:,.0f} do"
        f" ({MAX_BYTES / 1e9:g} GB); {advice}"
    )
    raise TraceError(message)


def check_slots(slots: int, most: int, worlds: int) -> None:
    """Check that the slots of `worlds` worlds with `most` replicas each fit; raises ValueError."""
    rows = (2 * most + 1) * worlds
    fitting = int(MAX_BYTES / SLOT_BYTES / max(1, rows))
    if slots <= fitting:
        return
    message = (
        f"--slots {slots:,}: at most {fitting:,} fit ({MAX_BYTES / 1e9:g} GB) for {worlds:,} runs"
        f" (models times draws) with up to {most:,} replicas each"
    )
    raise ValueError(message)
