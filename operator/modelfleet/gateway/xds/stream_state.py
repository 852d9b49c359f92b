"""State of one kind of resource at one Envoy: what it has, and what was sent without an answer yet.

`xds.push_order` has one for each kind. Bookkeeping without rules about other kinds. Pure.
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
    """`inherited`: names and versions that Envoy had before this stream, with unknown content."""

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
        """Return whether Envoy asked for this name."""
        return self.takes_all or name in self.names

    def has(self, name: str) -> bool:
        """Return whether Envoy has some version of it."""
        return name in self.acked or name in self.inherited

    def is_moving(self, name: str) -> bool:
        """Return whether an answer about this name is awaited."""
        push = self.under_way
        return push is not None and (
            name in push.removed or any(resource.name == name for resource in push.resources)
        )

    def version_of(self, name: str) -> str | None:
        """Return the version that Envoy has."""
        resource = self.acked.get(name)
        return resource.version if resource else self.inherited.get(name)

    def refused_version(self, name: str) -> str | None:
        """Return the version that Envoy refused."""
        version_and_reason = self.refused.get(name)
        return version_and_reason[0] if version_and_reason else None

    def subscribe(self, names: Iterable[str], had: Mapping[str, str]) -> None:
        """Take the names that Envoy asks for, and the versions that it had before."""
        for name in names:
            self.names.add(name)
            self.dirty.add(name)
        for name, version in had.items():
            self.inherited[name] = version
            self.dirty.add(name)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Drop the names that Envoy gave up."""
        for name in names:
            self.names.discard(name)
            self.dirty.discard(name)
            self.again.discard(name)
            self.acked.pop(name, None)
            self.inherited.pop(name, None)

    def accept(self, push: Push) -> None:
        """Record that Envoy took the whole response."""
        for resource in push.resources:
            if self.wants(resource.name):
                self.acked[resource.name] = resource
            self.inherited.pop(resource.name, None)
            self.refused.pop(resource.name, None)
        for name in push.removed:
            self.acked.pop(name, None)
            self.inherited.pop(name, None)

    def refuse(self, push: Push, reason: str) -> EnvoyResource | None:
        """Record a refusal: a single resource is left out (returned), several go one by one."""
        self.dirty.update(push.removed)
        if len(push.resources) == 1:
            (bad,) = push.resources
            self.refused[bad.name] = (bad.version, reason)
            return bad
        self.alone.extend(resource.name for resource in push.resources)
        return None
