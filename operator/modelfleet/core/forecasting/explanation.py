"""One sentence for each decision of the policy: its terms, and which of them bound.

Called by `scaling.forecaster` for status, and by the command line. Must never compute a decision.
"""

from typing import TYPE_CHECKING

from modelfleet.core.forecasting.constants import BIN_SECONDS

if TYPE_CHECKING:
    from modelfleet.core.forecasting.policy import Policy, PolicyOutput


def dial(fleet: "Policy", candidate: int) -> str:
    """The candidate's dial in words: `risk 0.9 %`."""
    return f"risk {100 * fleet.bank.risk[candidate]:g} %"


def binding(wanted: "PolicyOutput", row: int) -> str:
    """Which term bound the number of replicas to start."""
    start = float(wanted.start[row])
    if wanted.backlog[row] > start:
        return "backlog"
    if start >= wanted.cap[row] > 0:
        return "cap"
    if 0 < start <= wanted.floor[row]:
        return "floor"
    return "forecast"


def sentence(fleet: "Policy", wanted: "PolicyOutput", row: int) -> str:
    """For example `8.1 busy slots now, 14.1 forecast in 120 s at risk 0.9 %`."""
    service = fleet.services[row]
    ahead = BIN_SECONDS if service is None else service.startup_seconds
    now, start = float(wanted.load[row]), float(wanted.start[row])
    text = f"{now:.2g} busy slots now"
    way = dial(fleet, int(wanted.candidate[row]))
    words = {
        "backlog": f"{float(wanted.backlog[row]):.3g} to work off the requests that wait",
        "cap": f"{start:.3g} at most, from the highest of the last day",
        "floor": f"{start:.3g} as share of the highest of late",
        "forecast": f"{start:.3g} forecast in {ahead:.0f} s at {way}",
    }
    return f"{text}, {words[binding(wanted, row)]}"
