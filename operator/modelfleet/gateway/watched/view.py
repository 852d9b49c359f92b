"""Views: all that a gateway needs of one model, as one value, the input of `xds.builders`.

`watched.models` makes them from watched objects. Must never hold a Kubernetes object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from modelfleet.catalog.probes import ProbeSpec
from modelfleet.facts.route import Route

Protocol = Literal["HTTP1", "H2C", "GRPC"]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version: the protocol of its replicas, and the admitted ones (`ip:port`)."""

    protocol: Protocol
    probe: ProbeSpec | None = None
    endpoints: tuple[str, ...] = ()

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Read an MLModelVersion's spec.

        Raises KeyError when a needed field is absent.
        """
        probe = spec.get("probe")
        return cls(
            protocol=spec["protocol"],
            probe=None
            if probe is None
            else ProbeSpec(
                probe["protocol"],
                probe["model"],
                probe.get("timeoutSeconds", 10),
                spec.get("startupSeconds", 600),
            ),
        )


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model. `lingering` versions left the route but may still have held requests."""

    namespace: str
    name: str
    uid: str
    route: Route
    versions: Mapping[str, VersionView]
    lingering: tuple[str, ...] = ()
    has_dashed_host: bool = True
    share: float | None = None
    """Requests per second that one client may send while the model is overloaded; None: any
    number."""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class GatewaySite:
    """Values that are equal for all models of one gateway pod. Holder addresses are `ip:port`."""

    gateway: str
    domain: str = "localhost"
    cluster_domain: str = "cluster.local"
    own_holder: str = "127.0.0.1:9444"
    other_holders: tuple[str, ...] = field(default=())
