"""Counters of one gateway: per model and version, per pod, in buckets and as totals.

`requests.access_log` counts attempts and completions, `requests.holder` counts refusals. The
sampler, the metrics and the holder read the counters. Pure: the clock is an argument. Must stay
cheap: it runs for every request.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from modelfleet.facts.traffic import (
    LATENCY_BASE_MILLISECONDS,
    LATENCY_BUCKETS,
    LATENCY_GROWTH,
    AnswerTimes,
    GatewaySample,
    ModelSample,
    VersionSample,
)
from modelfleet.gateway.bounds.fairness import MAX_CLIENTS
from modelfleet.gateway.requests.failed_attempts import FailedAttempts

_UPPER_EDGES = [
    # The last factor keeps a value on a bucket's upper edge in that bucket.
    LATENCY_BASE_MILLISECONDS / 1000 * LATENCY_GROWTH**index * (1 + 1e-10)
    for index in range(LATENCY_BUCKETS - 1)
]


def latency_bucket(seconds: float) -> int:
    """Return the index of the histogram bucket: 0.1 ms gives 0, 0.11 ms gives 1, 1 s gives 54."""
    return bisect_left(_UPPER_EDGES, seconds)


@dataclass(slots=True)
class Totals:
    """Counts since the agent started."""

    arrivals: int = 0
    refused: int = 0
    completions: dict[str, int] = field(default_factory=dict)
    failed_attempts: int = 0
    service_seconds: float = 0.0
    hold_seconds: float = 0.0


@dataclass(slots=True)
class Counter:
    """One version's current bucket, and its totals."""

    arrivals: int = 0
    refused: int = 0
    failed_attempts: int = 0
    service_seconds: float = 0.0
    hold_seconds: float = 0.0
    completions: dict[str, int] = field(default_factory=dict)
    latency: dict[int, int] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    uncounted: int = 0
    """Those of the requests under way that do not count."""
    touched: set[str] = field(default_factory=set)
    totals: Totals = field(default_factory=Totals)

    def complete(self, outcome: str, service_seconds: float | None, hold_seconds: float) -> None:
        """Count the end of a request; `service_seconds` is None when no replica answered it."""
        self.completions[outcome] = self.completions.get(outcome, 0) + 1
        self.hold_seconds += hold_seconds
        if service_seconds is not None:
            self.count_service(service_seconds)

    def count_service(self, seconds: float) -> None:
        """Count the time that a replica worked on one request."""
        self.service_seconds += seconds
        bucket = latency_bucket(seconds)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1

    def begin(self, endpoint: str, *, is_counted: bool = True) -> None:
        """Count an attempt that reached a replica; one that is not counted is no demand."""
        self.uncounted += not is_counted
        self.in_flight[endpoint] = self.in_flight.get(endpoint, 0) + 1
        self.touched.add(endpoint)

    def end(self, endpoint: str, *, is_counted: bool = True) -> None:
        """Count the end of an attempt; one that began before this agent is ignored."""
        self.uncounted -= not is_counted and self.uncounted > 0
        self.touched.add(endpoint)
        number = self.in_flight.get(endpoint, 0)
        if number > 1:
            self.in_flight[endpoint] = number - 1
        else:
            self.in_flight.pop(endpoint, None)

    def take(self) -> VersionSample | None:
        """Return the bucket that ends now; None when it is empty."""
        self.uncounted = min(self.uncounted, sum(self.in_flight.values()))
        in_flight = sum(self.in_flight.values()) - self.uncounted
        if not (self.arrivals or self.completions or self.failed_attempts or in_flight):
            return None
        sample = VersionSample(
            arrivals=self.arrivals,
            completions=self.completions,
            service_seconds=self.service_seconds,
            hold_seconds=self.hold_seconds,
            latency=self.latency,
            in_flight=in_flight,
            failed_attempts=self.failed_attempts,
            refused=self.refused,
        )
        self._carry_over()
        self.arrivals = self.refused = self.failed_attempts = 0
        self.service_seconds = self.hold_seconds = 0.0
        self.completions, self.latency = {}, {}
        return sample

    def pods(self) -> dict[str, int]:
        """Return requests under way by pod, and start the next bucket.

        Includes the pods that had requests in this bucket and have none now.
        """
        in_flight = {endpoint: self.in_flight.get(endpoint, 0) for endpoint in self.touched}
        self.touched = set(self.in_flight)
        return in_flight

    def _carry_over(self) -> None:
        totals = self.totals
        totals.arrivals += self.arrivals
        totals.refused += self.refused
        totals.failed_attempts += self.failed_attempts
        totals.service_seconds += self.service_seconds
        totals.hold_seconds += self.hold_seconds
        for outcome, number in self.completions.items():
            totals.completions[outcome] = totals.completions.get(outcome, 0) + number


