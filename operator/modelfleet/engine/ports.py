"""Ports: the outside of the engine as Protocols; `compose` and the simulator provide them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.facts.history import History, HistoryRequest
from modelfleet.facts.identity import Key
from modelfleet.facts.plan import (
    Create,
    Delete,
    EventFact,
    PodService,
    PolicyLearned,
    Repair,
    Scale,
    VersionLearned,
)
from modelfleet.facts.readings import Reading, SignalSpec
from modelfleet.facts.traffic import AnswerTimes, GatewaySample, RouteAcknowledgement

Json = dict[str, Any]


class Objects(Protocol):
    """Objects of one kind in memory."""

    def get(self, namespace: str, name: str) -> Json | None:
        """Return one object, or None."""
        ...

    def of_model(self, key: Key) -> list[Json]:
        """Return the objects of a model, sorted by name."""
        ...

    def all(self) -> Iterable[Json]:
        """Return all objects."""
        ...


class Writer(Protocol):
    """Applies the parts of a plan; see `kube.apply`."""

    async def create(self, key: Key, uid: str, create: Create) -> None:
        """Create an object with POST."""
        ...

    async def repair(self, key: Key, repair: Repair) -> Json:
        """Set back fields of an object that another writer has changed; return the object."""
        ...

    async def replace(self, key: Key, repair: Repair) -> Json:
        """Replace the parts of an object that belong to modelfleet alone; return the object."""
        ...

    async def set_service(self, key: Key, change: PodService) -> None:
        """Take a pod out of service or put it back."""
        ...

    async def scale(self, key: Key, scale: Scale, *, is_down: bool) -> None:
        """Set replicas."""
        ...

    async def delete(self, key: Key, delete: Delete) -> None:
        """Delete an object."""
        ...

    async def learn(self, key: Key, learned: VersionLearned) -> None:
        """Write a version's status."""
        ...

    async def note_policy(self, key: Key, learned: PolicyLearned) -> None:
        """Write what the autoscaler has learned into a version's status."""
        ...

    async def publish_status(
        self, model: Mapping[str, Any], status: MLModelStatus
    ) -> tuple[str, ...]:
        """Write the model's status if it differs; return the fields that changed."""
        ...


class Events(Protocol):
    """Posts events; see `kube.event_publisher`."""

    def publish(self, model: Mapping[str, Any], event: EventFact) -> None:
        """Post an event about a model."""
        ...


class ConfigReader(Protocol):
    """Reads the ConfigMaps that specs name."""

    async def read(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return the data of a ConfigMap, or None when it does not exist."""
        ...


class Samples(Protocol):
    """Traffic as the gateways report it: all that the tick needs."""

    def connected(self) -> Mapping[str, bool]:
        """Return the gateways by name, and whether their stream is alive."""
        ...

    def held(self, key: str) -> int | None:
        """Return the number of held requests in all gateways; None when a gateway is silent."""
        ...

    def take_samples(self) -> list[GatewaySample]:
        """Return the samples since the last call."""
        ...

    def answered(self, key: str) -> AnswerTimes:
        """Return how long answers took before this leader began."""
        ...


class Readings(Protocol):
    """Numbers in Prometheus; see `prometheus.signal_reader`. All reads are from memory."""

    def readings(self, key: Key, signals: Sequence[SignalSpec]) -> tuple[Reading, ...]:
        """Return the newest readings of a model's signals, in the order of the signals."""
        ...


class PastArrivals(Protocol):
    """Arrivals from before this leader; see `prometheus.past_arrivals`."""

    def read(self, requests: Sequence[HistoryRequest], now_seconds: float) -> Mapping[Key, History]:
        """Return the history of those models that have any. Blocks.

        Raises HistoryUnavailable when the source does not answer.
        """
        ...


class Gateways(Samples, Protocol):
    """Reports of the gateways; see `link.link_client`. All reads are from memory."""

    def acknowledgements(self, key: str) -> Mapping[str, RouteAcknowledgement | None]:
        """Return what each gateway has in effect for a model."""
        ...

    def in_flight(self, endpoint: str) -> int | None:
        """Return requests under way to `ip:port` in all gateways; None when a gateway is silent."""
        ...

    def probe_failures(self, key: str) -> Mapping[str, str]:
        """Return the endpoints that failed their admission probe, with the failure."""
        ...

    def rejections(self, key: str) -> Mapping[str, str]:
        """Return the gateways that refused the route, with the reason."""
        ...
