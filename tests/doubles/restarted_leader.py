"""A leader of one model on a virtual clock, that can stop and begin again as another process."""

from functools import cache
from pathlib import Path

import numpy as np

from modelfleet.core.forecasting.constants import BIN_SECONDS, DAY_BINS, HOUR_BINS, SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.prior import Priors
from modelfleet.core.forecasting.quantiles.regression import uninformed
from modelfleet.core.forecasting.rows.backfill import backfill
from modelfleet.core.forecasting.rows.transfer import taken
from modelfleet.engine.handover import LastTurn
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.memory.learned_file import LearnedFile
from modelfleet.engine.scaling.forecaster import Forecaster
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import ScalingParams
from modelfleet.facts.traffic import AnswerTimes, GatewaySample, ModelSample, VersionSample
from modelfleet.kube.store import Store, own_key

KEY = Key("team-a", "digits")
STARTUP_SECONDS = 60.0
PARAMS = ScalingParams(1, 100, 4, 60.0, 300.0, latency_objective_seconds=2.0, aim=0.01)
SERVICE = ModelFigures(STARTUP_SECONDS, 2.0, 4, 1.0, 0.01)
DAY = 20_000 * DAY_BINS
"""A midnight, in bins of the wall clock."""
PERIOD, BURST = 3 * HOUR_BINS, 120


def arrivals(bins: np.ndarray) -> np.ndarray:
    """Ten busy minutes every three hours by the wall clock; the same for everybody who asks."""
    rate = np.where(bins % PERIOD < BURST, 60.0, 6.0) * BIN_SECONDS
    wave = np.sin(bins * 12.9898) * 43_758.5453
    return np.rint(rate * (0.9 + 0.2 * (wave - np.floor(wave)))).astype(np.float32)


@cache
def _past(clock: int) -> Policy:
    """Three days, of which the last hour was replayed too."""
    counts = arrivals(np.arange(clock - 3 * DAY_BINS, clock))
    return backfill(counts, SERVICE, uninformed(), clock, replayed_bins=HOUR_BINS)


class Gateways:
    """One gateway that tells what has come."""

    def __init__(self) -> None:
        self.samples: list[GatewaySample] = []

    def connected(self) -> dict[str, bool]:
        return {"gw-0": True}

    def held(self, key: str) -> int:
        return 0

    def answered(self, key: str) -> AnswerTimes:
        return AnswerTimes()

    def take_samples(self) -> list[GatewaySample]:
        taken_now, self.samples = self.samples, []
        return taken_now


class World:
    """Wall clock, one model, and the leader of the moment."""

    def __init__(self, folder: Path | None, clock: int, granted: int = 2) -> None:
        self.seconds, self.folder = float(clock * BIN_SECONDS), folder
        self.models = Store(key_of=own_key)
        self.put("uid-1")
        self.granted, self.processes = granted, 0
        self.begin()

    def put(self, uid: str) -> None:
        meta = {"namespace": KEY.namespace, "name": KEY.name, "uid": uid, "resourceVersion": "1"}
        self.models.put({"metadata": meta})

    def begin(self) -> None:
        """A new process: it knows nothing, and its monotonic clock is another one."""
        self.begun = self.seconds - 1000.0 * (1 + self.processes)
        self.processes += 1
        self.ledger, self.gateways = Ledger(), Gateways()
        self.forecaster = Forecaster(Priors((), SHIPPED))
        self.ticker = Ticker(
            self.ledger,
            self.gateways,
            lambda _: None,
            monotonic=self.monotonic,
            forecaster=self.forecaster,
        )
        self.may_write = True
        self.memory = LearnedFile(
            self.folder,
            self.ledger,
            self.forecaster,
            models=self.models,
            may_write=lambda: self.may_write,
            clock=lambda: self.seconds,
            monotonic=self.monotonic,
        )
        self.saw()

    def monotonic(self) -> float:
        return self.seconds - self.begun

    def saw(self) -> None:
        """What a turn leaves for the tick."""
        entry = self.ledger.entry(KEY)
        entry.uid = self.models.get(*KEY)["metadata"]["uid"]
        entry.last_turn = LastTurn(PARAMS, self.granted, self.granted, 0, STARTUP_SECONDS)

    def learn_past(self) -> None:
        """Three days before now."""
        self.run(2)
        for job in self.forecaster.due_fits():
            self.forecaster.use_fit(job, job.run())
        assert self.forecaster.use_backfill(KEY, taken(_past(self.clock - 1), [0]))

    @property
    def clock(self) -> int:
        return int(self.seconds // BIN_SECONDS)

    def run(self, bins: int) -> list[int]:
        """Replicas after each bin."""
        found = []
        for _ in range(bins):
            count = int(arrivals(np.array([self.clock]))[0])
            version = VersionSample(
                arrivals=count,
                completions={"2xx": count},
                service_seconds=float(count),
                latency={40: count},
                in_flight=count // BIN_SECONDS,
            )
            sample = {str(KEY): ModelSample({"digits-v1": version})}
            self.gateways.samples.append(GatewaySample("gw-0", float(BIN_SECONDS), sample))
            self.seconds += BIN_SECONDS
            self.ticker.tick()
            grant = self.ledger.entry(KEY).answer.grant
            self.granted = self.granted if grant is None else grant.replicas
            self.saw()
            found.append(self.granted)
        return found
