"""Desired Envoy resources: the store between the projections and the discovery streams.

`xds.controller` writes it, `xds.push_order` reads it. It holds one resource for each kind and name,
and calls its followers with each changed name. Must never depend on what any Envoy has.
"""

from collections.abc import Callable, Iterable, Mapping

from modelfleet.gateway.xds.resources import PUSH_TYPES, EnvoyResource

Follower = Callable[[str, str], None]


class DesiredResources:
    """Wanted resources by kind and name."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_kind: dict[str, dict[str, EnvoyResource]] = {kind: {} for kind in PUSH_TYPES}
        self._followers: list[Follower] = []

    def of_kind(self, kind: str) -> Mapping[str, EnvoyResource]:
        """Return all wanted resources of a kind by name."""
        return self._by_kind[kind]

    def get(self, kind: str, name: str) -> EnvoyResource | None:
        """Return one wanted resource."""
        return self._by_kind[kind].get(name)

    def put(self, resource: EnvoyResource) -> None:
        """Want this resource under its name."""
        resources = self._by_kind[resource.kind]
        old = resources.get(resource.name)
        if old is resource or (old is not None and old.version == resource.version):
            resources[resource.name] = resource
            return
        resources[resource.name] = resource
        self._notify(resource.kind, resource.name)

    def drop(self, kind: str, name: str) -> None:
        """Want this name no longer."""
        if self._by_kind[kind].pop(name, None) is not None:
            self._notify(kind, name)

    def replace(self, old: Iterable[EnvoyResource], new: Iterable[EnvoyResource]) -> None:
        """Want `new` instead of `old`; unchanged resources call no follower."""
        new_resources = tuple(new)
        new_names = {(resource.kind, resource.name) for resource in new_resources}
        for resource in old:
            if (resource.kind, resource.name) not in new_names:
                self.drop(resource.kind, resource.name)
        for resource in new_resources:
            self.put(resource)

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Call `follower(kind, name)` for each change; return a function that ends it."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower)

    def _notify(self, kind: str, name: str) -> None:
        for follower in tuple(self._followers):
            follower(kind, name)
