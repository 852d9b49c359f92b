"""Counts of one gateway: per model and version, per pod, in buckets and as totals.

Written by `access_log` (attempts and completions) and `holder`; read by the sampler, by
`/metrics` and by the holder's judgment of a request. Pure but for the clock it is given. Must
stay cheap: it runs for every request.
"""

import math
from collections import Counter as Counts
from collections import OrderedDict, defaultdict
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

_LOG_GROWTH = math.log(LATENCY_GROWTH)
_REMEMBERED = 20_000
_REMEMBERED_SECONDS = 120.0
ONE_DEATH_SECONDS = 0.25
"""Resets of one request by one replica within this time are one death: while Envoy's threads learn
of it, a retry may meet the same replica again. Who had to stay at the holder is back later."""


def latency_bucket(seconds: float) -> int:
    """Index of the histogram bucket: 0.1 ms gives 0, 0.11 ms gives 1, 1 s gives 54."""
    milliseconds = seconds * 1000
    if milliseconds <= LATENCY_BASE_MILLISECONDS:
        return 0
    # The subtraction keeps a value on a bucket's upper edge from rising into the next one.
    index = math.ceil(math.log(milliseconds / LATENCY_BASE_MILLISECONDS) / _LOG_GROWTH - 1e-9)
    return min(index, LATENCY_BUCKETS - 1)


