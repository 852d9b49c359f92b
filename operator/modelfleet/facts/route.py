"""The route of one model: what every gateway must do with its requests.

The leader writes it into `MLModel.status.route`; the gateway agents read it. The route is complete
(an agent needs no field of the spec), so its content hash identifies it. Must never hold endpoints:
they come from EndpointSlices and change without the leader.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Exposure = Literal["Cluster", "External"]


@dataclass(frozen=True, slots=True)
class RouteWeight:
    """Weight of one version; 0 keeps its endpoints configured but sends no request."""

    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """Requests that have everything that is set: path, method in capitals, header."""

    path: str | None = None
    path_prefix: str | None = None
    method: str | None = None
    header: str | None = None
    value: str | None = None
    value_prefix: str | None = None

    def to_status(self) -> dict[str, Any]:
        """Return the object as in `MLModel.spec.traffic.uncounted`."""
        header = {"name": self.header, "value": self.value, "valuePrefix": self.value_prefix}
        fields = {
            "path": self.path,
            "pathPrefix": self.path_prefix,
            "method": self.method,
            "header": {k: v for k, v in header.items() if v is not None} or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> "RequestMatch":
        """Parse the result of `to_status`."""
        header = status.get("header") or {}
        return cls(
            path=status.get("path"),
            path_prefix=status.get("pathPrefix"),
            method=status.get("method"),
            header=header.get("name"),
            value=header.get("value"),
            value_prefix=header.get("valuePrefix"),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Weights that sum to 100, waits and time-outs of one model; times in seconds."""

    revision: int
    weights: tuple[RouteWeight, ...]
    request_timeout_seconds: int = 60
    hold_max_seconds: int = 50
    hold_max_requests: int = 1000
    burst_wait_seconds: int | None = None
    """Longest wait behind other requests in a burst; None: as long as a request may be held."""
    overload_wait_seconds: int | None = None
    """Longest wait once an overload has lasted longer than a burst; None: as in a burst."""
    concurrency: int | None = None
    """Most requests that a replica works on at once, if the spec sets it."""
    idempotent: bool = True
    max_replay_bytes: int = 4 * 1024 * 1024
    exposure: Exposure = "Cluster"
    uncounted: tuple[RequestMatch, ...] = ()
    """Requests that never wake the model and are no demand."""
    upgrades: tuple[str, ...] = ()
    """Protocols to which a client may upgrade a connection, such as `WebSocket`."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Names of all versions in the route, including those of weight 0."""
        return tuple(share.version for share in self.weights)

    def weight_of(self, version: str) -> int:
        """Return the percentage of the requests that `version` gets; 0 if the route lacks it."""
        return next((share.weight for share in self.weights if share.version == version), 0)

    @property
    def burst_seconds(self) -> int:
        """Longest wait behind other requests in a burst."""
        return self.hold_max_seconds if self.burst_wait_seconds is None else self.burst_wait_seconds

    @property
    def overload_seconds(self) -> int:
        """Longest wait behind other requests while an overload lasts."""
        known = self.overload_wait_seconds
        return self.burst_seconds if known is None else known

    def to_status(self) -> dict[str, Any]:
        """Return the object stored under `MLModel.status.route`, without `confirmed`."""
        return {
            "revision": self.revision,
            "weights": [
                {"version": share.version, "weight": share.weight} for share in self.weights
            ],
            "requestTimeoutSeconds": self.request_timeout_seconds,
            "hold": {"maxSeconds": self.hold_max_seconds, "maxRequests": self.hold_max_requests},
            "overload": self._overload_status(),
            "idempotent": self.idempotent,
            "maxReplayBytes": self.max_replay_bytes,
            "exposure": self.exposure,
            **self._optional_status(),
        }

    def _optional_status(self) -> dict[str, Any]:
        """Return fields that are left out when empty: so routes without them keep their hash."""
        uncounted = [match.to_status() for match in self.uncounted]
        return ({"uncounted": uncounted} if uncounted else {}) | (
            {"upgrades": list(self.upgrades)} if self.upgrades else {}
        )

    def _overload_status(self) -> dict[str, int]:
        bounds = {
            "burstWaitSeconds": self.burst_seconds,
            "maxWaitSeconds": self.overload_seconds,
        }
        concurrency = (
            {} if self.concurrency is None else {"concurrencyPerReplica": self.concurrency}
        )
        return bounds | concurrency

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> "Route":
        """Parse the result of `to_status`; raises KeyError when a needed field is absent."""
        hold = status.get("hold", {})
        overload = status.get("overload") or {}
        return cls(
            revision=status["revision"],
            weights=tuple(
                RouteWeight(share["version"], share["weight"]) for share in status["weights"]
            ),
            request_timeout_seconds=status.get("requestTimeoutSeconds", 60),
            hold_max_seconds=hold.get("maxSeconds", 50),
            hold_max_requests=hold.get("maxRequests", 1000),
            burst_wait_seconds=overload.get("burstWaitSeconds"),
            overload_wait_seconds=overload.get("maxWaitSeconds"),
            concurrency=overload.get("concurrencyPerReplica"),
            idempotent=status.get("idempotent", True),
            max_replay_bytes=status.get("maxReplayBytes", 4 * 1024 * 1024),
            exposure=status.get("exposure", "Cluster"),
            uncounted=tuple(map(RequestMatch.from_status, status.get("uncounted") or ())),
            upgrades=tuple(status.get("upgrades") or ()),
        )

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits over everything but the revision: equal content, equal hash."""
        content = self.to_status()
        del content["revision"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def same_content(self, other: "Route | None") -> bool:
        """Return whether `other` asks the same of the gateways, whatever its revision."""
        return other is not None and self.content_hash == other.content_hash
