"""The policy for the whole fleet: arrivals in, wanted replicas and their terms out.

`scaling.tick` calls `step` every 5 s and `due` / `learn` for the fits in the background. Rows are
models. Sequence: windows -> forecast -> bank -> shadow queues -> choice -> the real replicas.
Must never read a clock, and never forget a model between two steps.
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
"""Figures of a row without a model: startup, wait, slots, service seconds."""


@dataclass(frozen=True, slots=True)
class Bin:
    """What the last bin showed of all models; arrays (n,).

    `in_system` are the requests under way or waiting now, `ages` is the summed age in seconds of
    the replicas that start, `ended` and `missed` are the requests that ended and those of them
    that broke the promise.
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
    """Replicas, arrays (n,): at least `up` are needed; above `hold` they may go."""

    up: NDArray[np.int64]
    hold: NDArray[np.int64]
    load: Floats
    start: Floats
    keep: Floats
    floor: Floats
    cap: Floats
    backlog: Floats
    candidate: NDArray[np.intp]
    keep_alive: Floats
    """Seconds that one replica stays after the last request; NaN where not known yet."""
    woken: NDArray[np.bool_]
    """Earlier days had requests about a start-up time from now."""


@dataclass(frozen=True, slots=True)
class _DialSlots:
    """Of all candidates, (n, c): slots to start and to keep for; of the models the rest, (n,).

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
        """`size` rows, none in use."""
        self.tuning, self.size = tuning, size
        self.bank = Dials(tuning)
        self.present = LiveFeatures(size, tuning)
        self.shadow = ReplayQueues(size, self.bank.worth, tuning)
        self.choice = DialChoice(size, self.bank, tuning)
        self.rest = Sleep(size, tuning)
        self.services: list[ModelFigures | None] = [None] * size
        self.histories = [ArrivalHistory(HISTORY_DAYS) for _ in range(size)]
        self.newest = np.zeros(size, dtype=np.float32)
        """Arrivals of the last bin."""
        self._table = np.tile(UNUSED, (size, 1))
        self._promise = np.full(size, 0.01)
        self._has_served = np.zeros(size, dtype=bool)
        self._coefficients = np.zeros((size, 2, FEATURES, len(TAUS)), dtype=np.float32)
        self._priors: list[Coefficients] = [uninformed()] * size
        self._warm: list[Coefficients | None] = [None] * size
        self._next_fit = np.full(size, FIRST_FIT_BINS, dtype=np.int64)
        self.steps = 0
        self._figures()

    def grow(self, size: int) -> None:
        """Room for more models."""
        more = size - self.size
        for part in (self.present, self.shadow, self.choice, self.rest):
            part.grow(size)
        self.services += [None] * more
        self.histories += [ArrivalHistory(HISTORY_DAYS) for _ in range(more)]
        self._priors += [uninformed()] * more
        self._warm += [None] * more
        self._table = np.concatenate((self._table, np.tile(UNUSED, (more, 1))))
        self._promise = np.concatenate((self._promise, np.full(more, 0.01)))
        self.newest = np.concatenate((self.newest, np.zeros(more, dtype=np.float32)))
        self._has_served = np.concatenate((self._has_served, np.zeros(more, dtype=bool)))
        empty = np.zeros((more, *self._coefficients.shape[1:]), dtype=np.float32)
        self._coefficients = np.concatenate((self._coefficients, empty))
        self._next_fit = np.concatenate((self._next_fit, np.full(more, FIRST_FIT_BINS)))
        self.size = size
        self._figures()

    def clear(self, row: int) -> None:
        """The model of a row is gone."""
        for part in (self.present, self.shadow, self.choice, self.rest):
            part.clear(row)
        self.services[row], self._warm[row] = None, None
        self.histories[row] = ArrivalHistory(HISTORY_DAYS)
        self._table[row] = UNUSED
        self.newest[row] = 0.0
        self._has_served[row] = False
        self._is_stale = True

    def adopt(self, row: int, service: ModelFigures, prior: Coefficients) -> None:
        """A model takes a row."""
        self.clear(row)
        self.believe(row, prior)
        self._next_fit[row] = FIRST_FIT_BINS
        self.describe(row, service)

    def believe(self, row: int, prior: Coefficients) -> None:
        """What to think of a model as long as it has not been learned from."""
        self._priors[row] = prior
        if self._warm[row] is None:
            self._coefficients[row] = prior.stacked()

    def describe(self, row: int, service: ModelFigures) -> None:
        """The model's figures, at the begin and whenever they were learned anew."""
        self.services[row] = service
        self._table[row] = (
            service.startup_seconds,
            service.wait_seconds,
            max(service.slots, 1e-3),
            max(service.service_seconds, 1e-4),
        )
        self._promise[row] = service.aim
        self._is_stale = True

    def _figures(self) -> None:
        table = self._table
        self._about = FigureColumns(table, self.tuning)
        self._weight = np.array([smoothing(s) for s in table[:, 3]])
        self._boxes = np.array([box_bins(w) for w in table[:, 1]])
        self._idle = (self.tuning.idle_share * table[:, 2]).astype(np.float32)
        self._is_stale = False

    def step(self, seen: Bin) -> PolicyOutput:
        """One bin of 5 s has passed."""
        if self._is_stale:
            self._figures()
        about, present = self._about, self.present
        counts = self.newest = seen.arrivals
        for row, code in enumerate(encode_counts(counts).tolist()):
            if self.services[row] is not None:
                self.histories[row].push(code)
        per_bin = self._table[:, 3] / BIN_SECONDS
        present.push(counts, per_bin, self._weight, self._boxes, self._table[:, 0])
        x, base = present.features(self._idle)
        start, keep = self.bank.levels(predict(x, self._coefficients), base, self._idle)
        memory = about.memory_seconds(self._promise)
        half, highest = present.highest_half_minute(memory), present.highest_day()
        # Who is hardly known gives nothing back: its next burst is as good as any.
        is_new = present.age < np.minimum(KNOWN_BINS, memory / BIN_SECONDS)
        least = np.where(is_new, highest, 0.0)
        # Capped as the levels are: what chance adds grows with it.
        median = np.minimum(start[:, [self.bank.median]], self.tuning.cap * highest[:, None])
        start = self.bank.bounded(start, half, least, highest)
        keep = self.bank.bounded(keep, half, least, highest)
        if self.tuning.has_sustained:
            # A level that was never seen is taken for noise by what was learned without it.
            keep = np.maximum(keep, present.sustained(about.delay)[:, None])
        if about.has_chance:
            start = about.chance.staffed(start, median, self.bank.risk[None, :])
            keep = about.chance.staffed(keep, median, self.bank.risk[None, :])
        rate = (present.quarter[:, None] / about.service).astype(np.float32)
        self.shadow.serve(counts, about, self.steps)
        billed = self.shadow.ready + self.shadow.pending
        self.shadow.act(start, keep, rate, about, self.steps)
        begun = self._begun(seen)
        self.choice.live(seen.ended * begun, seen.missed * begun, self.steps)
        violated = self.shadow.violated * begun[:, None]
        age = present.age
        self.choice.account(counts * begun, violated, billed, step=self.steps, age=age)
        day_rate = self.choice.requests / np.maximum(self._counted_seconds(), BIN_SECONDS)
        due = self.choice.choose(age, self._promise, about, day_rate)
        self.rest.step(counts, present.days, about, step=self.steps, age=age)
        if due.any():
            self.rest.choose(np.flatnonzero(due), self.choice.aim, about)
        self.steps += 1
        found = _DialSlots(start, keep, rate, half, least, highest, median)
        return self._wanted(seen, found)

    def _begun(self, seen: Bin) -> NDArray[np.bool_]:
        """Models that have once caught up with the requests that waited for their first start."""
        late = is_late(seen.in_system[:, None], seen.ready[:, None], self._about)[:, 0]
        self._has_served |= (self.present.age > self._about.delay) & ~late
        return self._has_served

    def _counted_seconds(self) -> NDArray[np.float64]:
        return self.choice.counted_seconds(self.present.age)

    def _wanted(self, seen: Bin, found: "_DialSlots") -> PolicyOutput:
        """The chosen candidate's levels with the real queue and the real replicas."""
        rows, chosen = np.arange(self.size), self.choice.chosen
        slots = self._about.slots[:, 0]
        first, kept = found.start[rows, chosen], found.keep[rows, chosen]
        queue, ready, ages = (x[:, None] for x in (seen.in_system, seen.ready, seen.ages))
        worth = self.bank.worth[chosen][:, None]
        more = backlog_level(queue, found.rate, ready, ages, self._about, worth=worth)[:, 0]
        if not self.tuning.has_backlog:
            more = np.zeros_like(more)
        up = np.ceil(np.maximum(first, more) / slots - 1e-4)
        hold = np.ceil(np.maximum(first, kept) / slots - 1e-4)
        if self.tuning.has_hold:
            hold = np.maximum(hold, self.shadow.hold()[rows, chosen])
        late = is_late(queue, ready, self._about)[:, 0]
        hold = np.where(late, np.maximum(hold, seen.ready + seen.starting), hold)
        floor = np.maximum(self.bank.floor[chosen] * found.half, found.least)
        cap = self.tuning.cap * found.highest
        if self._about.has_chance:
            risk, chance = self.bank.risk[chosen][:, None], self._about.chance
            floor, cap = (
                chance.staffed(x[:, None], found.median, risk)[:, 0] for x in (floor, cap)
            )
        return PolicyOutput(
            up.astype(np.int64),
            hold.astype(np.int64),
            self.present.load,
            first,
            kept,
            floor,
            cap,
            more,
            chosen.copy(),
            self.rest.keep_seconds(),
            self.rest.is_woken(self.present.days),
        )

    def due(self) -> list[int]:
        """Rows whose forecasts should be learned again."""
        old = np.flatnonzero(self.present.age >= self._next_fit).tolist()
        return [row for row in old if self.services[row] is not None]

    def fit_of(self, row: int) -> Callable[[], Coefficients]:
        """A function that fits a row (half a second): for a thread, as it shares nothing."""
        service, prior, warm = self.services[row], self._priors[row], self._warm[row]
        if service is None:
            return lambda: prior
        counts, tuning = self.histories[row].counts(), self.tuning
        return lambda: refit(counts, service, prior, warm, tuning)

    def learn(self, row: int, found: Coefficients) -> None:
        """Use new coefficients from now on."""
        self._warm[row] = found
        self._coefficients[row] = found.stacked()
        age = int(self.present.age[row])
        longest = int(self.tuning.refit_hours * HOUR_BINS)
        self._next_fit[row] = age + max(1, min(int(age * (self.tuning.refit_growth - 1)), longest))
