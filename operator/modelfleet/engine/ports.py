"""What the engine needs from the outside, as Protocols; `main` and the simulator provide them."""

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
        """One object, or None."""
        ...

    def of_model(self, key: Key) -> list[Json]:
        """Objects of a model, sorted by name."""
        ...

    def all(self) -> Iterable[Json]:
        """All objects."""
        ...


class Writer(Protocol):
    """Applies the parts of a plan; see `kube.apply.Applier`."""

    async def create(self, key: Key, uid: str, create: Create) -> None:
        """POST an object."""
        ...

    async def repair(self, key: Key, repair: Repair) -> None:
        """Apply our fields to an object."""
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
        """Write the model's status if it differs; returns the fields that moved."""
        ...


class Events(Protocol):
    """Posts events; see `kube.event_publisher.Publisher`."""

    def publish(self, model: Mapping[str, Any], event: EventFact) -> None:
        """Post an event about a model."""
        ...


class ConfigReader(Protocol):
    """Reads the ConfigMaps that specs name."""

    async def read(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Data of a ConfigMap, or None when it does not exist."""
        ...


class Samples(Protocol):
    """Traffic as the gateways tell it: all that the tick needs."""

    def connected(self) -> Mapping[str, bool]:
        """Gateways by name, and whether their stream is alive."""
        ...

    def held(self, key: str) -> int | None:
        """Requests parked in all gateways; None when one is silent."""
        ...

    def take_samples(self) -> list[GatewaySample]:
        """Samples since the last call."""
        ...

    def answered(self, key: str) -> AnswerTimes:
        """What answers took before this leader listened."""
        ...


class Readings(Protocol):
    """Numbers in Prometheus; see `prometheus.signal_reader`. All reads are of memory."""

    def readings(self, key: Key, signals: Sequence[SignalSpec]) -> tuple[Reading, ...]:
        """What is known of a model's signals now, in their order."""
        ...


class PastArrivals(Protocol):
    """What was before this leader; see `prometheus.past_arrivals`."""

    def read(self, wishes: Sequence[HistoryRequest], now_seconds: float) -> Mapping[Key, History]:
        """What is known of these models, of those only of which anything is. Blocking.

        Raises `Unanswered`.
        """
        ...


class Gateways(Samples, Protocol):
    """What the gateways tell; see `link.link_client`. All reads are of memory."""

    def acknowledgements(self, key: str) -> Mapping[str, RouteAcknowledgement | None]:
        """What each gateway has in effect for a model."""
        ...

    def in_flight(self, endpoint: str) -> int | None:
        """Requests under way to `ip:port` in all gateways; None when one is silent."""
        ...

    def probe_failures(self, key: str) -> Mapping[str, str]:
        """Endpoints kept out, with what was wrong."""
        ...

    def rejections(self, key: str) -> Mapping[str, str]:
        """Gateways that refused the route, with the reason."""
        ...
