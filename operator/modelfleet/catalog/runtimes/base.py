"""Protocol of a runtime: from a version of a model to a container.

`build.pod` turns the container into the pod template when `version.wanted_version` creates a
version. Must never use replicas, weights or any other value that is not frozen into the version.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.probes import ProbeSpec

ARTIFACT_FOLDER = "/model"


@dataclass(frozen=True, slots=True)
class PodShape:
    """Container of the model server, before resources and environment.

    `artifact_file` is the path of the fetched artifact; None when the image contains the model.
    `probe` is the admission probe of its replicas; None when none can be generated.
    """

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    port: int
    protocol: Literal["HTTP1", "H2C", "GRPC"]
    readiness_path: str | None
    artifact_file: str | None
    probe: ProbeSpec | None


class Runtime(Protocol):
    """Member of the catalogue."""

    @property
    def name(self) -> str:
        """Name of the runtime in a spec."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """Artifact formats for which this runtime is chosen when the spec names no runtime."""
        ...

    @property
    def uses_accelerator(self) -> bool:
        """Whether the runtime's own server computes on an accelerator that the pod has."""
        ...

    def pod(self, model: str, spec: MLModelSpec, server_image: str) -> PodShape:
        """Return the container for `model`; `server_image` is modelfleet's own server."""
        ...
