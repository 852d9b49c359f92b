"""Bounds the requests under way, so that an overload is refused at once instead of waited out.

Run by `agent`'s sampler once a second. Envoy enforces the numbers as circuit breakers of the
replicas' clusters and refuses what is above them; no request passes through Python for it. A
runtime key changes a bound without a new cluster. Must never bound a version that nobody serves:
its requests wait at the holder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from modelfleet.facts.identity import Key
from modelfleet.facts.route import Route
from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from modelfleet.gateway import envoy_names
from modelfleet.gateway.bounds.throughput import MOST, Replicas, Second, Throughput, Waits

UNKNOWN_THROUGHPUT = 1000
"""Requests under way per replica while nothing tells how fast it answers."""
CHANGED = 0.05
"""A bound is sent again when it moved by this share."""
ACCEPTED_SECONDS = 5.0
"""For so long the bound has room for requests that were accepted elsewhere and come again: parked
at the holder, or at a replica that has left."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One version as this gateway serves it: replicas in effect, and those that start."""

    route: Route
    replicas: int
    starting: int = 0
    gateways: int = 1

    @property
    def waits(self) -> Waits:
        """What the route allows."""
        return Waits(float(self.route.burst_seconds), float(self.route.overload_seconds))


@dataclass(slots=True)
class _Peak:
    """The highest value of the last `ACCEPTED_SECONDS`, or a little longer."""

    value: int = 0
    at: float = float("-inf")

    def after(self, value: int, now: float) -> int:
        if value >= self.value or now - self.at > ACCEPTED_SECONDS:
            self.value, self.at = value, now
        return self.value


@dataclass(slots=True)
class _AnswerRate:
    throughput: Throughput = field(default_factory=Throughput)
    parked: _Peak = field(default_factory=_Peak)
    replicas: _Peak = field(default_factory=_Peak)
    sent: int | None = None


Place = tuple[str, str]
"""Model (`namespace/name`) and version."""


class RequestLimits:
    """The bounds of all versions at one gateway."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._known: dict[Place, _AnswerRate] = {}
        self._stale: set[str] = set()

    def forget(self, model: str, versions: frozenset[str] = frozenset()) -> None:
        """Drop a model's versions other than `versions`."""
        for place in [p for p in self._known if p[0] == model and p[1] not in versions]:
            if self._known.pop(place).sent is not None:
                self._stale.add(_key(place))

    def restart(self) -> None:
        """Envoy may have begun anew: whatever it was sent before is sent again."""
        for known in self._known.values():
            known.sent = None

    def capacity(self, model: str) -> tuple[float, bool] | None:
        """What a model's replicas answer a second through this gateway, and whether requests wait.

        None while that was not seen.
        """
        versions = [known for place, known in self._known.items() if place[0] == model]
        rates = [
            one.throughput.rate * one.replicas.value
            for one in versions
            if one.throughput.rate is not None
        ]
        return (sum(rates), any(one.throughput.is_queued for one in versions)) if rates else None

    def after(
        self, sample: GatewaySample, serving: Callable[[str, str], Serving | None]
    ) -> dict[str, int | None]:
        """One more second: runtime keys whose value changes; None takes a key away.

        `serving(model, version)` tells how a version is served, None when it is not.
        """
        now = self._clock()
        changes: dict[str, int | None] = dict.fromkeys(sorted(self._stale))
        self._stale.clear()
        seen = {
            (key, version) for key, found in sample.models.items() for version in found.versions
        }
        for place in sorted(seen | self._known.keys()):
            one = serving(*place)
            if one is None:
                continue
            model = sample.models.get(place[0])
            known = self._known.setdefault(place, _AnswerRate())
            known.throughput.after(_second(sample, model, place[1], one), one.waits, now)
            number = self._number(known, one, 0 if model is None else model.held, now)
            if _is_other(known.sent, number):
                known.sent = number
                changes[_key(place)] = number
        return changes

    @staticmethod
    def _number(known: _AnswerRate, one: Serving, held: int, now: float) -> int:
        parked = known.parked.after(held, now)
        replicas = known.replicas.after(one.replicas, now)
        if one.replicas == 0:
            return MOST
        found = known.throughput.most(
            one.waits,
            now,
            Replicas(replicas, one.starting, one.route.concurrency, one.gateways),
        )
        if found is None:
            found = max(UNKNOWN_THROUGHPUT * replicas, known.throughput.sure(one.waits, replicas))
        return min(MOST, found + parked)


def _second(sample: GatewaySample, model: ModelSample | None, version: str, one: Serving) -> Second:
    seen = (model.versions.get(version) if model is not None else None) or VersionSample()
    return Second(
        seconds=sample.seconds,
        answers=sum(seen.latency.values()),
        service_seconds=seen.service_seconds,
        in_flight=seen.in_flight,
        replicas=one.replicas,
    )


def _is_other(sent: int | None, number: int) -> bool:
    return sent is None or abs(number - sent) > CHANGED * sent


def _key(place: Place) -> str:
    namespace = Key.parse(place[0]).namespace
    return f"circuit_breakers.{envoy_names.pods_cluster(namespace, place[1])}.default.max_requests"
