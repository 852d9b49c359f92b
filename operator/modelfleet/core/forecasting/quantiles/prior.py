"""What to believe of a model that has no history yet: the same regression on public traces.

Called by `forecasting.policy` for a new model, with that model's own figures, so that a slow start
or a long request already shape the first forecast. Must never hold a trace by itself: the caller
reads the shipped file.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelfleet.core.forecasting.constants import DAY_BINS, Tuning
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.quantiles.regression import Coefficients, fit, rows, uninformed

GRID = 1.15
"""Figures are rounded to powers of this, so that a fleet shares few priors."""
STEPS = 300
STEP_BINS = 2 * DAY_BINS
STEP_ROWS = 2_000


def rounded(service: ModelFigures) -> ModelFigures:
    """The figures on the grid; the aim does not matter here."""

    def near(value: float) -> float:
        return GRID ** round(math.log(max(value, 1e-3)) / math.log(GRID))

    return ModelFigures(
        near(service.startup_seconds),
        near(service.wait_seconds),
        near(service.slots),
        near(service.service_seconds),
    )


def generated_steps() -> Floats:
    """Two days of arrivals whose level jumps and then stays, (n,): public traces have none.

    Without them a model that fell to a tenth a minute ago would be believed to jump back for
    hours, as what the traces show of small falls would be drawn out to large ones.
    """
    chance = np.random.default_rng(20_260_101)
    parts: list[Floats] = []
    while sum(map(len, parts)) < STEP_BINS:
        length = int(np.exp(chance.uniform(np.log(36), np.log(4_320))))
        level = np.exp(chance.uniform(np.log(2.0), np.log(400.0)))
        parts.append(chance.poisson(level, length).astype(np.float32))
    return np.concatenate(parts)[:STEP_BINS]


class Priors:
    """Coefficients for any figures, computed at the first need and kept."""

    def __init__(self, traces: Sequence[Floats], tuning: Tuning) -> None:
        """`traces`: arrivals by bin of public services, each (n,)."""
        self._traces, self._tuning = traces, tuning
        self._known: dict[ModelFigures, Coefficients] = {}

    def of(self, service: ModelFigures) -> Coefficients:
        """About two seconds the first time, for each point of the grid."""
        if not self._traces or not self._tuning.has_prior:
            return uninformed()
        key = rounded(service)
        if key not in self._known:
            self._known[key] = self._compute(key)
        return self._known[key]

    def _compute(self, service: ModelFigures) -> Coefficients:
        parts = [rows(trace, service, self._tuning, seed=1) for trace in self._traces]
        few = replace(self._tuning, most_rows=STEP_ROWS)
        parts.append(rows(generated_steps(), service, few, seed=1))
        x, start, keep = (np.concatenate([part[i] for part in parts]) for i in range(3))
        none = uninformed()
        return Coefficients(
            fit(x, start, none.start, steps=STEPS), fit(x, keep, none.keep, steps=STEPS)
        )
