"""Push order of one Envoy: the rules that keep a change from losing a request.

* Clusters and endpoints go first; a virtual host goes only when all that it sends to is
  acknowledged.
* Clusters leave only when no acknowledged virtual host needs them.
* A changed cluster gets its endpoints again.
* A refused resource is tried alone, then left out.

`xds.stream` has one for each discovery stream. Pure: no clock, no I/O, so that tests can play any
interleaving.
"""

from collections.abc import Mapping
from itertools import count

from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.resources import (
    CLUSTER,
    ENDPOINTS,
    PUSH_TYPES,
    ROUTES,
    VIRTUAL_HOST,
    EnvoyResource,
)
from modelfleet.gateway.xds.stream_state import Push, Track


class PushOrder:
    """Resources that one Envoy has, and those that it may get next."""

    def __init__(self, wanted: DesiredResources) -> None:
        """Start with nothing sent."""
        self.wanted = wanted
        self.tracks: Mapping[str, Track] = {kind: Track(kind) for kind in PUSH_TYPES}
        self._nonces = count(1)
        self._close = wanted.follow(self._changed)

    def close(self) -> None:
        """End the stream."""
        self._close()

    def _changed(self, kind: str, name: str) -> None:
        self.tracks[kind].dirty.add(name)

    def subscribe(
        self, kind: str, names: tuple[str, ...], had: Mapping[str, str], gone: tuple[str, ...]
    ) -> None:
        """Take Envoy's part of a request: names that it asks for, had before, or gave up."""
        track = self.tracks[kind]
        if not track.is_subscribed:
            track.is_subscribed = True
            track.takes_all = kind in {CLUSTER, VIRTUAL_HOST}
            if track.takes_all:
                track.dirty.update(self.wanted.of_kind(kind))
        explicit = () if track.takes_all else names
        track.subscribe(explicit, had)
        if not track.takes_all:
            track.unsubscribe(gone)

    def next(self, kind: str) -> Push | None:
        """Return the next push of this kind; None while an answer is awaited or none is due."""
        track = self.tracks[kind]
        if not track.is_subscribed or track.under_way is not None:
            return None
        push = self._push_alone(track) or self._push_together(track)
        if push is not None:
            track.under_way = push
            track.has_answered = True
            self._resend_endpoints(push)
        return push

    def accepted(self, kind: str, nonce: str) -> Push | None:
        """Take the acknowledgement of this nonce; None when it answers an older push."""
        track = self.tracks[kind]
        push = track.under_way
        if push is None or push.nonce != nonce:
            return None
        track.under_way = None
        track.accept(push)
        return push

    def refused(self, kind: str, nonce: str, reason: str) -> EnvoyResource | None:
        """Take the refusal of this nonce; return the resource that is quarantined, if any."""
        track = self.tracks[kind]
        push = track.under_way
        if push is None or push.nonce != nonce:
            return None
        track.under_way = None
        return track.refuse(push, reason)

    def is_complete(self) -> bool:
        """Return whether Envoy has all that it may have, without quarantined resources."""
        return all(
            track.is_subscribed and track.under_way is None and track.has_answered
            for track in self.tracks.values()
        ) and not any(
            self._is_missing(kind, name)
            for kind in (CLUSTER, VIRTUAL_HOST)
            for name in self.wanted.of_kind(kind)
        )

    def _is_missing(self, kind: str, name: str) -> bool:
        track, resource = self.tracks[kind], self.wanted.get(kind, name)
        if resource is None or track.version_of(name) == resource.version:
            return False
        return not self._is_quarantined(kind, resource)

    def _is_quarantined(self, kind: str, resource: EnvoyResource) -> bool:
        if self.tracks[kind].refused_version(resource.name) == resource.version:
            return True
        clusters = self.tracks[CLUSTER]
        return any(name in clusters.refused for name in resource.needs)

    def has(self, resource: EnvoyResource) -> bool:
        """Return whether Envoy acknowledged exactly this resource, and no push of it is awaited."""
        track = self.tracks[resource.kind]
        return track.version_of(resource.name) == resource.version and not track.is_moving(
            resource.name
        )

    # -- the rules --------------------------------------------------------------------------

    def may_push(self, resource: EnvoyResource) -> bool:
        """Return whether a resource may go: a virtual host waits for clusters and endpoints."""
        if resource.kind != VIRTUAL_HOST:
            return True
        return all(self._is_in_effect(CLUSTER, name) for name in resource.needs) and all(
            self._is_in_effect(ENDPOINTS, name) for name in resource.needs_endpoints
        )

    def may_remove(self, kind: str, name: str) -> bool:
        """Return whether a name may go: a cluster stays while a virtual host may send to it."""
        if kind != CLUSTER:
            return True
        hosts = self.tracks[VIRTUAL_HOST]
        if hosts.inherited or (hosts.under_way is not None):
            return False
        return not any(name in host.needs for host in hosts.acked.values())

    def _is_in_effect(self, kind: str, name: str) -> bool:
        wanted = self.wanted.get(kind, name)
        return wanted is not None and self.has(wanted)

    # -- what to send -----------------------------------------------------------------------

    def _push_alone(self, track: Track) -> Push | None:
        while track.alone:
            name = track.alone.popleft()
            resource = self.wanted.get(track.kind, name)
            if resource is None or not self._is_due(track, resource):
                continue
            if not self.may_push(resource):
                track.dirty.add(name)
            else:
                return Push(track.kind, self._nonce(), (resource,))
        return None

    def _push_together(self, track: Track) -> Push | None:
        resources, removed, blocked = [], [], set()
        for name in sorted(track.dirty):
            resource = self.wanted.get(track.kind, name)
            if resource is None:
                if track.has(name) and self.may_remove(track.kind, name):
                    removed.append(name)
                elif track.has(name):
                    blocked.add(name)
            elif self._is_due(track, resource):
                if self.may_push(resource):
                    resources.append(resource)
                else:
                    blocked.add(name)
        if self._must_wait_for_all(track, blocked):
            return None
        track.dirty = blocked
        if track.kind == ENDPOINTS:
            removed = []
        if resources or removed or not track.has_answered:
            return Push(track.kind, self._nonce(), tuple(resources), tuple(removed))
        return None

    def _is_due(self, track: Track, resource: EnvoyResource) -> bool:
        if not track.wants(resource.name):
            return False
        if track.refused_version(resource.name) == resource.version:
            return False
        if resource.name in track.again:
            return True
        return self._adopted(track, resource) != resource.version

    def _adopted(self, track: Track, resource: EnvoyResource) -> str | None:
        """Return Envoy's version; one from before this stream counts if its version matches."""
        if track.inherited.get(resource.name) == resource.version:
            del track.inherited[resource.name]
            track.acked[resource.name] = resource
        return track.version_of(resource.name)

    def _must_wait_for_all(self, track: Track, blocked: set[str]) -> bool:
        """Return whether virtual hosts must wait.

        The first answer of virtual hosts opens the listeners, so it must have all of them.
        """
        if track.kind != VIRTUAL_HOST or track.has_answered:
            return False
        waiting = [self.wanted.get(VIRTUAL_HOST, name) for name in blocked]
        return not self.tracks[CLUSTER].has_answered or any(
            host is not None and not self._is_quarantined(VIRTUAL_HOST, host) for host in waiting
        )

    def _resend_endpoints(self, push: Push) -> None:
        """Send the endpoints of a changed cluster again: Envoy warms the cluster until then."""
        endpoints = self.tracks[ENDPOINTS]
        if push.kind == ENDPOINTS:
            endpoints.again.difference_update(resource.name for resource in push.resources)
        if push.kind == CLUSTER:
            for resource in push.resources:
                if endpoints.has(resource.name):
                    endpoints.again.add(resource.name)
                    endpoints.dirty.add(resource.name)

    def _nonce(self) -> str:
        return str(next(self._nonces))


__all__ = ["CLUSTER", "ENDPOINTS", "ROUTES", "VIRTUAL_HOST", "Push", "PushOrder"]
