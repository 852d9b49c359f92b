"""One model under the scaling pass on a virtual clock, and two gateways that report its traffic."""

from modelfleet.engine.handover import LastTurn
from modelfleet.engine.ledger import Ledger
from modelfleet.engine.scaling.tick import Ticker
from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import ScalingParams
from modelfleet.facts.traffic import AnswerTimes, GatewaySample, ModelSample, VersionSample

KEY = Key("team-a", "digits")
PARAMS = ScalingParams(
    min_replicas=0, max_replicas=10, slots=1, scale_down_seconds=10.0, keep_alive_seconds=20.0
)


class Gateways:
    """Two gateways that share the traffic evenly."""

    def __init__(self) -> None:
        self.samples: list[GatewaySample] = []
        self.alive = {"gw-0": True, "gw-1": True}
        self.parked = 0
        self.remembered = AnswerTimes()

    def connected(self) -> dict[str, bool]:
        return self.alive

    def held(self, key: str) -> int:
        return self.parked

    def answered(self, key: str) -> AnswerTimes:
        return self.remembered

    def take_samples(self) -> list[GatewaySample]:
        taken, self.samples = self.samples, []
        return taken

    def report(self, rate: float, service_seconds: float, bucket: int = 40) -> None:
        """One second of traffic, half of it through each gateway that lives.

        `bucket` of the latency histogram takes all answers; 40 is 102 ms.
        """
        for name, alive in self.alive.items():
            if not alive:
                continue
            arrivals = round(rate / 2)
            version = VersionSample(
                arrivals=arrivals,
                completions={"2xx": arrivals},
                service_seconds=arrivals * service_seconds,
                latency={bucket: arrivals},
                in_flight=round(arrivals * service_seconds),
            )
            models = {str(KEY): ModelSample({"digits-v1": version})} if arrivals else {}
            self.samples.append(GatewaySample(name, 1.0, models))


class Fleet:
    """One model under the ticker; a grant takes effect at once."""

    def __init__(self, granted: int = 1) -> None:
        self.now = 900.0  # The leader has led for a while when the traffic begins.
        self.gateways = Gateways()
        self.ledger = Ledger()
        self.woken: list[Key] = []
        self.ticker = Ticker(self.ledger, self.gateways, self.woken.append, lambda: self.now)
        self.seen(granted)
        self.now = 1000.0

    def seen(self, granted: int) -> None:
        self.ledger.entry(KEY).last_turn = LastTurn(PARAMS, granted, granted, 0, 4.0)

    @property
    def granted(self) -> int:
        grant = self.ledger.entry(KEY).answer.grant
        seen = self.ledger.entry(KEY).last_turn
        assert seen is not None
        return seen.granted if grant is None else grant.replicas

    def run(self, seconds: int, rate: float, service_seconds: float = 0.05) -> int:
        for _ in range(seconds):
            self.now += 1.0
            self.gateways.report(rate, service_seconds)
            self.ticker.tick()
            self.seen(self.granted)
        return self.granted
