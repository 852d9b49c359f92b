"""One sentence for each decision of the policy: its terms, and the deciding one.

`scaling.forecaster` puts it into the status; the command line prints it. Must never compute a
decision.
"""

from typing import TYPE_CHECKING

from modelfleet.core.forecasting.constants import BIN_SECONDS

if TYPE_CHECKING:
    from modelfleet.core.forecasting.policy import Policy, PolicyOutput


def dial(policy: "Policy", index: int) -> str:
    """Return a dial as text: `risk 0.9 %`."""
    return f"risk {100 * policy.dials.risk[index]:g} %"


def binding(output: "PolicyOutput", row: int) -> str:
    """Return the name of the term that decided the number of replicas to start."""
    start = float(output.start[row])
    if output.backlog[row] > start:
        return "backlog"
    if start >= output.cap[row] > 0:
        return "cap"
    if 0 < start <= output.floor[row]:
        return "floor"
    return "forecast"


def sentence(policy: "Policy", output: "PolicyOutput", row: int) -> str:
    """Return a sentence such as `8.1 busy slots now, 14.1 forecast in 120 s at risk 0.9 %`."""
    figures = policy.figures[row]
    ahead = BIN_SECONDS if figures is None else figures.startup_seconds
    now, start = float(output.load[row]), float(output.start[row])
    text = f"{now:.2g} busy slots now"
    risk = dial(policy, int(output.dial[row]))
    reasons = {
        "backlog": f"{float(output.backlog[row]):.3g} to answer the requests that wait",
        "cap": f"{start:.3g} at most, from the highest demand of the last day",
        "floor": f"{start:.3g} as the least share of the recent peak",
        "forecast": f"{start:.3g} forecast in {ahead:.0f} s at {risk}",
    }
    return f"{text}, {reasons[binding(output, row)]}"
