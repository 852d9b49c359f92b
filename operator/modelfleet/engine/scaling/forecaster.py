"""The policy beside the tick: collects arrivals into bins, steps the policy, runs its fits.

The ticker owns the forecaster. `add_traffic` and `step` are cheap and run in the event loop.
`due_fits` returns the slow parts (priors, fits) as functions for a thread. Must never guess: while
a gateway is silent, a bin repeats the one before it, and the tick keeps the grants.
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
CHANGED_SHARE = 0.1
"""A learned figure is given to the policy again when it has changed by this share."""
CHANGED_SERVICE_SHARE = 0.02
"""The same share for the service time. Every forecast is a multiple of the service time: a value
that was 5 % too small caused half as many violations again."""


@dataclass(frozen=True, slots=True)
class FitJob:
    """A slow computation for one model."""

    key: Key
    run: Callable[[], Coefficients]
    is_prior: bool
    row: "_Row"
    """Row for which the job was made. The result is dropped when another row has replaced this
    one."""


@dataclass(frozen=True, slots=True)
class RecalledRow:
    """A row that an earlier leader saved: its model, and what it still lacks."""

    key: Key
    uid: str
    number: int
    needs_prior: bool
    needs_history: bool = False


@dataclass(frozen=True, slots=True)
class UnknownModel:
    """A model without saved memory: all that this leader has watched of it, up to bin `clock`."""

    uid: str
    service: ModelFigures
    prior: Coefficients
    recalled: int
    watched: Floats
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
    needs_history: bool = True
    """Whether the past of the model has still to be looked for."""
    forecast: Forecast | None = None
    service: ModelFigures | None = None
    replicas_now: ReplicasNow | None = None


class Forecaster:
    """Rows of the policy by model."""

    def __init__(
        self, priors: Priors, tuning: Tuning = SHIPPED, *, publishes: bool = False
    ) -> None:
        """Start without any model. `publishes`: whether decisions are set as metrics."""
        self._metrics = DecisionMetrics() if publishes else None
        self._priors = priors
        self.policy = Policy(FIRST_ROWS, tuning)
        self._rows: dict[Key, _Row] = {}
        self._free = list(range(FIRST_ROWS - 1, -1, -1))
        self._stepped_at: float | None = None
        self._learned_summaries: dict[Key, tuple[str, LearnedSummary]] = {}
        self._judged_at: dict[Key, int] = {}

    def begin(
        self, clock: int, policy: Policy | None = None, rows: Iterable[RecalledRow] = ()
    ) -> None:
        """Begin to lead: count bins from `clock`, which is the wall clock in bins.

        `policy` and `rows` come from an earlier leader and are already carried on to that bin.
        """
        if policy is not None:
            self.policy = policy
        self._rows = {
            row.key: _Row(
                row.number,
                row.uid,
                needs_prior=row.needs_prior,
                needs_history=row.needs_history,
                service=self.policy.figures[row.number],
            )
            for row in rows
        }
        used = {row.number for row in self._rows.values()}
        self._free = [n for n in range(self.policy.size - 1, -1, -1) if n not in used]
        set_clock(self.policy, clock)
        self._stepped_at = None
        if self._metrics is not None:
            self._metrics = DecisionMetrics()
        self._judged_at = {}
        for key, row in self._rows.items():
            self._plan_weighing(key, row)

    def export_rows(self, keys: Iterable[Key]) -> tuple[Policy, list[RecalledRow]] | None:
        """Return copies of the rows of these models for the next leader; None without any."""
        rows = [(key, self._rows[key]) for key in keys if key in self._rows]
        rows = [(key, row) for key, row in rows if row.service is not None]
        if not rows:
            return None
        block = taken(self.policy, [row.number for _, row in rows])
        recalled = [
            RecalledRow(key, row.uid, number, row.needs_prior, row.needs_history)
            for number, (key, row) in enumerate(rows)
        ]
        return block, recalled

    def set_learned_summary(self, key: Key, uid: str, summary: LearnedSummary) -> None:
        """Store what an earlier leader learned of the object `uid`; its row begins with it."""
        self._learned_summaries[key] = (uid, summary)

    def learned_summary(self, key: Key) -> tuple[LearnedSummary, Floats] | None:
        """Return a short summary of what was learned of a model, and its features (20,) of now."""
        row = self._rows.get(key)
        summary = None if row is None else summary_of(self.policy, row.number)
        if row is None or summary is None:
            return None
        single = taken(self.policy, [row.number])
        single._derive_columns()
        return summary, single.live.features(single._idle)[0][0]

    def use_backfill(self, key: Key, block: Policy) -> bool:
        """Give a model the row that `rows.backfill` has made; False for a row of the future.

        Bins that have passed since the block's last bin are carried over as a gap, so the gap is a
        few minutes at most.
        """
        if block.steps > self.policy.steps:
            return False
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._free_row())
        carry_on(block, self.policy.steps - block.steps)
        # A source of past arrivals has no counts of requests that broke the objective.
        for table in ("ended", "missed"):
            getattr(block.choice, table)[:, 0] = getattr(self.policy.choice, table)[:, row.number]
        place(self.policy, [row.number], block)
        if row.service is None:
            row.service = block.figures[0]
        else:
            self.policy.set_figures(row.number, row.service)
        row = self._rows[key] = replace(row, needs_prior=False, needs_history=False)
        self._plan_weighing(key, row)
        return True

    def models_without_history(self) -> list[Key]:
        """Return the models with a prior whose past has still to be looked for, sorted."""
        rows = sorted(self._rows.items())
        return [k for k, r in rows if r.needs_history and r.service and not r.needs_prior]

    def unknown_model(self, key: Key) -> UnknownModel | None:
        """Return what a source of history needs of a model; None if it needs no history."""
        row, policy = self._rows.get(key), self.policy
        if row is None or row.service is None or not row.needs_history or row.needs_prior:
            return None
        return UnknownModel(
            row.uid,
            row.service,
            policy._priors[row.number],
            int(policy.choice.recalled[row.number]),
            policy.histories[row.number].counts(),
            policy.steps,
        )

    def mark_history_checked(self, key: Key) -> None:
        """Record that the past of a model was looked for."""
        if key in self._rows:
            self._rows[key].needs_history = False

    def _plan_weighing(self, key: Key, row: _Row) -> None:
        at = judged_at(self.policy, row.number)
        if at is not None:
            self._judged_at[key] = at

    def _weigh_watched_rows(self) -> None:
        """Weigh the dials of rows that have been watched for a day.

        The long past of these rows was not replayed.
        """
        for key in [key for key, at in self._judged_at.items() if at <= self.policy.steps + 1]:
            weigh(self.policy, self._rows[key].number)
            del self._judged_at[key]

    def is_of(self, key: Key, uid: str) -> bool:
        """Return whether a model's row belongs to the object `uid`, not to a namesake."""
        row = self._rows.get(key)
        if row is None or not uid:
            return True
        row.uid = row.uid or uid
        return row.uid == uid

    def add_traffic(self, key: Key, bucket: Bucket) -> None:
        """Add the traffic of one model since the last tick."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(self._free_row())
        row.arrivals += bucket.arrivals
        row.ended += bucket.completions
        row.missed += bucket.slow
        row.in_system = bucket.in_flight + bucket.held

    def add_silence(self, key: Key) -> None:
        """Record that the gateways reported no traffic of this model."""
        row = self._rows.get(key)
        if row is not None:
            row.in_system = 0.0

    def forget(self, gone: Iterable[Key]) -> None:
        """Remove models that were deleted."""
        for key in gone:
            self._learned_summaries.pop(key, None)
            self._judged_at.pop(key, None)
            row = self._rows.pop(key, None)
            if row is not None:
                self.policy.clear(row.number)
                self._free.append(row.number)
                if self._metrics is not None:
                    self._metrics.forget(key)

    def known(self) -> list[Key]:
        """Return the models with a row, sorted."""
        return sorted(self._rows)

    def forecast(self, key: Key) -> Forecast | None:
        """Return the newest forecast of a model."""
        row = self._rows.get(key)
        return None if row is None else row.forecast

    def is_due(self, now: float) -> bool:
        """Return whether a bin has passed since the last step; the first bin begins now."""
        if self._stepped_at is None:
            self._stepped_at = now
        return self._passed(now) > 0

    def _passed(self, now: float) -> int:
        begun = now if self._stepped_at is None else self._stepped_at
        return int((now - begun) / BIN_SECONDS + 1e-6)

    def step(
        self, now: float, replicas_now: Mapping[Key, ReplicasNow], *, is_complete: bool
    ) -> None:
        """Close the bins that have passed.

        `replicas_now` has the models with figures; the arrivals of the other models are kept for
        later.
        """
        passed = self._passed(now)
        self._stepped_at = (self._stepped_at or 0.0) + passed * BIN_SECONDS
        for key, counts in replicas_now.items():
            if key in self._rows:
                self._describe(key, self._rows[key], counts)
        bins = min(passed, MAX_BINS_BEHIND)
        for _ in range(bins):
            self._step_bin(bins, is_complete=is_complete)
        for row in self._rows.values():
            row.arrivals = row.ended = row.missed = 0.0

    def _free_row(self) -> int:
        if not self._free:
            old = self.policy.size
            self.policy.grow(2 * old)
            self._free = list(range(2 * old - 1, old - 1, -1))
        return self._free.pop()

    def _describe(self, key: Key, row: _Row, replicas_now: ReplicasNow) -> None:
        row.replicas_now = replicas_now
        if row.service is None:
            self._adopt(key, row, replicas_now.service)
        elif _moved(row.service, replicas_now.service):
            self.policy.set_figures(row.number, replicas_now.service)
        else:
            return
        row.service = replicas_now.service

    def _adopt(self, key: Key, row: _Row, service: ModelFigures) -> None:
        uid, summary = self._learned_summaries.pop(key, ("", None))
        if summary is None or row.uid not in {"", uid}:
            self.policy.adopt(row.number, service, uninformed())
            return
        # An earlier leader learned this from the same model: a better prior than public traces.
        row.needs_prior = False
        self.policy.adopt(row.number, service, summary.coefficients)
        dial = summary.dial(self.policy.dials)
        self.policy.choice.recalled[row.number] = -1 if dial is None else dial

    def _step_bin(self, bins: int, *, is_complete: bool) -> None:
        columns = np.zeros((7, self.policy.size), dtype=np.float32)
        active = [
            (row, row.replicas_now) for row in self._rows.values() if row.replicas_now is not None
        ]
        for row in self._rows.values():
            if row.service is not None:
                # A row from an earlier leader is active before its replicas were counted.
                columns[0, row.number] = row.arrivals / bins
        for row, replicas_now in active:
            columns[:, row.number] = (
                row.arrivals / bins,
                row.in_system,
                replicas_now.ready,
                replicas_now.starting,
                replicas_now.age_seconds,
                row.ended / bins,
                row.missed / bins,
            )
        if not is_complete:
            columns[0] = np.maximum(columns[0], self.policy.newest)
        self._weigh_watched_rows()
        output = self.policy.step(Bin(*columns))
        for row, _ in active:
            up, hold = int(output.up[row.number]), int(output.hold[row.number])
            keep_alive = float(output.keep_alive[row.number])
            row.forecast = Forecast(
                up,
                max(hold, up),
                sentence(self.policy, output, row.number),
                None if np.isnan(keep_alive) else keep_alive,
                bool(output.woken[row.number]),
            )
        if self._metrics is not None:
            for key, row in self._rows.items():
                if row.service is not None:
                    self._metrics.put(key, self.policy, output, row.number, row.replicas_now)

    def due_fits(self) -> list[FitJob]:
        """Return the slow computations that are due: run them in a thread, then call `use_fit`."""
        jobs = []
        for key, row in self._rows.items():
            if row.service is not None and row.needs_prior:
                prior = partial(self._priors.of, row.service)
                jobs.append(FitJob(key, prior, is_prior=True, row=row))
        if jobs:
            return jobs
        due = set(self.policy.due())
        return [
            FitJob(key, self.policy.fit_of(row.number), is_prior=False, row=row)
            for key, row in self._rows.items()
            if row.number in due
        ]

    def use_fit(self, job: FitJob, coefficients: Coefficients) -> None:
        """Use a result of `due_fits`; drop it when the row was removed or replaced meanwhile."""
        row = self._rows.get(job.key)
        if row is None or row is not job.row:
            return
        if job.is_prior:
            row.needs_prior = False
            self.policy.set_prior(row.number, coefficients)
        else:
            self.policy.learn(row.number, coefficients)


def _moved(old: ModelFigures, new: ModelFigures) -> bool:
    pairs = (
        (old.startup_seconds, new.startup_seconds, CHANGED_SHARE),
        (old.service_seconds, new.service_seconds, CHANGED_SERVICE_SHARE),
        (old.slots, new.slots, CHANGED_SHARE),
        (old.wait_seconds, new.wait_seconds, CHANGED_SHARE),
    )
    return old.aim != new.aim or any(abs(a - b) > by * max(a, 1e-6) for a, b, by in pairs)
