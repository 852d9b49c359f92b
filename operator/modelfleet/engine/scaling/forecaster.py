"""The policy beside the tick: collects arrivals into its bins, steps it, has its fits made.

Owned by the ticker. `take` and `step` are cheap and run in the loop; `work` hands out the slow
parts (priors, fits) as functions for a thread. Must never guess: while a gateway is silent a bin
repeats the one before it, and the tick holds the grants.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from modelfleet.core.forecasting.constants import BIN_SECONDS, SHIPPED, Tuning
from modelfleet.core.forecasting.explanation import sentence
from modelfleet.core.forecasting.features.whole import Floats
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Bin, Policy
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.core.forecasting.quantiles.regression import Coefficients, uninformed
from modelfleet.core.forecasting.rows.backfill import judged_at, weigh
from modelfleet.core.forecasting.rows.learned_summary import LearnedSummary, summary_of
from modelfleet.core.forecasting.rows.transfer import carry_on, place, set_clock, taken
from modelfleet.engine.scaling.decision_metrics import DecisionMetrics, ReplicasNow
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import Bucket, Forecast

FIRST_ROWS = 16
MAX_BINS_BEHIND = 120
CHANGED = 0.1
"""Learned figures are told to the policy when they moved by this share."""
CHANGED_WORK = 0.02
"""The same for the service time, of which every forecast is a multiple: 5 % too little of it was
half as many violations again."""


@dataclass(frozen=True, slots=True)
class FitJob:
    """A slow computation for one model."""

    key: Key
    run: Callable[[], Coefficients]
    is_prior: bool
    row: "_Row"
    """Whose it is: of no use when another one has taken its place."""


@dataclass(frozen=True, slots=True)
class RecalledRow:
    """A row that an earlier leader left: whose it is, and whether it still waits for a prior."""

    key: Key
    uid: str
    number: int
    needs_prior: bool


@dataclass(frozen=True, slots=True)
class UnknownModel:
    """A model about which only this leader knows anything: what it has lived, up to bin `clock`."""

    uid: str
    service: ModelFigures
    prior: Coefficients
    recalled: int
    lived: Floats
    clock: int


@dataclass(slots=True)
class _Row:
    number: int
    uid: str = ""
    arrivals: float = 0.0
    ended: float = 0.0
    missed: float = 0.0
    in_system: float = 0.0
    needs_prior: bool = True
    is_stranger: bool = True
    """Whether its past has still to be looked for."""
    forecast: Forecast | None = None
    service: ModelFigures | None = None
    pool: ReplicasNow | None = None


class Forecaster:
    """Rows of the policy by model."""

    def __init__(
        self, priors: Priors, tuning: Tuning = SHIPPED, *, publishes: bool = False
    ) -> None:
        """No model yet. `publishes`: whether the terms go to the metrics."""
        self._terms = DecisionMetrics() if publishes else None
        self._priors = priors
        self.fleet = Policy(FIRST_ROWS, tuning)
        self._rows: dict[Key, _Row] = {}
        self._free = list(range(FIRST_ROWS - 1, -1, -1))
        self._stepped_at: float | None = None
        self._lessons: dict[Key, tuple[str, LearnedSummary]] = {}
        self._judged_at: dict[Key, int] = {}

    def begin(
        self, clock: int, fleet: Policy | None = None, rows: Iterable[RecalledRow] = ()
    ) -> None:
        """Leading begins: bins are counted from `clock`, the wall clock in bins.

        `fleet` and `rows` are what an earlier leader left, carried on to that bin.
        """
        if fleet is not None:
            self.fleet = fleet
        self._rows = {
            one.key: _Row(
                one.number,
                one.uid,
                needs_prior=one.needs_prior,
                is_stranger=False,
                service=self.fleet.services[one.number],
            )
            for one in rows
        }
        used = {row.number for row in self._rows.values()}
        self._free = [n for n in range(self.fleet.size - 1, -1, -1) if n not in used]
        set_clock(self.fleet, clock)
        self._stepped_at = None
        self._judged_at = {}
        for key, row in self._rows.items():
            self._watch(key, row)

    def left(self, keys: Iterable[Key]) -> tuple[Policy, list[RecalledRow]] | None:
        """Copies of the rows of these models for the next leader; None when there is none."""
        rows = [(key, self._rows[key]) for key in keys if key in self._rows]
        rows = [(key, row) for key, row in rows if row.service is not None]
        if not rows:
            return None
        block = taken(self.fleet, [row.number for _, row in rows])
        found = [
            RecalledRow(key, row.uid, number, row.needs_prior)
            for number, (key, row) in enumerate(rows)
        ]
        return block, found

    def teach(self, key: Key, uid: str, lesson: LearnedSummary) -> None:
        """What an earlier leader knew of the object `uid` in short: its row begins with it."""
        self._lessons[key] = (uid, lesson)

    def lesson(self, key: Key) -> tuple[LearnedSummary, Floats] | None:
        """What is known of a model in short, and its features (20,) of now."""
        row = self._rows.get(key)
        found = None if row is None else summary_of(self.fleet, row.number)
        if row is None or found is None:
            return None
        one = taken(self.fleet, [row.number])
        one._figures()
        return found, one.present.features(one._idle)[0][0]

    def fill(self, key: Key, block: Policy) -> bool:
        """Give a model the row that `rows.backfill` has made; False for one of the future.

        What was watched since the block's bin is carried over as a gap, so a few minutes at most.
        """
        if block.steps > self.fleet.steps:
            return False
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._free_row())
        carry_on(block, self.fleet.steps - block.steps)
        # No source of arrivals knows what was promised and broken.
        for table in ("lived", "missed"):
            getattr(block.choice, table)[:, 0] = getattr(self.fleet.choice, table)[:, row.number]
        place(self.fleet, [row.number], block)
        if row.service is None:
            row.service = block.services[0]
        else:
            self.fleet.describe(row.number, row.service)
        row = self._rows[key] = replace(row, needs_prior=False, is_stranger=False)
        self._watch(key, row)
        return True

    def strangers(self) -> list[Key]:
        """Models whose past has still to be looked for, sorted; a prior comes first."""
        rows = sorted(self._rows.items())
        return [k for k, r in rows if r.is_stranger and r.service and not r.needs_prior]

    def stranger(self, key: Key) -> UnknownModel | None:
        """What a source of history needs of such a model; None for others."""
        row, fleet = self._rows.get(key), self.fleet
        if row is None or row.service is None or not row.is_stranger or row.needs_prior:
            return None
        return UnknownModel(
            row.uid,
            row.service,
            fleet._priors[row.number],
            int(fleet.choice.recalled[row.number]),
            fleet.histories[row.number].counts(),
            fleet.steps,
        )

    def introduce(self, key: Key) -> None:
        """Its past was looked for."""
        if key in self._rows:
            self._rows[key].is_stranger = False

    def _watch(self, key: Key, row: _Row) -> None:
        at = judged_at(self.fleet, row.number)
        if at is not None:
            self._judged_at[key] = at

    def _weigh(self) -> None:
        """Rows whose long past was not replayed have been watched for a day now."""
        for key in [key for key, at in self._judged_at.items() if at <= self.fleet.steps + 1]:
            weigh(self.fleet, self._rows[key].number)
            del self._judged_at[key]

    def is_of(self, key: Key, uid: str) -> bool:
        """Whether a model's row is that of the object `uid`, and not of an earlier namesake."""
        row = self._rows.get(key)
        if row is None or not uid:
            return True
        row.uid = row.uid or uid
        return row.uid == uid

    def take(self, key: Key, bucket: Bucket) -> None:
        """Traffic of one model since the last tick."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._free_row())
        row.arrivals += bucket.arrivals
        row.ended += bucket.completions
        row.missed += bucket.slow
        row.in_system = bucket.in_flight + bucket.held

    def quiet(self, key: Key) -> None:
        """The gateways watched and saw nothing of this model."""
        row = self._rows.get(key)
        if row is not None:
            row.in_system = 0.0

    def forget(self, gone: Iterable[Key]) -> None:
        """Models that do not exist any more."""
        for key in gone:
            self._lessons.pop(key, None)
            self._judged_at.pop(key, None)
            row = self._rows.pop(key, None)
            if row is not None:
                self.fleet.clear(row.number)
                self._free.append(row.number)
                if self._terms is not None:
                    self._terms.forget(key)

    def known(self) -> list[Key]:
        """Models with a row, sorted."""
        return sorted(self._rows)

    def forecast(self, key: Key) -> Forecast | None:
        """The newest forecast of a model."""
        row = self._rows.get(key)
        return None if row is None else row.forecast

    def is_due(self, now: float) -> bool:
        """Whether a bin has passed since the last step; the first one begins now."""
        if self._stepped_at is None:
            self._stepped_at = now
        return self._passed(now) > 0

    def _passed(self, now: float) -> int:
        begun = now if self._stepped_at is None else self._stepped_at
        return int((now - begun) / BIN_SECONDS + 1e-6)

    def step(self, now: float, pools: Mapping[Key, ReplicasNow], *, is_complete: bool) -> None:
        """Close the bins that have passed.

        `pools` has the models whose figures are known; others wait with their arrivals.
        """
        passed = self._passed(now)
        self._stepped_at = (self._stepped_at or 0.0) + passed * BIN_SECONDS
        for key, pool in pools.items():
            if key in self._rows:
                self._describe(key, self._rows[key], pool)
        bins = min(passed, MAX_BINS_BEHIND)
        for _ in range(bins):
            self._one(bins, is_complete=is_complete)
        for row in self._rows.values():
            row.arrivals = row.ended = row.missed = 0.0

    def _free_row(self) -> int:
        if not self._free:
            old = self.fleet.size
            self.fleet.grow(2 * old)
            self._free = list(range(2 * old - 1, old - 1, -1))
        return self._free.pop()

    def _describe(self, key: Key, row: _Row, pool: ReplicasNow) -> None:
        row.pool = pool
        if row.service is None:
            self._adopt(key, row, pool.service)
        elif _moved(row.service, pool.service):
            self.fleet.describe(row.number, pool.service)
        else:
            return
        row.service = pool.service

    def _adopt(self, key: Key, row: _Row, service: ModelFigures) -> None:
        uid, lesson = self._lessons.pop(key, ("", None))
        if lesson is None or row.uid not in {"", uid}:
            self.fleet.adopt(row.number, service, uninformed())
            return
        # Learned by an earlier leader from this very model: a better prior than public traces.
        row.needs_prior = False
        self.fleet.adopt(row.number, service, lesson.coefficients)
        candidate = lesson.candidate(self.fleet.bank)
        self.fleet.choice.recalled[row.number] = -1 if candidate is None else candidate

    def _one(self, bins: int, *, is_complete: bool) -> None:
        columns = np.zeros((7, self.fleet.size), dtype=np.float32)
        active = [(row, row.pool) for row in self._rows.values() if row.pool is not None]
        for row in self._rows.values():
            if row.service is not None:
                # A row from an earlier leader is on before anybody has looked at its replicas.
                columns[0, row.number] = row.arrivals / bins
        for row, pool in active:
            columns[:, row.number] = (
                row.arrivals / bins,
                row.in_system,
                pool.ready,
                pool.starting,
                pool.age_seconds,
                row.ended / bins,
                row.missed / bins,
            )
        if not is_complete:
            columns[0] = np.maximum(columns[0], self.fleet.newest)
        self._weigh()
        wanted = self.fleet.step(Bin(*columns))
        for row, _ in active:
            up, hold = int(wanted.up[row.number]), int(wanted.hold[row.number])
            keep_alive = float(wanted.keep_alive[row.number])
            row.forecast = Forecast(
                up,
                max(hold, up),
                sentence(self.fleet, wanted, row.number),
                None if np.isnan(keep_alive) else keep_alive,
                bool(wanted.woken[row.number]),
            )
        if self._terms is not None:
            for key, row in self._rows.items():
                if row.service is not None:
                    self._terms.put(key, self.fleet, wanted, row.number, row.pool)

    def work(self) -> list[FitJob]:
        """Slow parts that are due. Run them in a thread, hand the results to `done`."""
        found = []
        for key, row in self._rows.items():
            if row.service is not None and row.needs_prior:
                prior = partial(self._priors.of, row.service)
                found.append(FitJob(key, prior, is_prior=True, row=row))
        if found:
            return found
        due = set(self.fleet.due())
        return [
            FitJob(key, self.fleet.fit_of(row.number), is_prior=False, row=row)
            for key, row in self._rows.items()
            if row.number in due
        ]

    def done(self, work: FitJob, found: Coefficients) -> None:
        """A result of `work`; of no use when the model went away meanwhile, or got a past."""
        row = self._rows.get(work.key)
        if row is None or row is not work.row:
            return
        if work.is_prior:
            row.needs_prior = False
            self.fleet.believe(row.number, found)
        else:
            self.fleet.learn(row.number, found)


def _moved(old: ModelFigures, new: ModelFigures) -> bool:
    pairs = (
        (old.startup_seconds, new.startup_seconds, CHANGED),
        (old.service_seconds, new.service_seconds, CHANGED_WORK),
        (old.slots, new.slots, CHANGED),
        (old.wait_seconds, new.wait_seconds, CHANGED),
    )
    return old.aim != new.aim or any(abs(a - b) > by * max(a, 1e-6) for a, b, by in pairs)
