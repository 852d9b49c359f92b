"""What a runtime is: how a version of a model becomes a container.

Implemented by the members of this catalogue, called by `model.wanted_version` when a version is
made. Must never look at replicas, weights or anything else that is not frozen into the version.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from modelfleet.api.mlmodel import MLModelSpec

ARTIFACT_FOLDER = "/model"


@dataclass(frozen=True, slots=True)
class PodShape:
    """The model server's container, before resources and environment.

    `artifact_file` is where the fetched artifact lies, None when the image carries the model.
    `probe_model` is the name to ask by Open Inference Protocol, None when no probe can be made.
    """

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    port: int
    protocol: Literal["HTTP1", "H2C", "GRPC"]
    readiness_path: str | None
    artifact_file: str | None
    probe_model: str | None


class Runtime(Protocol):
    """One member of the catalogue."""

    @property
    def name(self) -> str:
        """What a spec calls it."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """Artifact formats for which this runtime is chosen when the spec names none."""
        ...

    def pod(self, model: str, spec: MLModelSpec, server_image: str) -> PodShape:
        """Container for `model`; `server_image` is modelfleet's own server."""
        ...
