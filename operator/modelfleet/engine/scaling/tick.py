"""One pass for the fleet: samples -> asks -> allocate -> grants -> wake what changed.

Run by `main` every second, and for one model at once when a request is held. Must never write to
the cluster, and never lower a number on missing data.
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
from modelfleet.engine.scaling import takeover
from modelfleet.engine.scaling.decision_metrics import ReplicasNow
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.facts.identity import Key
from modelfleet.facts.readings import Reading
from modelfleet.facts.scaling import Ask, Bucket, ScalingParams, Window
from modelfleet.facts.traffic import (
    LATENCY_BASE_MILLISECONDS,
    LATENCY_GROWTH,
    GatewaySample,
    ModelSample,
)
from modelfleet.telemetry import metrics

SILENT_SECONDS = 4.0
FIRST_REPORT_SECONDS = 60.0
"""So long a new leader waits for the first reports before it calls the gateways silent."""
TOLD = 0.25
"""A latency that is told is told again when it moved by this share."""


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
        """`wake` asks for a turn of a model whose grant or whose signals' state changed."""
        self.forecaster = forecaster or Forecaster(Priors((), SHIPPED))
        self._ledger = ledger
        self._gateways = gateways
        self._wake = wake
        self._readings = readings
        self._monotonic = monotonic
        self._heard: dict[str, float] = {}
        self._flight: dict[str, dict[str, int]] = {}
        self._complete_since: float | None = None
        self._incomplete_since: float | None = monotonic()
        self._begun_at = monotonic()
        self._is_deaf = True

    def silent_seconds(self) -> float | None:
        """How long not every gateway has reported; 0 while all do.

        None for a leader that has not heard them all yet: what it does not know it does not claim.
        """
        if self._incomplete_since is None:
            return 0.0
        seconds = self._monotonic() - self._incomplete_since
        return None if self._is_deaf and seconds < FIRST_REPORT_SECONDS else seconds

    def begin(self) -> None:
        """Leading begins: what came before is not of this moment."""
        self._gateways.take_samples()
        self._incomplete_since = self._begun_at = self._monotonic()
        self._is_deaf = True

    def tick(self) -> None:
        """Take the samples, decide for all models with traffic, wake those that change."""
        now = self._monotonic()
        active = self._take(self._gateways.take_samples(), now)
        self._judge_completeness(now)
        stepped = self._forecast(active, now)
        asks: dict[Key, Ask] = {}
        held: dict[Key, int] = {}
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
            held[key] = _held(entry, entry.last_turn)
            asks[key] = self._ask(key, entry, entry.last_turn, now)
        self._grant(asks, held)

    def _forecast(self, active: set[Key], now: float) -> set[Key]:
        """Let the policy close its bins; returns the models with a new forecast."""
        forecaster, pools = self.forecaster, {}
        if not forecaster.is_due(now):
            return set()
        gone = []
        for key in forecaster.known():
            entry = self._ledger.known(key)
            if entry is None or not forecaster.is_of(key, entry.uid):
                gone.append(key)
                continue
            if key not in active:
                forecaster.quiet(key)
            # A forecast keeps what it has seen: nothing but what is sure goes into it.
            is_unsure = self._is_taking_over(entry, now) and not entry.scaling.answered.answers
            service_seconds = (
                entry.scaling.work if is_unsure else entry.scaling.learned()
            ).service_seconds
            if entry.last_turn is not None and service_seconds is not None:
                pools[key] = _pool(entry, entry.last_turn, service_seconds, now)
        forecaster.forget(gone)
        is_complete = self._complete_since is not None
        forecaster.step(now, pools, is_complete=is_complete)
        return set(pools)

    def tick_one(self, key: Key) -> None:
        """At once for one model: a request of it is held."""
        now = self._monotonic()
        entry = self._ledger.known(key)
        if entry is None or entry.last_turn is None:
            return
        held = self._gateways.held(str(key)) or 1
        entry.scaling.buckets.append(Bucket(now, 0.01, 0, 0, 0.0, 0, held))
        held_grant = _held(entry, entry.last_turn)
        self._grant({key: self._ask(key, entry, entry.last_turn, now)}, {key: held_grant})

    def _grant(self, asks: dict[Key, Ask], held: dict[Key, int]) -> None:
        for key, grant in allocate(asks, None, held).items():
            entry = self._ledger.entry(key)
            entry.answer.ask, entry.answer.grant = asks[key], grant
            if grant.replicas != held[key]:
                self._wake(key)

    def _take(self, samples: list[GatewaySample], now: float) -> set[Key]:
        """Sum the gateways' samples into one bucket for each model."""
        sums: dict[Key, list[tuple[str, float, ModelSample]]] = defaultdict(list)
        for sample in samples:
            self._heard[sample.gateway] = now
            self._flight[sample.gateway] = {}
            for name, traffic in sample.models.items():
                key = Key.parse(name)
                sums[key].append((sample.gateway, sample.seconds, traffic))
                flight = sum(v.in_flight for v in traffic.versions.values())
                self._flight[sample.gateway][name] = flight
        for key, parts in sums.items():
            entry = self._ledger.entry(key)
            bucket = _bucket(parts, now, entry.last_turn)
            entry.scaling.buckets.append(bucket)
            if entry.last_turn is not None:
                self._learn(key, entry, entry.last_turn, bucket)
            # Latency that no size can mend is no reason to insure more.
            mends = entry.answer.lone_latency_seconds is None and not self._is_taking_over(
                entry, now
            )
            slow = bucket.slow if mends else 0
            # A refusal ends a request, too, and breaks the promise that was made for it.
            ended = bucket.completions + bucket.refused
            lived = replace(bucket, completions=ended, slow=slow + bucket.refused)
            self.forecaster.take(key, lived)
        return set(sums)

    def _is_taking_over(self, entry: Entry, now: float) -> bool:
        return takeover.is_under_way(entry, now - self._begun_at)

    def _learn(self, key: Key, entry: Entry, seen: LastTurn, bucket: Bucket) -> None:
        """What a request costs a replica, and how many it can work on at once.

        What is slow with this leader's own start is no news of either.
        """
        slots = seen.ready * _params(entry, seen).slots
        if self._is_taking_over(entry, bucket.at):
            entry.scaling.first_work = entry.scaling.first_work.after(bucket, slots)
            if entry.scaling.answered.answers <= 0:
                # Told once: what gateways remember later has these slow answers in it.
                entry.scaling.answered = self._gateways.answered(str(key))
            entry.scaling.is_as_before = takeover.is_over(entry, slots, bucket.at)
            return
        entry.scaling.work = entry.scaling.learned().after(bucket, slots)
        if seen.params.learns_slots:
            self._learn_slots(key, entry, seen, bucket)

    def _learn_slots(self, key: Key, entry: Entry, seen: LastTurn, bucket: Bucket) -> None:
        """How many requests at once a replica answers within the objective."""
        self._judge_anew(key, entry, seen)
        params = seen.params
        before = entry.scaling.evidence
        entry.scaling.evidence = before.after(bucket, seen.ready, params.aim)
        if entry.scaling.evidence.levels is before.levels:
            return
        entry.scaling.slots = learned_slots(
            entry.scaling.evidence, params.slots, params.aim, bucket.at, is_fixed=params.is_hint
        )
        floor = lone_latency_seconds(entry.scaling.evidence, params.aim, bucket.at)
        if _is_other(entry.answer.lone_latency_seconds, floor):
            entry.answer.lone_latency_seconds = floor
            self._wake(key)

    def _judge_anew(self, key: Key, entry: Entry, seen: LastTurn) -> None:
        """What was slow for another objective, or of another version, says nothing any more."""
        of = (seen.stable, seen.params.latency_objective_seconds)
        before, entry.scaling.evidence_of = entry.scaling.evidence_of, of
        if before in {None, of}:
            return
        entry.scaling.evidence, entry.scaling.slots = Evidence(), None
        if entry.answer.lone_latency_seconds is not None:
            entry.answer.lone_latency_seconds = None
            self._wake(key)

    def _judge_overload(self, key: Key, entry: Entry, now: float) -> None:
        before = entry.answer.overload
        known = overload.NONE if before is None else before
        found = overload.overload_factor(entry.scaling.buckets, now, known)
        watched = 0.0 if self._complete_since is None else now - self._complete_since
        if found == overload.NONE and before is None and watched < overload.CALM_SECONDS:
            return
        entry.answer.overload = found
        metrics.OVERLOAD.labels(key.namespace, key.name).set(found)
        if found != before:
            self._wake(key)

    def _judge_completeness(self, now: float) -> None:
        connected = self._gateways.connected()
        silent = not connected or any(
            not alive or now - self._heard.get(name, float("-inf")) > SILENT_SECONDS
            for name, alive in connected.items()
        )
        if silent:
            self._complete_since = None
            if self._incomplete_since is None:
                self._incomplete_since = now
            return
        self._incomplete_since, self._is_deaf = None, False
        if self._complete_since is None:
            self._complete_since = now

    def _ask(self, key: Key, entry: Entry, seen: LastTurn, now: float) -> Ask:
        readings = self._read(key, entry, seen, now)
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
            ready=seen.ready,
            starting=seen.starting,
            startup_seconds=seen.startup_seconds,
            service_seconds=entry.scaling.learned().service_seconds,
            is_complete=self._complete_since is not None,
            forecast=self.forecaster.forecast(key),
            readings=readings,
            is_taking_over=self._is_taking_over(entry, now),
            remembered_seconds=entry.scaling.answered.service_seconds,
        )
        params = _params(entry, seen)
        found = demands(window, params)
        entry.scaling.needs.append((now, found[0].replicas if found else 0.0))
        return ask(window, params, _held(entry, seen), found, entry.scaling.needs)

    def _read(self, key: Key, entry: Entry, seen: LastTurn, now: float) -> tuple[Reading, ...]:
        """What is known of the model's signals; a turn says it when it is another than before."""
        signals = seen.params.signals
        found = self._readings.readings(key, signals) if signals and self._readings else ()
        if not all(reading.is_current for reading in found):
            entry.scaling.whole_since = None
        elif entry.scaling.whole_since is None:
            entry.scaling.whole_since = now
        before, entry.answer.readings = entry.answer.readings, found
        if [(r.spec, r.fault, r.is_known) for r in before] != [
            (r.spec, r.fault, r.is_known) for r in found
        ]:
            self._wake(key)
        return found


