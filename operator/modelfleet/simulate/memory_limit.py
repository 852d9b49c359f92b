"""What a simulation may hold, said before an array is made: requests and slots.

Called by the command line. A forgotten rate() asked for 97 billion requests, and
the machine ended other processes before it ended this one. Must never refuse what fits.
"""

import math
from collections.abc import Sequence

from modelfleet.simulate.trace import Trace, TraceError

MAX_BYTES = 4e9
"""What a laptop can spare; `--jobs` multiplies it, as each process has its own."""
DRAWING_BYTES = 32
"""Of a request while it is drawn: its bin, chance, moment and work, and copies of them."""
DRAWN_BYTES = 16
"""Of a request in each draw afterwards: moment, work, wait."""
SLOT_BYTES = 40
"""Of a request slot: two orders and three times."""


def check_requests(traces: Sequence[Trace], source: str, draws: int, is_rising: bool) -> None:
    """Raises `TraceError` for more requests than fit; `source` is the file or query.

    `is_rising`: its values never fall, as those of a counter do not.
    """
    requests = min(sum(trace.requests() for trace in traces), 1e300)
    most = MAX_BYTES / (DRAWING_BYTES + DRAWN_BYTES * draws)
    if requests <= most:
        return
    if is_rising:
        advice = "its values never fall, it looks like a counter: wrap it in rate(...)"
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
    """Raises ValueError for more slots than fit into `worlds` of `most` replicas each."""
    rows = (2 * most + 1) * worlds
    fitting = int(MAX_BYTES / SLOT_BYTES / max(1, rows))
    if slots <= fitting:
        return
    message = (
        f"--slots {slots:,}: at most {fitting:,} fit ({MAX_BYTES / 1e9:g} GB) for {worlds:,} runs"
        f" (models times draws) with up to {most:,} replicas each"
    )
    raise ValueError(message)
