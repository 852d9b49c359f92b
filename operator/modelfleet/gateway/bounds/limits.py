"""Limits on the requests under way, so that an overload is refused at once instead of waited out.

The sampler of `agent` updates them once a second. Envoy enforces the numbers as circuit breakers of
the replicas' clusters and refuses requests above them. No request passes through Python for it. A
runtime key changes a bound without a new cluster. Must never bound a version without replicas: its
requests wait at the holder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from modelfleet.facts.identity import Key
from modelfleet.facts.route import Route
from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from modelfleet.gateway import envoy_names
from modelfleet.gateway.bounds.throughput import MAX_REQUESTS, Replicas, Second, Throughput, Waits

UNKNOWN_THROUGHPUT = 1000
"""Requests under way per replica before its throughput was measured."""
CHANGED_SHARE = 0.05
"""A bound is sent again when it changed by this share."""
ACCEPTED_SECONDS = 5.0
"""For so many seconds the bound has room for accepted requests that come again. They come from the
holder, or from a replica that has left."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One version as this gateway serves it: replicas in effect, and starting replicas."""

    route: Route
    replicas: int
    starting: int = 0
    gateways: int = 1

    @property
    def waits(self) -> Waits:
        """Waits that the route allows."""
        return Waits(float(self.route.burst_seconds), float(self.route.overload_seconds))


@dataclass(slots=True)
class _Peak:
    """The highest value of the last `ACCEPTED_SECONDS`, or of a little longer."""

    value: int = 0
    at: float = float("-inf")

    def after(self, value: int, now: float) -> int:
        if value >= self.value or now - self.at > ACCEPTED_SECONDS:
            self.value, self.at = value, now
        return self.value


@dataclass(slots=True)
class _AnswerRate:
    throughput: Throughput = field(default_factory=Throughput)
    held: _Peak = field(default_factory=_Peak)
    replicas: _Peak = field(default_factory=_Peak)
    sent: int | None = None


VersionKey = tuple[str, str]
"""Model (`namespace/name`) and version."""


class RequestLimits:
    """The bounds of all versions at one gateway."""

    def __init__(self, clock: Callable[[], float], most: int = MAX_REQUESTS) -> None:
        """`clock` gives monotonic seconds; `most` bounds the requests of any version."""
        self._clock = clock
        self._most = most
        self._rates: dict[VersionKey, _AnswerRate] = {}
        self._stale: set[str] = set()

    def forget(self, model: str, versions: frozenset[str] = frozenset()) -> None:
        """Drop a model's versions other than `versions`."""
        for version_key in [k for k in self._rates if k[0] == model and k[1] not in versions]:
            if self._rates.pop(version_key).sent is not None:
                self._stale.add(_key(version_key))

    def restart(self) -> None:
        """Send all bounds again: Envoy may have started anew."""
        for rate in self._rates.values():
            rate.sent = None

    def capacity(self, model: str) -> tuple[float, bool] | None:
        """Return a model's answers per second through this gateway, and whether requests wait.

        None before that was measured.
        """
        versions = [rate for version_key, rate in self._rates.items() if version_key[0] == model]
        rates = [
            version.throughput.rate * version.replicas.value
            for version in versions
            if version.throughput.rate is not None
        ]
        return (
            (sum(rates), any(version.throughput.is_queued for version in versions))
            if rates
            else None
        )

    def after(
        self, sample: GatewaySample, serving: Callable[[str, str], Serving | None]
    ) -> dict[str, int | None]:
        """Add one second; return the runtime keys whose value changes; None removes a key.

        `serving(model, version)` returns how a version is served, None when it is not.
        """
        now = self._clock()
        changes: dict[str, int | None] = dict.fromkeys(sorted(self._stale))
        self._stale.clear()
        version_keys = {
            (key, version) for key, traffic in sample.models.items() for version in traffic.versions
        }
        for version_key in sorted(version_keys | self._rates.keys()):
            served = serving(*version_key)
            if served is None:
                continue
            model = sample.models.get(version_key[0])
            rate = self._rates.setdefault(version_key, _AnswerRate())
            rate.throughput.after(_second(sample, model, version_key[1], served), served.waits, now)
            learned = self._bound(rate, served, 0 if model is None else model.held, now)
            bound = min(self._most, learned) if served.replicas else learned
            if _is_other(rate.sent, bound):
                rate.sent = bound
                changes[_key(version_key)] = bound
        return changes

    @staticmethod
    def _bound(rate: _AnswerRate, served: Serving, held: int, now: float) -> int:
        peak_held = rate.held.after(held, now)
        replicas = rate.replicas.after(served.replicas, now)
        if served.replicas == 0:
            return MAX_REQUESTS
        bound = rate.throughput.bound(
            served.waits,
            now,
            Replicas(replicas, served.starting, served.route.concurrency, served.gateways),
        )
        if bound is None:
            bound = max(
                UNKNOWN_THROUGHPUT * replicas,
                rate.throughput.certain_requests(served.waits, replicas),
            )
        return min(MAX_REQUESTS, bound + peak_held)


def _second(
    sample: GatewaySample, model: ModelSample | None, version: str, served: Serving
) -> Second:
    version_sample = (model.versions.get(version) if model is not None else None) or VersionSample()
    return Second(
        seconds=sample.seconds,
        answers=sum(version_sample.latency.values()),
        service_seconds=version_sample.service_seconds,
        in_flight=version_sample.in_flight,
        replicas=served.replicas,
    )


def _is_other(sent: int | None, bound: int) -> bool:
    return sent is None or abs(bound - sent) > CHANGED_SHARE * sent


def _key(version_key: VersionKey) -> str:
    cluster = envoy_names.pods_cluster(Key.parse(version_key[0]).namespace, version_key[1])
    return f"circuit_breakers.{cluster}.default.max_requests"