def _params(entry: Entry, seen: LastTurn) -> ScalingParams:
    """With the slots that were learned; a hint of the user is an upper bound, also a new one."""
    if entry.scaling.slots is None or not seen.params.learns_slots:
        return seen.params
    most = seen.params.slots if seen.params.is_hint else entry.scaling.slots
    return replace(seen.params, slots=min(entry.scaling.slots, most))


def _is_other(told: float | None, found: float | None) -> bool:
    if told is None or found is None:
        return told is not found
    return abs(found - told) > TOLD * told


def _pool(entry: Entry, seen: LastTurn, service_seconds: float, now: float) -> ReplicasNow:
    params = _params(entry, seen)
    service = ModelFigures(
        startup_seconds=seen.startup_seconds,
        wait_seconds=params.wait_seconds(service_seconds),
        slots=params.slots,
        service_seconds=service_seconds,
        aim=params.aim,
    )
    ages = sum(min(now - at, seen.startup_seconds) for at in seen.starting_at)
    bounds = (params.min_replicas, params.max_replicas)
    return ReplicasNow(service, seen.ready, seen.starting, ages, _held(entry, seen), bounds)


def _held(entry: Entry, seen: LastTurn) -> int:
    """Replicas granted now; where nobody follows us, those of our last recommendation."""
    if seen.follows or entry.answer.grant is None:
        return seen.granted
    return entry.answer.grant.replicas


