"""Protocol of a probe kind: the requests that a new replica has to answer, and the judgment.

`gateway.admission.http_probe` sends the requests. A kind only states them, so it is pure and can be
tested without a server. Must never raise for anything that a server answers.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """The admission probe of a version; `model` is its name on the server.

    `protocol` names the kind. A server may load for `startup_seconds` before that is a fault.
    """

    protocol: str
    model: str
    timeout_seconds: float = 10.0
    startup_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One request to a replica: of HTTP with a body of JSON, or for the health of a gRPC server.

    For `GRPC_HEALTH`, `path` is the name of the service; empty means the whole server.
    """

    method: Literal["GET", "POST", "GRPC_HEALTH"]
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The HTTP answer; `body` is None if it was larger than what is read.

    For `GRPC_HEALTH`: the code of gRPC, and the name of the health status as `body`.
    """

    status: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """Outcome of a probe.

    `Unfit`: this probe does not suit the server, which proves nothing. `Loading`: the server itself
    says that it does not serve yet.
    """

    kind: Literal["Right", "Wrong", "Late", "Unfit", "Loading"]
    reason: str = ""


Exchange = Generator[ProbeRequest, ProbeAnswer, ProbeOutcome]
"""Yields each request, takes its answer, and returns the outcome."""


class ProbeKind(Protocol):
    """Member of the catalogue."""

    name: str

    def exchange(self, spec: ProbeSpec) -> Exchange:
        """Return the exchange with one replica."""
        ...
