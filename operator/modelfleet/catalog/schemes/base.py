"""Protocol of an artifact scheme: the pod's part of a fetch, as plain data.

`build.pod` adds it to the container that fetches; `artifacts` has the code that fetches, under the
same names. Must never hold a credential: a scheme refers to Secrets of the model's namespace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modelfleet.api.mlmodel import MLModelSpec

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FetchShape:
    """Environment, volumes of the pod and mounts of the container that fetches."""

    env: tuple[Json, ...] = ()
    volumes: tuple[Json, ...] = ()
    mounts: tuple[Json, ...] = ()


class Scheme(Protocol):
    """Member of the catalogue."""

    @property
    def names(self) -> tuple[str, ...]:
        """Schemes of `model.uri`, without `://`."""
        ...

    def pod(self, spec: MLModelSpec) -> FetchShape:
        """Return the pod's part of a fetch of `spec.model.uri`."""
        ...
