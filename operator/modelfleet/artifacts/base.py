"""Fetchers of artifacts: their contract, their bounds, and their error.

A fetcher only opens files. `artifacts.fetch_command` bounds, checks and stores them, in the init
container of each replica and in the resolve pod. Must never hold a credential of the operator: the
namespace of a model is not ours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^/\s?#'\"]*@)?([^\s?#'\"]*)([?#][^\s'\"]*)?", re.IGNORECASE
)
SINGLE_FILE = ""
"""Path of the only file of an artifact that is not a tree."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch: bytes of all files, their number, seconds in all, redirects."""

    most_bytes: int = 20 * 1024**3
    most_files: int = 10_000
    most_seconds: float = 1800.0
    idle_seconds: float = 30.0
    most_redirects: int = 5


def masked(text: str) -> str:
    """Return a text in which no address holds a credential: a query may be a signature.

    Worked example: `https://me:pw@host/m.onnx?X-Sig=1 answers 403` becomes
    `https://host/m.onnx?... answers 403`.
    """
    return _ADDRESS.sub(lambda found: found[1] + found[2] + ("?..." if found[3] else ""), text)


class FetchError(Exception):
    """The artifact could not be fetched. `is_final`: another try will not help.

    The message holds no credential of an address: it goes into conditions and events.
    """

    def __init__(self, message: str, *, is_final: bool, reason: str = "FetchFailed") -> None:
        """`reason` is the condition reason that the operator sets."""
        super().__init__(masked(message))
        self.is_final = is_final
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of an artifact: its path below the artifact, and its bytes in pieces."""

    path: str
    chunks: Iterator[bytes]


class Fetcher(Protocol):
    """Fetcher for some URI schemes."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """URI schemes that it fetches."""
        ...

    def files(self, uri: str, limits: FetchLimits) -> Iterator[ArtifactFile]:
        """Yield the files of the artifact, in any order.

        A single file has the path SINGLE_FILE; files of a tree have relative paths with `/`. The
        caller reads the pieces of a file before it asks for the next file. Raises FetchError.
        """
        ...
