"""Fetchers of artifacts: their contract, their bounds, and their error.

A member of this catalogue only opens files; `fetch_command` bounds, checks and stores them, in the
init container of each replica and in the resolve pod. Must never hold a credential of the operator:
a model's namespace is not ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

SINGLE_FILE = ""
"""Path of the only file of an artifact that is no tree."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch: bytes of all files, their number, seconds in all, redirects."""

    most_bytes: int = 20 * 1024**3
    most_files: int = 10_000
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


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of an artifact: its path below the artifact, and its bytes in pieces."""

    path: str
    chunks: Iterator[bytes]


class Fetcher(Protocol):
    """One member of the catalogue."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """URI schemes that it fetches."""
        ...

    def files(self, uri: str, limits: FetchLimits) -> Iterator[ArtifactFile]:
        """Files of the artifact, in any order; raises FetchError.

        A single file has the path SINGLE_FILE; files of a tree have relative paths with `/`. The
        pieces of a file are read before the next file is asked for.
        """
        ...
