"""The tick, one pass for all models: samples -> asks -> allocate -> grants -> wakes.

The leader makes one tick every second, and one for a single model at once when a gateway holds a
request for it. A changed grant wakes the turn of its model. Must never write to the cluster, and
never lower a number of replicas on missing data.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from modelfleet.core.fleet.allocate import allocate
from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.core.scaling import overload
from modelfleet.core.scaling.demand import ask, demands
from modelfleet.core.scaling.learned_concurrency import (
    Evidence,
    learned_slots,
    lone_latency_seconds,
)
from modelfleet.engine.handover import LastTurn
from modelfleet.engine.ledger import Entry, Ledger
from modelfleet.engine.ports import Readings, Samples
from modelfleet.engine.scaling import rollout_evidence, takeover
from modelfleet.engine.scaling.decision_metrics import ReplicasNow
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.engine.scaling.samples import bucket_of
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Ask, Bucket, ScalingParams, Window
from modelfleet.facts.traffic import (
    GatewaySample,
    ModelSample,
)
from modelfleet.telemetry import metrics

SILENT_SECONDS = 4.0
FIRST_REPORT_SECONDS = 60.0
"""A new leader waits so long for the first reports before it calls the gateways silent."""
PUBLISHED_SHARE = 0.25
"""A latency that was published is published again when it changed by this share."""


class Ticker:
    """The scaling pass."""

    def __init__(
        self,
        ledger: Ledger,
        gateways: Samples,
        wake: Callable[[Key], None],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        forecaster: Forecaster | None = None,
        readings: Readings | None = None,
    ) -> None:
        """`wake` asks for a turn of a model whose grant or whose signals' state has changed."""
        self.forecaster = forecaster or Forecaster(Priors((), SHIPPED))
        self.budget: int | None = None
        """Replicas of the whole fleet; None for no bound."""
        self._ledger = ledger
        self._gateways = gateways
        self._wake = wake
        self._readings = readings
        self._monotonic = monotonic
        self._reported_at: dict[str, float] = {}
        self._flight: dict[str, dict[str, int]] = {}
        self._complete_since: float | None = None
        self._incomplete_since: float | None = monotonic()
        self._begun_at = monotonic()
        self._awaits_first_reports = True

    def silent_seconds(self) -> float | None:
        """Return for how long not every gateway has reported; 0 while all do.

        None for a new leader to which not all gateways have reported yet: the value is unknown.
        """
        if self._incomplete_since is None:
            return 0.0
        seconds = self._monotonic() - self._incomplete_since
        return None if self._awaits_first_reports and seconds < FIRST_REPORT_SECONDS else seconds

    def begin(self) -> None:
        """Begin to lead: drop the samples from before this moment."""
        self._gateways.take_samples()
        self._reported_at.clear()
        self._flight.clear()
        self._complete_since = None
        self._incomplete_since = self._begun_at = self._monotonic()
        self._awaits_first_reports = True

    def tick(self) -> None:
        """Read the samples, decide for all models with traffic, wake the models that change."""
        now = self._monotonic()
        active = self._sum_samples(self._gateways.take_samples(), now)
        self._judge_completeness(now)
        stepped = self._forecast(active, now)
        asks: dict[Key, Ask] = {}
        for key, entry in self._ledger.items():
            if key in active or (entry.answer.overload or 0.0) > overload.NONE:
                self._judge_overload(key, entry, now)
            if entry.last_turn is None or not (
                key in active
                or key in stepped
                or entry.last_turn.params.signals
                or _is_moving(entry, entry.last_turn)
            ):
                continue
            asks[key] = self._ask(key, entry, entry.last_turn, now)
        self._grant(asks)

    def _forecast(self, active: set[Key], now: float) -> set[Key]:
        """Let the policy close its bins; return the models with a new forecast."""
        forecaster, replicas_now = self.forecaster, {}
        if not forecaster.is_due(now):
            return set()
        gone = []
        for key in forecaster.known():
            entry = self._ledger.known(key)
            if entry is None or not forecaster.is_of(key, entry.uid):
                gone.append(key)
                continue
            if key not in active:
                forecaster.add_silence(key)
            # A forecast never drops a figure that it has used, so it gets only certain ones.
            is_unsure = self._is_taking_over(entry, now) and not entry.scaling.answered.answers
            service_seconds = (
                entry.scaling.service_time if is_unsure else entry.scaling.learned()
            ).service_seconds
            if entry.last_turn is not None and service_seconds is not None:
                replicas_now[key] = _replicas_now(entry, entry.last_turn, service_seconds, now)
        forecaster.forget(gone)
        is_complete = self._complete_since is not None
        forecaster.step(now, replicas_now, is_complete=is_complete)
        return set(replicas_now)

    def tick_one(self, key: Key) -> None:
        """Decide at once for one model: a gateway holds a request for it."""
        now = self._monotonic()
        entry = self._ledger.known(key)
        if entry is None or entry.last_turn is None:
            return
        held = self._gateways.held(str(key)) or 1
        entry.scaling.buckets.append(Bucket(now, 0.01, 0, 0, 0.0, 0, held))
        self._grant({key: self._ask(key, entry, entry.last_turn, now)})

    def _grant(self, asks: Mapping[Key, Ask]) -> None:
        """Allocate, and wake the models whose grant changed.

        Under a budget the table holds all models that ever asked, each with its last ask: what one
        model gets more, another may have to give. Without one no grant depends on another.
        """
        table, granted = self._table(asks)
        for key, grant in allocate(table, self.budget, granted).items():
            answer = self._ledger.entry(key).answer
            if key not in asks and answer.grant == grant:
                continue
            answer.ask, answer.grant = table[key], grant
            if grant.replicas != granted[key]:
                self._wake(key)

    def _table(self, asks: Mapping[Key, Ask]) -> tuple[dict[Key, Ask], dict[Key, int]]:
        """Return the asks to allocate together, and the replicas that their models have now."""
        table, granted = dict(asks), {}
        for key in asks if self.budget is None else [key for key, _ in self._ledger.items()]:
            entry = self._ledger.entry(key)
            last_ask = asks.get(key, entry.answer.ask)
            if entry.last_turn is not None and last_ask is not None:
                table[key], granted[key] = last_ask, granted_now(entry, entry.last_turn)
        return table, granted

    def _sum_samples(self, samples: list[GatewaySample], now: float) -> set[Key]:
        """Sum the gateways' samples into one bucket for each model."""
        sums: dict[Key, list[tuple[str, float, ModelSample]]] = defaultdict(list)
        for sample in samples:
            self._reported_at[sample.gateway] = now
            self._flight[sample.gateway] = {}
            for name, traffic in sample.models.items():
                key = Key.parse(name)
                sums[key].append((sample.gateway, sample.seconds, traffic))
                flight = sum(v.in_flight for v in traffic.versions.values())
                self._flight[sample.gateway][name] = flight
        for key, parts in list(sums.items()):
            entry = self._ledger.known(key)
            if entry is None:
                # The last requests of a deleted model: a new entry would stay for ever.
                del sums[key]
                continue
            bucket = bucket_of(parts, now, entry.last_turn)
            entry.scaling.buckets.append(bucket)
            if entry.last_turn is not None:
                self._learn(key, entry, entry.last_turn, bucket)
                _collect(entry, entry.last_turn, [traffic for _, _, traffic in parts])
            # More replicas do not shorten a latency that a lone request has, too: not counted.
            mends = entry.answer.lone_latency_seconds is None and not self._is_taking_over(
                entry, now
            )
            slow = bucket.slow if mends else 0
            # A refusal also ends a request, and it breaks the objective.
            ended = bucket.completions + bucket.refused
            bucket_with_refusals = replace(bucket, completions=ended, slow=slow + bucket.refused)
            self.forecaster.add_traffic(key, bucket_with_refusals)
        return set(sums)

    def _is_taking_over(self, entry: Entry, now: float) -> bool:
        return takeover.is_under_way(entry, now - self._begun_at)

    def _learn(self, key: Key, entry: Entry, last_turn: LastTurn, bucket: Bucket) -> None:
        """Learn the service time of a request, and how many requests a replica works on at once.

        Latencies during this leader's start teach neither service time nor concurrency.
        """
        slots = last_turn.ready * _params(entry, last_turn).slots
        if self._is_taking_over(entry, bucket.at):
            entry.scaling.first_service_time = entry.scaling.first_service_time.after(bucket, slots)
            if entry.scaling.answered.answers <= 0:
                # Read once: what the gateways report later contains these slow answers.
                entry.scaling.answered = self._gateways.answered(str(key))
            entry.scaling.is_as_before = takeover.is_over(entry, slots, bucket.at)
            return
        entry.scaling.service_time = entry.scaling.learned().after(bucket, slots)
        if last_turn.params.learns_slots:
            self._learn_slots(key, entry, last_turn, bucket)

    def _learn_slots(self, key: Key, entry: Entry, last_turn: LastTurn, bucket: Bucket) -> None:
        """Learn how many requests at once a replica answers within the objective."""
        self._drop_other_evidence(key, entry, last_turn)
        params = last_turn.params
        before = entry.scaling.evidence
        entry.scaling.evidence = before.after(bucket, last_turn.ready, params.aim)
        if entry.scaling.evidence.levels is before.levels:
            return
        entry.scaling.slots = learned_slots(
            entry.scaling.evidence, params.slots, params.aim, bucket.at, is_fixed=params.is_hint
        )
        lone_latency = lone_latency_seconds(entry.scaling.evidence, params.aim, bucket.at)
        if _is_other(entry.answer.lone_latency_seconds, lone_latency):
            entry.answer.lone_latency_seconds = lone_latency
            self._wake(key)

    def _drop_other_evidence(self, key: Key, entry: Entry, last_turn: LastTurn) -> None:
        """Drop evidence that was measured for another objective or for another version."""
        measured_for = (last_turn.stable, last_turn.params.latency_objective_seconds)
        before, entry.scaling.evidence_of = entry.scaling.evidence_of, measured_for
        if before in {None, measured_for}:
            return
        entry.scaling.evidence, entry.scaling.slots = Evidence(), None
        if entry.answer.lone_latency_seconds is not None:
            entry.answer.lone_latency_seconds = None
            self._wake(key)

    def _judge_overload(self, key: Key, entry: Entry, now: float) -> None:
        published = entry.answer.overload
        last_factor = overload.NONE if published is None else published
        factor = overload.overload_factor(entry.scaling.buckets, now, last_factor)
        watched = 0.0 if self._complete_since is None else now - self._complete_since
        if factor == overload.NONE and published is None and watched < overload.CALM_SECONDS:
            return
        entry.answer.overload = factor
        metrics.OVERLOAD.labels(key.namespace, key.name).set(factor)
        if factor != published:
            self._wake(key)

    def _judge_completeness(self, now: float) -> None:
        connected = self._gateways.connected()
        is_silent = not connected or any(
            not is_alive or now - self._reported_at.get(name, float("-inf")) > SILENT_SECONDS
            for name, is_alive in connected.items()
        )
        if is_silent:
            self._complete_since = None
            if self._incomplete_since is None:
                self._incomplete_since = now
            return
        self._incomplete_since, self._awaits_first_reports = None, False
        if self._complete_since is None:
            self._complete_since = now

    def _ask(self, key: Key, entry: Entry, last_turn: LastTurn, now: float) -> Ask:
        readings = self._read_signals(key, entry, last_turn, now)
        whole_since = self._complete_since
        if readings and whole_since is not None:
            whole_since = max(
                whole_since, now if entry.scaling.whole_since is None else entry.scaling.whole_since
            )
        observed = 0.0 if whole_since is None else now - whole_since
        window = Window(
            buckets=tuple(entry.scaling.buckets),
            now=now,
            observed_seconds=observed,
            ready=last_turn.ready,
            starting=last_turn.starting,
            startup_seconds=last_turn.startup_seconds,
            service_seconds=entry.scaling.learned().service_seconds,
            is_complete=self._complete_since is not None,
            forecast=self.forecaster.forecast(key),
            readings=readings,
            is_taking_over=self._is_taking_over(entry, now),
            remembered_seconds=entry.scaling.answered.service_seconds,
        )
        params = _params(entry, last_turn)
        signal_demands = demands(window, params)
        entry.scaling.needs.append((now, signal_demands[0].replicas if signal_demands else 0.0))
        return ask(
            window, params, granted_now(entry, last_turn), signal_demands, entry.scaling.needs
        )

    def _read_signals(
        self, key: Key, entry: Entry, last_turn: LastTurn, now: float
    ) -> tuple[Reading, ...]:
        """Return the readings of the model's signals; wake its turn when their state changed."""
        signals = last_turn.params.signals
        readings = self._readings.readings(key, signals) if signals and self._readings else ()
        if not all(reading.is_current for reading in readings):
            entry.scaling.whole_since = None
        elif entry.scaling.whole_since is None:
            entry.scaling.whole_since = now
        before, entry.answer.readings = entry.answer.readings, readings
        if [(r.spec, r.fault, r.is_known) for r in before] != [
            (r.spec, r.fault, r.is_known) for r in readings
        ]:
            self._wake(key)
        return readings


