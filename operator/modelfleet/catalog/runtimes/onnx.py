"""Runtime `onnx`: modelfleet's own server for ONNX models, Open Inference Protocol v2 over HTTP."""

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.probes import ProbeSpec
from modelfleet.catalog.probes.open_inference_probe import OpenInferenceProbe
from modelfleet.catalog.runtimes.base import ARTIFACT_FOLDER, PodShape

PORT = 8080


class OnnxRuntime:
    """The command `modelfleet serve` on the fetched artifact."""

    name = "onnx"
    formats = ("onnx",)
    uses_accelerator = False

    def pod(self, model: str, spec: MLModelSpec, server_image: str) -> PodShape:
        """Return a container that loads the artifact and serves it under the model's name."""
        file = f"{ARTIFACT_FOLDER}/model.onnx"
        own_args = ["serve", "--name", model, "--file", file, "--port", str(PORT)]
        seconds = spec.runtime.shutdown_seconds or spec.traffic.request_timeout_seconds
        # An argument that says the server's own default would make another version.
        if seconds != names.SHUTDOWN_SECONDS:
            own_args += [names.SHUTDOWN_ARGUMENT, str(seconds)]
        return PodShape(
            image=spec.runtime.image or server_image,
            command=(),
            args=(*own_args, *(spec.runtime.args or ())),
            port=PORT,
            protocol="HTTP1",
            readiness_path="/v2/health/ready",
            artifact_file=file,
            probe=ProbeSpec(OpenInferenceProbe.name, model),
        )
