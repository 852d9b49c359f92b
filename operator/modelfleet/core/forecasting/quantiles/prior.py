"""Priors: the forecast of a model without history, from the same regression on public traces.

`forecasting.policy` uses it for a new model, with that model's own figures. So a slow start or a
long request shapes the first forecast. Must never hold a trace itself: the caller reads the shipped
file.
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
"""Figures are rounded to powers of this, so that many models share few priors."""
STEPS = 300
STEP_BINS = 2 * DAY_BINS
STEP_ROWS = 2_000


def rounded(figures: ModelFigures) -> ModelFigures:
    """Return the figures on the grid; the aim does not matter here."""

    def near(value: float) -> float:
        return GRID ** round(math.log(max(value, 1e-3)) / math.log(GRID))

    return ModelFigures(
        near(figures.startup_seconds),
        near(figures.wait_seconds),
        near(figures.slots),
        near(figures.service_seconds),
    )


def generated_steps() -> Floats:
    """Return two days of arrivals whose level jumps and then stays, (n,).

    Public traces have no such jumps. Without them, the forecast of a model that fell to a tenth a
    minute ago would expect the old level for hours: small falls of the traces would be extrapolated
    to large ones.
    """
    generator = np.random.default_rng(20_260_101)
    parts: list[Floats] = []
    while sum(map(len, parts)) < STEP_BINS:
        length = int(np.exp(generator.uniform(np.log(36), np.log(4_320))))
        level = np.exp(generator.uniform(np.log(2.0), np.log(400.0)))
        parts.append(generator.poisson(level, length).astype(np.float32))
    return np.concatenate(parts)[:STEP_BINS]


class Priors:
    """Coefficients for any figures, computed at the first need and then stored."""

    def __init__(self, traces: Sequence[Floats], tuning: Tuning) -> None:
        """Set the `traces`: arrivals by bin of public services, each (n,)."""
        self._traces, self._tuning = traces, tuning
        self._known: dict[ModelFigures, Coefficients] = {}

    def of(self, figures: ModelFigures) -> Coefficients:
        """Return the prior of these figures; about 2 s for the first of a grid point."""
        if not self._traces or not self._tuning.has_prior:
            return uninformed()
        key = rounded(figures)
        if key not in self._known:
            self._known[key] = self._compute(key)
        return self._known[key]

    def _compute(self, figures: ModelFigures) -> Coefficients:
        parts = [rows(trace, figures, self._tuning, seed=1) for trace in self._traces]
        few = replace(self._tuning, most_rows=STEP_ROWS)
        parts.append(rows(generated_steps(), figures, few, seed=1))
        x, start, keep = (np.concatenate([part[i] for part in parts]) for i in range(3))
        none = uninformed()
        return Coefficients(
            fit(x, start, none.start, steps=STEPS), fit(x, keep, none.keep, steps=STEPS)
        )