def _params(entry: Entry, last_turn: LastTurn) -> ScalingParams:
    """Return the parameters with the learned slots; a hint in the spec is an upper bound.

    A new hint applies at once.
    """
    if entry.scaling.slots is None or not last_turn.params.learns_slots:
        return last_turn.params
    most = last_turn.params.slots if last_turn.params.is_hint else entry.scaling.slots
    return replace(last_turn.params, slots=min(entry.scaling.slots, most))


def _is_other(published: float | None, measured: float | None) -> bool:
    if published is None or measured is None:
        return published is not measured
    return abs(measured - published) > PUBLISHED_SHARE * published


def _replicas_now(
    entry: Entry, last_turn: LastTurn, service_seconds: float, now: float
) -> ReplicasNow:
    params = _params(entry, last_turn)
    service = ModelFigures(
        startup_seconds=last_turn.startup_seconds,
        wait_seconds=params.wait_seconds(service_seconds),
        slots=params.slots,
        service_seconds=service_seconds,
        aim=params.aim,
    )
    ages = sum(min(now - at, last_turn.startup_seconds) for at in last_turn.starting_at)
    bounds = (params.min_replicas, params.max_replicas)
    return ReplicasNow(
        service, last_turn.ready, last_turn.starting, ages, granted_now(entry, last_turn), bounds
    )


def granted_now(entry: Entry, last_turn: LastTurn) -> int:
    """Return the replicas granted now; without `follows`, those of the last recommendation."""
    if last_turn.follows or entry.answer.grant is None:
        return last_turn.granted
    return entry.answer.grant.replicas


def _is_moving(entry: Entry, last_turn: LastTurn) -> bool:
    """Return whether a model needs a look without new traffic.

    It does while it has more replicas than its minimum, or other replicas than its grant.
    """
    return last_turn.granted > last_turn.params.min_replicas or last_turn.granted != (
        entry.answer.grant.replicas if entry.answer.grant else last_turn.granted
    )


def _collect(entry: Entry, last_turn: LastTurn, samples: list[ModelSample]) -> None:
    """Keep the requests of each version apart while a rollout goes on."""
    if not last_turn.candidate and not entry.answer.evidence:
        return
    entry.answer.evidence, entry.scaling.rollout_of = rollout_evidence.after(
        entry.answer.evidence, entry.scaling.rollout_of, last_turn, samples
    )