@dataclass(slots=True)
class Totals:
    """Since the agent began."""

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
    touched: set[str] = field(default_factory=set)
    totals: Totals = field(default_factory=Totals)

    def complete(self, outcome: str, service_seconds: float | None, hold_seconds: float) -> None:
        """A request ended; `service_seconds` is None when no replica answered it."""
        self.completions[outcome] = self.completions.get(outcome, 0) + 1
        self.hold_seconds += hold_seconds
        if service_seconds is not None:
            self.service_seconds += service_seconds
            bucket = latency_bucket(service_seconds)
            self.latency[bucket] = self.latency.get(bucket, 0) + 1

    def begin(self, endpoint: str) -> None:
        """An attempt reached a replica."""
        self.in_flight[endpoint] = self.in_flight.get(endpoint, 0) + 1
        self.touched.add(endpoint)

    def end(self, endpoint: str) -> None:
        """An attempt at a replica ended; one that began before this agent did is not counted."""
        self.touched.add(endpoint)
        number = self.in_flight.get(endpoint, 0)
        if number > 1:
            self.in_flight[endpoint] = number - 1
        else:
            self.in_flight.pop(endpoint, None)

    def take(self) -> VersionSample | None:
        """The bucket that ends now; None when there is nothing in it."""
        in_flight = sum(self.in_flight.values())
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
        """In flight of the pods that have or had some in this bucket; starts the next bucket."""
        seen = {endpoint: self.in_flight.get(endpoint, 0) for endpoint in self.touched}
        self.touched = set(self.in_flight)
        return seen

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
        self._clock = clock
        self._counters: dict[tuple[str, str], Counter] = {}
        self._resets: OrderedDict[str, tuple[int, str, float]] = OrderedDict()
        """By request: by how many deaths it was cut off, by whom at last, and when."""
        self._bias: dict[tuple[str, str, str], int] = {}
        self.answered: dict[str, AnswerTimes] = {}
        """What answers took of late, by model."""
        self.entries = 0
        self.unknown = 0
        self.deadly: dict[str, int] = defaultdict(int)
        self.refused: dict[tuple[str, str], int] = defaultdict(int)
        self.watched: dict[str, Counts[str]] = {}
        """By model whose clients are counted: requests of this second by client."""

    def watch_clients(self, models: Collection[str]) -> dict[str, Mapping[str, int]]:
        """Requests by client since the last call, of the models that were watched.

        `models` are watched from now on.
        """
        taken: dict[str, Mapping[str, int]] = {**self.watched}
        self.watched = {model: Counts() for model in models}
        return taken

    def asked(self, model: str, client: str) -> None:
        """A request of a client of a watched model ended."""
        counts = self.watched[model]
        if client in counts or len(counts) < MAX_CLIENTS:
            counts[client] += 1

    def turned_away(self, model: str) -> None:
        """A request was refused before a version was chosen for it."""
        of_model = [found for name, found in self._counters.items() if name[0] == model]
        if not of_model:
            self.unknown += 1
            return
        counter = max(of_model, key=lambda one: (one.arrivals, one.totals.arrivals))
        counter.arrivals += 1
        counter.refused += 1
        counter.complete("5xx", None, 0.0)

    def counter(self, model: str, version: str) -> Counter:
        """The counter of a version, made when first needed."""
        found = self._counters.get((model, version))
        if found is None:
            found = self._counters[model, version] = Counter()
        return found

    def forget(self, model: str, versions: frozenset[str] = frozenset()) -> None:
        """Drop counters of a model's versions other than `versions` that are at rest."""
        for name in [n for n in self._counters if n[0] == model and n[1] not in versions]:
            if not self._counters[name].in_flight:
                del self._counters[name]
        if not versions:
            self.deadly.pop(model, None)
            self.answered.pop(model, None)
            for refusal in [r for r in self.refused if r[0] == model]:
                del self.refused[refusal]

    def reset(self, stream: str, endpoint: str) -> None:
        """A replica cut this request off; again in the same death counts once."""
        number, last, at = self._resets.pop(stream, (0, "", 0.0))
        now = self._clock()
        is_same = endpoint == last and now - at < ONE_DEATH_SECONDS
        self._resets[stream] = (number + (not is_same), endpoint, now)
        while self._resets:
            oldest = next(iter(self._resets))
            if len(self._resets) <= _REMEMBERED and (
                now - self._resets[oldest][2] < _REMEMBERED_SECONDS
            ):
                break
            del self._resets[oldest]

    def resets(self, stream: str) -> int:
        """How many replicas have cut this request off."""
        return self._resets.get(stream, (0, "", 0.0))[0]

    def take(self, gateway: str, seconds: float, held: Mapping[str, int]) -> GatewaySample:
        """The bucket of `seconds` that ends now."""
        versions: dict[str, dict[str, VersionSample]] = defaultdict(dict)
        pods: dict[str, dict[str, int]] = defaultdict(dict)
        for (model, version), counter in self._counters.items():
            seen = counter.pods()
            sample = counter.take()
            if sample is not None:
                versions[model][version] = sample
            if seen:
                pods[model].update(seen)
        models = {
            model: ModelSample(versions.get(model, {}), held.get(model, 0), pods.get(model, {}))
            for model in sorted({*versions, *pods, *held})
        }
        return GatewaySample(gateway, seconds, models)

    def remember(self, sample: GatewaySample) -> None:
        """Add the answers of a bucket to what answers took of late."""
        for model, traffic in sample.models.items():
            took = sum(version.service_seconds for version in traffic.versions.values())
            answers = sum(sum(version.latency.values()) for version in traffic.versions.values())
            before = self.answered.get(model, AnswerTimes())
            self.answered[model] = before.after(sample.seconds, took, answers)

    def active(self) -> int:
        """Attempts under way at all replicas."""
        return sum(sum(c.in_flight.values()) for c in self._counters.values())

    def totals(self) -> Iterator[tuple[str, str, Totals, int]]:
        """Model, version, totals and requests in flight, sorted; the open bucket included later."""
        for (model, version), counter in sorted(self._counters.items()):
            yield model, version, counter.totals, sum(counter.in_flight.values())

    def reconcile(self, seen: Mapping[tuple[str, str, str], int]) -> None:
        """Compare with Envoy's own gauge: (model, version, endpoint) to requests in flight.

        Entries are late by up to 50 ms, so a difference counts as drift only when it was exactly
        the same the last time.
        """
        bias = {}
        ours = {
            (model, version, endpoint): number
            for (model, version), counter in self._counters.items()
            for endpoint, number in counter.in_flight.items()
        }
        for place in {*seen, *ours}:
            difference = seen.get(place, 0) - ours.get(place, 0)
            if difference == 0:
                continue
            if self._bias.get(place) != difference:
                bias[place] = difference
                continue
            model, version, endpoint = place
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
