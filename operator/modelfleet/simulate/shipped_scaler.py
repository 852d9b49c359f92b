"""The shipped tick in a simulated world: samples in, grants out, nothing of its own.

Built by `bench autoscale` and `simulate`. Gives the operator's `Ticker` the same facts as the
gateways and pods of a cluster would, on a virtual clock. Must never hold a line of policy.
"""

from collections.abc import Sequence

from modelfleet.core.forecasting.constants import BIN_SECONDS, SHIPPED, Tuning
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.engine.handover import LastTurn
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.memory.public_traces import traces
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import ScalingParams
from modelfleet.facts.traffic import (
    LATENCY_BUCKETS,
    AnswerTimes,
    GatewaySample,
    ModelSample,
    VersionSample,
)
from modelfleet.simulate.scaler import Observation
from modelfleet.simulate.simulated_service import SimulatedService

GATEWAY = "gateway"
MAX_REPLICAS = 100_000
SCALE_DOWN_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 300.0


class _SimulatedGateways:
    """What one gateway reports in this world."""

    def __init__(self) -> None:
        self.sample: GatewaySample | None = None

    def connected(self) -> dict[str, bool]:
        return {GATEWAY: True}

    def held(self, key: str) -> int:
        if self.sample is None or key not in self.sample.models:
            return 0
        return self.sample.models[key].held

    def answered(self, key: str) -> AnswerTimes:  # noqa: ARG002 - nothing was before the trace
        return AnswerTimes()

    def take_samples(self) -> list[GatewaySample]:
        taken, self.sample = self.sample, None
        return [] if taken is None else [taken]


class ShippedScaler:
    """A FleetScaler: one row of the fleet for each world."""

    name = "modelfleet"
    interval_seconds = float(BIN_SECONDS)

    def __init__(
        self,
        services: Sequence[SimulatedService],
        aim: float,
        tuning: Tuning = SHIPPED,
        *,
        least_replicas: int = 0,
    ) -> None:
        """`aim` is the share of requests that may wait longer than the service allows."""
        self._now = 0.0
        self._services = services
        self._keys = [Key("simulated", f"m{number:05d}") for number in range(len(services))]
        self._ledger, self._gateways = Ledger(), _SimulatedGateways()
        forecaster = Forecaster(Priors(traces() if tuning.has_prior else (), tuning), tuning)
        self.ticker = Ticker(
            self._ledger, self._gateways, lambda _: None, lambda: self._now, forecaster=forecaster
        )
        self.ticker.begin()
        self._params = [_params(service, aim, least_replicas) for service in services]
        self._granted: list[int | None] = [None] * len(services)
        self._started: list[list[float]] = [[] for _ in services]

    def decide(self, seen: Sequence[Observation]) -> Sequence[int]:
        """Replicas for each world, from what its last bin showed."""
        self._now = max(one.now for one in seen)
        models = {}
        for number, one in enumerate(seen):
            self._look(number, one)
            if one.arrivals or one.completions or one.in_flight or one.queued:
                models[str(self._keys[number])] = _sample(one)
        self._gateways.sample = GatewaySample(GATEWAY, seen[0].seconds, models)
        self.ticker.tick()
        for job in self.ticker.forecaster.due_fits():
            self.ticker.forecaster.use_fit(job, job.run())
        return [self._grant(number, one) for number, one in enumerate(seen)]

    def _look(self, number: int, one: Observation) -> None:
        started = self._started[number]
        del started[: max(0, len(started) - one.starting)]
        if self._granted[number] is None:
            self._granted[number] = max(one.ready + one.starting, self._params[number].min_replicas)
        self._ledger.entry(self._keys[number]).last_turn = LastTurn(
            params=self._params[number],
            granted=self._granted[number] or 0,
            ready=one.ready,
            starting=one.starting,
            startup_seconds=self._services[number].startup_seconds,
            starting_at=tuple(started),
        )

    def _grant(self, number: int, one: Observation) -> int:
        grant = self._ledger.entry(self._keys[number]).answer.grant
        before = self._granted[number] or 0
        wanted = before if grant is None else grant.replicas
        have = one.ready + one.starting
        started = self._started[number]
        started += [self._now] * max(0, wanted - have)
        fewer = min(max(0, have - wanted), len(started))
        del started[len(started) - fewer :]
        self._granted[number] = wanted
        return wanted


def _params(service: SimulatedService, aim: float, least: int) -> ScalingParams:
    return ScalingParams(
        min_replicas=least,
        max_replicas=MAX_REPLICAS,
        slots=service.slots,
        scale_down_seconds=SCALE_DOWN_SECONDS,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        latency_objective_seconds=service.wait_seconds,
        wait_objective_seconds=service.wait_seconds,
        aim=aim,
    )


def _sample(one: Observation) -> ModelSample:
    """Answers that waited too long stand in the slowest bucket of the histogram."""
    version = VersionSample(
        arrivals=one.arrivals,
        completions={"2xx": one.completions},
        service_seconds=one.service_seconds,
        latency={0: one.completions - one.slow, LATENCY_BUCKETS - 1: one.slow},
        in_flight=one.in_flight,
    )
    return ModelSample({"v1": version}, held=one.queued)
