"""What a fetcher is, its bounds, and its error.

Implemented by the members of this catalogue, called by `artifacts.fetch_command` in the init
container and the resolve pod. Must never hold a credential of the operator: a model's namespace is
not ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch: bytes of the artifact, seconds in all, redirects."""

    most_bytes: int = 20 * 1024**3
    most_seconds: float = 1800.0
    idle_seconds: float = 30.0
    most_redirects: int = 5


class FetchError(Exception):
    """The artifact could not be fetched. `is_final`: trying again will not help."""

    def __init__(self, message: str, *, is_final: bool, reason: str = "FetchFailed") -> None:
        """`reason` is the condition reason that the operator shows."""
        super().__init__(message)
        self.is_final = is_final
        self.reason = reason


class Fetcher(Protocol):
    """One member of the catalogue."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """URI schemes that it fetches."""
        ...

    def chunks(self, uri: str, limits: FetchLimits) -> Iterator[bytes]:
        """The artifact's bytes in pieces; raises FetchError."""
        ...
