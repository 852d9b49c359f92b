"""The route of one model: what every gateway must do with its requests.

Written by the leader into `MLModel.status.route`, read by the gateway agents. It is
self-contained (an agent needs no field of the spec), so that its content hash says all. Must
never hold endpoints: those come from EndpointSlices, and change without the leader.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Exposure = Literal["Cluster", "External"]


@dataclass(frozen=True, slots=True)
class RouteWeight:
    """Share of one version, in percent; 0 keeps its endpoints configured but sends nothing."""

    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """What the gateways do for one model. Weights sum to 100; times in seconds."""

    revision: int
    weights: tuple[RouteWeight, ...]
    request_timeout_seconds: int = 60
    hold_max_seconds: int = 50
    hold_max_requests: int = 1000
    burst_wait_seconds: int | None = None
    """Longest wait behind other requests in a burst; None: as long as a request may be held."""
    overload_wait_seconds: int | None = None
    """The same once an overload has lasted longer than a burst; None: as in a burst."""
    concurrency: int | None = None
    """Requests that a replica answers at once, at most, where the user said it."""
    idempotent: bool = True
    max_replay_bytes: int = 4 * 1024 * 1024
    exposure: Exposure = "Cluster"

    @property
    def versions(self) -> tuple[str, ...]:
        """Names of all versions in the route, those of weight 0 included."""
        return tuple(share.version for share in self.weights)

    def weight_of(self, version: str) -> int:
        """Percent of the traffic that goes to `version`; 0 when it is not in the route."""
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
        """The object stored under `MLModel.status.route`, without `confirmed`."""
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
        }

    def _overload_status(self) -> dict[str, int]:
        bounds = {
            "burstWaitSeconds": self.burst_seconds,
            "maxWaitSeconds": self.overload_seconds,
        }
        said = {} if self.concurrency is None else {"concurrencyPerReplica": self.concurrency}
        return bounds | said

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> "Route":
        """Read back what `to_status` wrote; raises KeyError when a needed field is absent."""
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
        )

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits over everything but the revision: equal content, equal hash."""
        content = self.to_status()
        del content["revision"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def same_content(self, other: "Route | None") -> bool:
        """Whether `other` asks the gateways for the same, whatever its revision."""
        return other is not None and self.content_hash == other.content_hash
