"""What Envoy should have: the store between the projection and the discovery streams.

Filled by `controller`, read by `push_order`. Holds one resource for each kind and name; tells its
followers which names changed. Must never know what any Envoy has.
"""

from collections.abc import Callable, Iterable, Mapping

from modelfleet.gateway.xds.resources import PUSH_TYPES, EnvoyResource

Follower = Callable[[str, str], None]


class DesiredResources:
    """Wanted resources by kind and name."""

    def __init__(self) -> None:
        """Nothing is wanted."""
        self._by_kind: dict[str, dict[str, EnvoyResource]] = {kind: {} for kind in PUSH_TYPES}
        self._followers: list[Follower] = []

    def of_kind(self, kind: str) -> Mapping[str, EnvoyResource]:
        """All wanted resources of a kind by name."""
        return self._by_kind[kind]

    def get(self, kind: str, name: str) -> EnvoyResource | None:
        """One wanted resource."""
        return self._by_kind[kind].get(name)

    def put(self, resource: EnvoyResource) -> None:
        """Want this resource under its name."""
        held = self._by_kind[resource.kind]
        known = held.get(resource.name)
        if known is resource or (known is not None and known.version == resource.version):
            held[resource.name] = resource
            return
        held[resource.name] = resource
        self._tell(resource.kind, resource.name)

    def drop(self, kind: str, name: str) -> None:
        """Want the name no longer."""
        if self._by_kind[kind].pop(name, None) is not None:
            self._tell(kind, name)

    def replace(self, old: Iterable[EnvoyResource], new: Iterable[EnvoyResource]) -> None:
        """Want `new` where `old` was wanted; unchanged ones tell nobody."""
        fresh = tuple(new)
        kept = {(resource.kind, resource.name) for resource in fresh}
        for resource in old:
            if (resource.kind, resource.name) not in kept:
                self.drop(resource.kind, resource.name)
        for resource in fresh:
            self.put(resource)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Call `follower(kind, name)` for each change; returns how to stop that."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def _tell(self, kind: str, name: str) -> None:
        for follower in tuple(self._followers):
            follower(kind, name)
