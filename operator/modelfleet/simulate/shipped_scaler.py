"""Adapter of the operator's tick to a simulated world: samples in, grants out.

`run.run_fleet` drives it. The adapter gives the operator's `Ticker` the same facts as gateways and
pods of a cluster would, on a virtual clock. Must never hold a line of policy.
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
    """Samples of the only gateway of this world."""

    def __init__(self) -> None:
        self.sample: GatewaySample | None = None

    def connected(self) -> dict[str, bool]:
        return {GATEWAY: True}

    def held(self, key: str) -> int:
        if self.sample is None or key not in self.sample.models:
            return 0
        return self.sample.models[key].held

    def answered(self, key: str) -> AnswerTimes:  # noqa: ARG002 - no answers before the trace
        return AnswerTimes()

    def take_samples(self) -> list[GatewaySample]:
        sample, self.sample = self.sample, None
        return [] if sample is None else [sample]


class ShippedScaler:
    """Fleet scaler of modelfleet: one model of the operator for each world."""

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
        """Set up a tick; `aim` is the share of requests that may wait longer than W.

        Each model keeps at least `least_replicas` replicas.
        """
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
        """Return the replicas for each world, from its last bin."""
        self._now = max(observation.now for observation in seen)
        models = {}
        for number, observation in enumerate(seen):
            self._look(number, observation)
            if (
                observation.arrivals
                or observation.completions
                or observation.in_flight
                or observation.queued
            ):
                models[str(self._keys[number])] = _sample(observation)
        self._gateways.sample = GatewaySample(GATEWAY, seen[0].seconds, models)
        self.ticker.tick()
        for job in self.ticker.forecaster.due_fits():
            self.ticker.forecaster.use_fit(job, job.run())
        return [self._grant(number, observation) for number, observation in enumerate(seen)]

    def _look(self, number: int, observation: Observation) -> None:
        started = self._started[number]
        del started[: max(0, len(started) - observation.starting)]
        if self._granted[number] is None:
            self._granted[number] = max(
                observation.ready + observation.starting, self._params[number].min_replicas
            )
        self._ledger.entry(self._keys[number]).last_turn = LastTurn(
            params=self._params[number],
            granted=self._granted[number] or 0,
            ready=observation.ready,
            starting=observation.starting,
            startup_seconds=self._services[number].startup_seconds,
            starting_at=tuple(started),
        )

    def _grant(self, number: int, observation: Observation) -> int:
        grant = self._ledger.entry(self._keys[number]).answer.grant
        before = self._granted[number] or 0
        wanted = before if grant is None else grant.replicas
        have = observation.ready + observation.starting
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


def _sample(observation: Observation) -> ModelSample:
    """Return a gateway's sample; answers with too long a wait are in the slowest bucket."""
    version = VersionSample(
        arrivals=observation.arrivals,
        completions={"2xx": observation.completions},
        service_seconds=observation.service_seconds,
        latency={
            0: observation.completions - observation.slow,
            LATENCY_BUCKETS - 1: observation.slow,
        },
        in_flight=observation.in_flight,
    )
    return ModelSample({"v1": version}, held=observation.queued)
