"""Constants of the scaling policy, each with the reason for its value.

One configuration is shipped (`SHIPPED`), the same that the benchmark measures. Every other one is
for ablations only. Must never become a setting for users.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BIN_SECONDS: Final = 5
"""Length of one bin of arrivals and of one step of the policy."""
MINUTE_BINS: Final = 12
HOUR_BINS: Final = 720
DAY_BINS: Final = 17_280

TAUS: Final[NDArray[np.float32]] = np.array(
    [0.1, 0.25, 0.5, 0.65, 0.8, 0.88, 0.93, 0.96, 0.98, 0.99, 0.995, 0.998], dtype=np.float32
)
"""Levels of the forecast quantiles, closer together where violations are decided."""

RISKS: Final = (
    *(0.9, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.14, 0.1, 0.07, 0.05, 0.035),
    *(0.025, 0.018, 0.013, 0.009, 0.006, 0.004, 0.003, 0.002),
)
"""Risks r: the demand is above the quantile 1 - r in a share r of the moments."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Switches and constants of the policy; see `docs/concepts/autoscaling.md`."""

    idle_share: float = 0.25
    """c0 = idle_share * slots: added before each logarithm, so that zero demand has one."""
    floors: tuple[float, ...] = (0.5, 0.8, 0.25)
    """Least shares of the highest recent 30-s mean, one for each group of dials.

    The first share is that of the cautious dials. The lowest is for levels that change and stay:
    with half of the old level kept for two hours, generated steps cost 2 % more and bursts 12 %."""
    has_profile: bool = True
    has_prior: bool = True
    has_envelopes: bool = True
    has_keep_forecast: bool = True
    has_hold: bool = True
    has_budget: bool = True
    has_tuner: bool = True
    has_backlog: bool = True
    has_chance: bool = True
    has_sustained: bool = True
    gate_share: float = 0.5
    """The backlog rule acts when the present wait exceeds this share of the allowed wait."""
    backlog_factor: float = 3.0
    """The backlog rule asks for at most this multiple of the present load or capacity."""
    backlog_pace: float = 5.0
    """A backlog is worked off within one start-up time divided by this at the fastest."""
    cap: float = 1.05
    """Forecasts ask for at most this multiple of the highest demand of the last day.

    The backlog rule covers demand beyond it: higher forecasts mostly continue a burst that ends."""
    least_risk_share: float = 0.4
    """No dial has a risk below this share of the error budget."""
    safety: float = 0.9
    """The choice aims at this share of the error budget."""
    safety_when_known: float = 0.8
    """The same after a day. Replay queues are fluid, so they miss random waits within a bin: with
    0.85 a week of m-small ended at 0.980, 0.995 and 1.015 % for 1 % in three draws."""
    half_lives_days: tuple[float, float] = (1.0, 7.0)
    """Half-life of a dial's sums: as many days as the model was old then, within these bounds.

    A model's first days had forecasts from less data. Kept for a week, the surprises of the first
    day made generated bursts and steps cost 1 to 4 % more."""
    train_days: int = 8
    most_rows: int = 15_000
    first_steps: int = 200
    next_steps: int = 100
    refit_growth: float = 1.3
    refit_hours: float = 24.0
    """Longest time between two fits. A fit of 8 days takes 0.2 s: a thousand models take 200 s a
    day."""


SHIPPED: Final = Tuning()