class TrafficCounters:
    """All counters of one gateway."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._counters: dict[tuple[str, str], Counter] = {}
        self.failed = FailedAttempts(clock)
        self._bias: dict[tuple[str, str, str], int] = {}
        self.answered: dict[str, AnswerTimes] = {}
        """Recent answer times, by model."""
        self.entries = 0
        self.unknown = 0
        self.deadly: dict[str, int] = defaultdict(int)
        self.refused: dict[tuple[str, str], int] = defaultdict(int)
        self.uncounted: dict[str, int] = defaultdict(int)
        self.watched: dict[str, Counts[str]] = {}
        """By model whose clients are counted: requests by client in this second."""

    def watch_clients(self, models: Collection[str]) -> dict[str, Mapping[str, int]]:
        """Return requests by client since the last call, of the models that were watched.

        `models` are watched from now on.
        """
        counted: dict[str, Mapping[str, int]] = {**self.watched}
        self.watched = {model: Counts() for model in models}
        return counted

    def count_client(self, model: str, client: str) -> None:
        """Count a request of a client of a watched model."""
        counts = self.watched[model]
        if client in counts or len(counts) < MAX_CLIENTS:
            counts[client] += 1

    def count_early_refusal(self, model: str) -> None:
        """Count a request that was refused before a version was chosen for it."""
        of_model = [counter for name, counter in self._counters.items() if name[0] == model]
        if not of_model:
            self.unknown += 1
            return
        counter = max(of_model, key=lambda counter: (counter.arrivals, counter.totals.arrivals))
        counter.arrivals += 1
        counter.refused += 1
        counter.complete("5xx", None, 0.0)

    def counter(self, model: str, version: str) -> Counter:
        """Return the counter of a version, created at the first use."""
        counter = self._counters.get((model, version))
        if counter is None:
            counter = self._counters[model, version] = Counter()
        return counter

    def forget(self, model: str, versions: frozenset[str] = frozenset()) -> None:
        """Drop idle counters of a model's versions other than `versions`."""
        for name in [n for n in self._counters if n[0] == model and n[1] not in versions]:
            if not self._counters[name].in_flight:
                del self._counters[name]
        if not versions:
            self.deadly.pop(model, None)
            self.answered.pop(model, None)
            self.uncounted.pop(model, None)
            for refusal in [r for r in self.refused if r[0] == model]:
                del self.refused[refusal]

    @property
    def models(self) -> frozenset[str]:
        """Models that have a counter or another count."""
        of_pairs = (model for model, _ in (*self._counters, *self.refused))
        return frozenset(of_pairs) | self.deadly.keys() | self.uncounted.keys()

    def take(self, gateway: str, seconds: float, held: Mapping[str, int]) -> GatewaySample:
        """Return the bucket of `seconds` that ends now."""
        versions: dict[str, dict[str, VersionSample]] = defaultdict(dict)
        pods: dict[str, dict[str, int]] = defaultdict(dict)
        for (model, version), counter in self._counters.items():
            pods_in_flight = counter.pods()
            sample = counter.take()
            if sample is not None:
                versions[model][version] = sample
            if pods_in_flight:
                pods[model].update(pods_in_flight)
        models = {
            model: ModelSample(versions.get(model, {}), held.get(model, 0), pods.get(model, {}))
            for model in sorted({*versions, *pods, *held})
        }
        return GatewaySample(gateway, seconds, models)

    def add_answers(self, sample: GatewaySample) -> None:
        """Add the answers of a bucket to the recent answer times."""
        for model, traffic in sample.models.items():
            took = sum(version.service_seconds for version in traffic.versions.values())
            answers = sum(sum(version.latency.values()) for version in traffic.versions.values())
            before = self.answered.get(model, AnswerTimes())
            self.answered[model] = before.after(sample.seconds, took, answers)

    def active(self) -> int:
        """Return the attempts under way at all replicas."""
        return sum(sum(c.in_flight.values()) for c in self._counters.values())

    def totals(self) -> Iterator[tuple[str, str, Totals, int]]:
        """Yield model, version, totals and requests under way, sorted, without the open bucket."""
        for (model, version), counter in sorted(self._counters.items()):
            yield model, version, counter.totals, sum(counter.in_flight.values())

    def reconcile(self, seen: Mapping[tuple[str, str, str], int]) -> None:
        """Correct the counts by Envoy's gauge: (model, version, endpoint) to requests under way.

        Entries are late by up to 100 ms. A difference counts as drift only when it was exactly the
        same the last time.
        """
        bias = {}
        ours = {
            (model, version, endpoint): number
            for (model, version), counter in self._counters.items()
            for endpoint, number in counter.in_flight.items()
        }
        for replica in {*seen, *ours}:
            difference = seen.get(replica, 0) - ours.get(replica, 0)
            if difference == 0:
                continue
            if self._bias.get(replica) != difference:
                bias[replica] = difference
                continue
            model, version, endpoint = replica
            self._correct(self.counter(model, version), endpoint, difference)
        self._bias = bias

    @staticmethod
    def _correct(counter: Counter, endpoint: str, difference: int) -> None:
        number = counter.in_flight.get(endpoint, 0) + difference
        counter.touched.add(endpoint)
        if number > 0:
            counter.in_flight[endpoint] = number
        else:
            counter.in_flight.pop(endpoint, None)