def _is_moving(entry: Entry, seen: LastTurn) -> bool:
    """Above its floor, or with traffic a short while ago: it has to be looked at."""
    return seen.granted > seen.params.min_replicas or seen.granted != (
        entry.answer.grant.replicas if entry.answer.grant else seen.granted
    )


def _bucket(
    parts: list[tuple[str, float, ModelSample]], now: float, seen: LastTurn | None
) -> Bucket:
    """One bucket from all gateways' samples since the last tick.

    Several samples of one gateway follow each other, so its length is their sum; gateways run
    side by side, so the bucket's length is the longest of them.
    """
    seconds: dict[str, float] = defaultdict(float)
    flight: dict[str, int] = {}
    held: dict[str, int] = {}
    arrivals = completions = slow = refused = 0
    service = 0.0
    limit = seen.params.latency_objective_seconds if seen else None
    for gateway, length, traffic in parts:
        seconds[gateway] += length
        flight[gateway] = sum(v.in_flight for v in traffic.versions.values())
        held[gateway] = traffic.held
        for version in traffic.versions.values():
            arrivals += version.arrivals
            done = sum(version.latency.values())
            completions += done
            service += version.service_seconds
            slow += _slower(version.latency, limit)
            refused += version.refused
    return Bucket(
        at=now,
        seconds=max(seconds.values()),
        arrivals=arrivals,
        completions=completions,
        service_seconds=service,
        in_flight=sum(flight.values()),
        held=sum(held.values()),
        slow=slow,
        refused=refused,
    )


def _slower(latency: Mapping[int, int], limit: float | None) -> int:
    """Answers in buckets that lie wholly above `limit` seconds."""
    if limit is None:
        return 0
    return sum(
        count
        for index, count in latency.items()
        if LATENCY_BASE_MILLISECONDS * LATENCY_GROWTH ** (index - 1) >= limit * 1000
    )
