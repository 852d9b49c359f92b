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

    `protocol` names the kind.
    """

    protocol: str
    model: str
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One HTTP request to a replica; `body` is JSON."""

    method: Literal["GET", "POST"]
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The HTTP answer; `body` is None if it was larger than what is read."""

    status: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """Outcome of a probe. `Unfit`: this probe does not suit the server, which proves nothing."""

    kind: Literal["Right", "Wrong", "Late", "Unfit"]
    reason: str = ""


Exchange = Generator[ProbeRequest, ProbeAnswer, ProbeOutcome]
"""Yields each request, takes its answer, and returns the outcome."""


class ProbeKind(Protocol):
    """Member of the catalogue."""

    name: str

    def exchange(self, spec: ProbeSpec) -> Exchange:
        """Return the exchange with one replica."""
        ...
