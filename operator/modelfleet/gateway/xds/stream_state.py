"""What one Envoy has of one kind of resource, and what is under way to it.

Used by `push_order` only: bookkeeping without rules about other kinds. Pure.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modelfleet.gateway.xds.resources import EnvoyResource


@dataclass(frozen=True, slots=True)
class Push:
    """One discovery response."""

    kind: str
    nonce: str
    resources: tuple[EnvoyResource, ...]
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class Track:
    """`inherited` are names and versions that Envoy had before this stream: content unknown."""

    kind: str
    is_subscribed: bool = False
    takes_all: bool = False
    names: set[str] = field(default_factory=set)
    acked: dict[str, EnvoyResource] = field(default_factory=dict)
    inherited: dict[str, str] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    alone: deque[str] = field(default_factory=deque)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    under_way: Push | None = None
    has_answered: bool = False

    def wants(self, name: str) -> bool:
        """Whether Envoy asked for this name."""
        return self.takes_all or name in self.names

    def has(self, name: str) -> bool:
        """Whether Envoy has some version of it."""
        return name in self.acked or name in self.inherited

    def is_moving(self, name: str) -> bool:
        """Whether an answer about this name is awaited."""
        push = self.under_way
        return push is not None and (
            name in push.removed or any(resource.name == name for resource in push.resources)
        )

    def version_of(self, name: str) -> str | None:
        """The version that Envoy has."""
        found = self.acked.get(name)
        return found.version if found else self.inherited.get(name)

    def refused_version(self, name: str) -> str | None:
        """The version that Envoy did not take."""
        found = self.refused.get(name)
        return found[0] if found else None

    def subscribe(self, names: Iterable[str], had: Mapping[str, str]) -> None:
        """Envoy asks for names and says what it has of before."""
        for name in names:
            self.names.add(name)
            self.dirty.add(name)
        for name, version in had.items():
            self.inherited[name] = version
            self.dirty.add(name)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Envoy has thrown these away."""
        for name in names:
            self.names.discard(name)
            self.dirty.discard(name)
            self.again.discard(name)
            self.acked.pop(name, None)
            self.inherited.pop(name, None)

    def accept(self, push: Push) -> None:
        """Envoy has taken the whole response."""
        for resource in push.resources:
            if self.wants(resource.name):
                self.acked[resource.name] = resource
            self.inherited.pop(resource.name, None)
            self.refused.pop(resource.name, None)
        for name in push.removed:
            self.acked.pop(name, None)
            self.inherited.pop(name, None)

    def refuse(self, push: Push, reason: str) -> EnvoyResource | None:
        """Envoy refused: a single resource is left out (returned), of several each goes alone."""
        self.dirty.update(push.removed)
        if len(push.resources) == 1:
            (bad,) = push.resources
            self.refused[bad.name] = (bad.version, reason)
            return bad
        self.alone.extend(resource.name for resource in push.resources)
        return None
