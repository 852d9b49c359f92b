"""The policy for all models: arrivals in, wanted replicas and their terms out.

`scaling.tick` calls `step` every 5 s, and runs the fits of `due` in the background. Rows are
models. The order of a step: windows, forecast, dials, replay queues, choice, the real replicas.
Must never read a clock, and never drop a model between two steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelfleet.core.forecasting.constants import BIN_SECONDS, HOUR_BINS, TAUS, Tuning
from modelfleet.core.forecasting.dials.choice import KNOWN_BINS, DialChoice
from modelfleet.core.forecasting.dials.dials import Dials
from modelfleet.core.forecasting.dials.replay_queues import (
    FigureColumns,
    ReplayQueues,
    backlog_level,
    is_late,
)
from modelfleet.core.forecasting.dials.sleep import Sleep
from modelfleet.core.forecasting.features.arrivals_history import ArrivalHistory, encode_counts
from modelfleet.core.forecasting.features.live import LiveFeatures
from modelfleet.core.forecasting.features.whole import FEATURES, Floats, box_bins, smoothing
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.quantiles.regression import (
    Coefficients,
    predict,
    refit,
    uninformed,
)

HISTORY_DAYS = 11
FIRST_FIT_BINS = 240
UNUSED = np.array([[30.0, 1.0, 1.0, 1.0]])
"""Figures of a row without a model: start-up, wait, slots, service seconds."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Observations of the last bin, for all models; arrays (n,).

    `in_system` are the requests under way or waiting now. `ages` is the summed age in seconds of
    the starting replicas. `ended` are the requests that ended, `missed` those of them that broke
    the objective.
    """

    arrivals: Floats
    in_system: Floats
    ready: Floats
    starting: Floats
    ages: Floats
    ended: Floats
    missed: Floats


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """Replicas, arrays (n,): at least `up` are needed; those above `hold` may be removed."""

    up: NDArray[np.int64]
    hold: NDArray[np.int64]
    load: Floats
    start: Floats
    keep: Floats
    floor: Floats
    cap: Floats
    backlog: Floats
    dial: NDArray[np.intp]
    keep_alive: Floats
    """Seconds for which one replica stays after the last request; NaN where not learned yet."""
    woken: NDArray[np.bool_]
    """Models whose earlier days had requests about a start-up time from now."""


@dataclass(frozen=True, slots=True)
class _DialSlots:
    """Slots of all dials to start and to keep, (n, c); the other values are of the models, (n,).

    `rate` and `median` are columns, (n, 1).
    """

    start: Floats
    keep: Floats
    rate: Floats
    half: Floats
    least: Floats
    highest: Floats
    median: Floats


class Policy:
    """All state of the policy."""

    def __init__(self, size: int, tuning: Tuning) -> None:
        """Create `size` rows without models."""
        self.tuning, self.size = tuning, size
        self.dials = Dials(tuning)
        self.live = LiveFeatures(size, tuning)
        self.replay_queues = ReplayQueues(size, self.dials.worth, tuning)
        self.choice = DialChoice(size, self.dials, tuning)
        self.sleep = Sleep(size, tuning)
        self.figures: list[ModelFigures | None] = [None] * size
        self.histories = [ArrivalHistory(HISTORY_DAYS) for _ in range(size)]
        self.newest = np.zeros(size, dtype=np.float32)
        """Arrivals of the last bin."""
        self._table = np.tile(UNUSED, (size, 1))
        self._error_budgets = np.full(size, 0.01)
        self._has_served = np.zeros(size, dtype=bool)
        self._coefficients = np.zeros((size, 2, FEATURES, len(TAUS)), dtype=np.float32)
        self._priors: list[Coefficients] = [uninformed()] * size
        self._warm: list[Coefficients | None] = [None] * size
        self._next_fit = np.full(size, FIRST_FIT_BINS, dtype=np.int64)
        self.steps = 0
        self._derive_columns()

    def grow(self, size: int) -> None:
        """Make room for more models."""
        more = size - self.size
        for part in (self.live, self.replay_queues, self.choice, self.sleep):
            part.grow(size)
        self.figures += [None] * more
        self.histories += [ArrivalHistory(HISTORY_DAYS) for _ in range(more)]
        self._priors += [uninformed()] * more
        self._warm += [None] * more
        self._table = np.concatenate((self._table, np.tile(UNUSED, (more, 1))))
        self._error_budgets = np.concatenate((self._error_budgets, np.full(more, 0.01)))
        self.newest = np.concatenate((self.newest, np.zeros(more, dtype=np.float32)))
        self._has_served = np.concatenate((self._has_served, np.zeros(more, dtype=bool)))
        empty = np.zeros((more, *self._coefficients.shape[1:]), dtype=np.float32)
        self._coefficients = np.concatenate((self._coefficients, empty))
        self._next_fit = np.concatenate((self._next_fit, np.full(more, FIRST_FIT_BINS)))
        self.size = size
        self._derive_columns()

    def clear(self, row: int) -> None:
        """Empty a row whose model is gone."""
        for part in (self.live, self.replay_queues, self.choice, self.sleep):
            part.clear(row)
        self.figures[row], self._warm[row] = None, None
        self.histories[row] = ArrivalHistory(HISTORY_DAYS)
        self._table[row] = UNUSED
        self.newest[row] = 0.0
        self._has_served[row] = False
        self._is_stale = True

    def adopt(self, row: int, figures: ModelFigures, prior: Coefficients) -> None:
        """Assign a row to a model."""
        self.clear(row)
        self.set_prior(row, prior)
        self._next_fit[row] = FIRST_FIT_BINS
        self.set_figures(row, figures)

    def set_prior(self, row: int, prior: Coefficients) -> None:
        """Set the forecast that a model uses until a fit on its own arrivals."""
        self._priors[row] = prior
        if self._warm[row] is None:
            self._coefficients[row] = prior.stacked()

    def set_figures(self, row: int, figures: ModelFigures) -> None:
        """Set the figures of a model, at the begin and whenever one of them was learned anew."""
        self.figures[row] = figures
        self._table[row] = (
            figures.startup_seconds,
            figures.wait_seconds,
            max(figures.slots, 1e-3),
            max(figures.service_seconds, 1e-4),
        )
        self._error_budgets[row] = figures.aim
        self._is_stale = True

    def _derive_columns(self) -> None:
        table = self._table
        self._columns = FigureColumns(table, self.tuning)
        self._weight = np.array([smoothing(s) for s in table[:, 3]])
        self._boxes = np.array([box_bins(w) for w in table[:, 1]])
        self._idle = (self.tuning.idle_share * table[:, 2]).astype(np.float32)
        self._is_stale = False

    def step(self, observed: Bin) -> PolicyOutput:
        """Process one bin of 5 s."""
        if self._is_stale:
            self._derive_columns()
        columns, live = self._columns, self.live
        counts = self.newest = observed.arrivals
        for row, code in enumerate(encode_counts(counts).tolist()):
            if self.figures[row] is not None:
                self.histories[row].push(code)
        per_bin = self._table[:, 3] / BIN_SECONDS
        live.push(counts, per_bin, self._weight, self._boxes, self._table[:, 0])
        x, base = live.features(self._idle)
        start, keep = self.dials.levels(predict(x, self._coefficients), base, self._idle)
        memory = columns.memory_seconds(self._error_budgets)
        half, highest = live.highest_half_minute(memory), live.highest_day()
        # A new model gives no replica back: its next burst may be as high as the last one.
        is_new = live.age < np.minimum(KNOWN_BINS, memory / BIN_SECONDS)
        least = np.where(is_new, highest, 0.0)
        # The median has the same cap as the levels, because the part for short waits grows with it.
        median = np.minimum(start[:, [self.dials.median]], self.tuning.cap * highest[:, None])
        start = self.dials.bounded(start, half, least, highest)
        keep = self.dials.bounded(keep, half, least, highest)
        if self.tuning.has_sustained:
            # Forecasts that were learned without a level treat it as noise, so a lasting level
            # is kept on its own.
            keep = np.maximum(keep, live.sustained(columns.delay)[:, None])
        if columns.has_short_waits:
            start = columns.short_waits.staffed(start, median, self.dials.risk[None, :])
            keep = columns.short_waits.staffed(keep, median, self.dials.risk[None, :])
        rate = (live.quarter[:, None] / columns.service).astype(np.float32)
        self.replay_queues.serve(counts, columns, self.steps)
        billed = self.replay_queues.ready + self.replay_queues.pending
        self.replay_queues.act(start, keep, rate, columns, self.steps)
        has_served = self._begun(observed)
        self.choice.record(observed.ended * has_served, observed.missed * has_served, self.steps)
        violated = self.replay_queues.violated * has_served[:, None]
        age = live.age
        self.choice.account(counts * has_served, violated, billed, step=self.steps, age=age)
        day_rate = self.choice.requests / np.maximum(self._counted_seconds(), BIN_SECONDS)
        due = self.choice.choose(age, self._error_budgets, columns, day_rate)
        self.sleep.step(counts, live.days, columns, step=self.steps, age=age)
        if due.any():
            self.sleep.choose(np.flatnonzero(due), self.choice.aim, columns)
        self.steps += 1
        dial_slots = _DialSlots(start, keep, rate, half, least, highest, median)
        return self._output(observed, dial_slots)

    def _begun(self, observed: Bin) -> NDArray[np.bool_]:
        """Return the models that have once caught up with the requests of their first start."""
        late = is_late(observed.in_system[:, None], observed.ready[:, None], self._columns)[:, 0]
        self._has_served |= (self.live.age > self._columns.delay) & ~late
        return self._has_served

    def _counted_seconds(self) -> NDArray[np.float64]:
        return self.choice.counted_seconds(self.live.age)

    def _output(self, observed: Bin, dial_slots: "_DialSlots") -> PolicyOutput:
        """Return the levels of the chosen dials, with the real queue and the real replicas."""
        rows, chosen = np.arange(self.size), self.choice.chosen
        slots = self._columns.slots[:, 0]
        start_level, keep_level = dial_slots.start[rows, chosen], dial_slots.keep[rows, chosen]
        queue, ready, ages = (
            x[:, None] for x in (observed.in_system, observed.ready, observed.ages)
        )
        worth = self.dials.worth[chosen][:, None]
        backlog = backlog_level(queue, dial_slots.rate, ready, ages, self._columns, worth=worth)[
            :, 0
        ]
        if not self.tuning.has_backlog:
            backlog = np.zeros_like(backlog)
        up = np.ceil(np.maximum(start_level, backlog) / slots - 1e-4)
        hold = np.ceil(np.maximum(start_level, keep_level) / slots - 1e-4)
        if self.tuning.has_hold:
            hold = np.maximum(hold, self.replay_queues.hold()[rows, chosen])
        late = is_late(queue, ready, self._columns)[:, 0]
        hold = np.where(late, np.maximum(hold, observed.ready + observed.starting), hold)
        floor = np.maximum(self.dials.floor[chosen] * dial_slots.half, dial_slots.least)
        cap = self.tuning.cap * dial_slots.highest
        if self._columns.has_short_waits:
            risk, short_waits = self.dials.risk[chosen][:, None], self._columns.short_waits
            floor, cap = (
                short_waits.staffed(x[:, None], dial_slots.median, risk)[:, 0] for x in (floor, cap)
            )
        return PolicyOutput(
            up.astype(np.int64),
            hold.astype(np.int64),
            self.live.load,
            start_level,
            keep_level,
            floor,
            cap,
            backlog,
            chosen.copy(),
            self.sleep.keep_seconds(),
            self.sleep.is_woken(self.live.days),
        )

    def due(self) -> list[int]:
        """Return the rows whose forecasts should be fitted again."""
        due_rows = np.flatnonzero(self.live.age >= self._next_fit).tolist()
        return [row for row in due_rows if self.figures[row] is not None]

    def fit_of(self, row: int) -> Callable[[], Coefficients]:
        """Return a function that fits a row (half a second): for a thread, as it shares no data."""
        figures, prior, warm = self.figures[row], self._priors[row], self._warm[row]
        if figures is None:
            return lambda: prior
        counts, tuning = self.histories[row].counts(), self.tuning
        return lambda: refit(counts, figures, prior, warm, tuning)

    def learn(self, row: int, coefficients: Coefficients) -> None:
        """Use new coefficients from now on."""
        self._warm[row] = coefficients
        self._coefficients[row] = coefficients.stacked()
        age = int(self.live.age[row])
        longest = int(self.tuning.refit_hours * HOUR_BINS)
        self._next_fit[row] = age + max(1, min(int(age * (self.tuning.refit_growth - 1)), longest))
