"""Runtime `custom`: the user's own image, with the user's own command, port and readiness path."""

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.probes import ProbeSpec
from modelfleet.catalog.probes.grpc_health_probe import GrpcHealthProbe
from modelfleet.catalog.runtimes.base import ARTIFACT_FOLDER, PodShape


class CustomRuntime:
    """The user's image; an artifact, if there is one, is at `/model/artifact`."""

    name = "custom"
    formats: tuple[str, ...] = ()
    uses_accelerator = True

    def pod(self, model: str, spec: MLModelSpec, server_image: str) -> PodShape:  # noqa: ARG002 - the protocol's signature
        """Return the container of the spec; a gRPC server has no HTTP readiness path."""
        runtime = spec.runtime
        protocol = runtime.protocol or "HTTP1"
        path = runtime.readiness_path or "/"
        return PodShape(
            image=runtime.image or "",
            command=tuple(runtime.command or ()),
            args=tuple(runtime.args or ()),
            port=runtime.port or 8080,
            protocol=protocol,
            readiness_path=path if protocol == "HTTP1" else None,
            artifact_file=f"{ARTIFACT_FOLDER}/artifact" if spec.model.uri else None,
            probe=ProbeSpec(GrpcHealthProbe.name, model) if protocol == "GRPC" else None,
        )
