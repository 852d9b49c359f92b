"""The spec of a version, built from a model's spec and the operator's defaults of this moment.

`version.wanted_version` freezes it into an MLModelVersion. Must depend on its arguments only: equal
arguments give an equal body.
"""

from typing import Any

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.build.pod import pod_template
from modelfleet.core.model.validation import runtime_of
from modelfleet.core.model.version.version_hash import shape_hash
from modelfleet.facts.model import ModelFacts


def version_body(
    facts: ModelFacts, spec: MLModelSpec, source: str, digest: str | None, number: int
) -> dict[str, Any]:
    """Return the spec of version `number`; `digest` is that of the artifact, None without one."""
    runtime = runtime_of(spec)
    shape = runtime.pod(facts.key.name, spec, facts.defaults.server_image)
    name = names.version_name(facts.key.name, number)
    probe = shape.probe if spec.quality.generated_probes else None
    body: dict[str, Any] = {
        "model": facts.key.name,
        "number": number,
        "shape": shape_hash(spec, digest),
        "source": source,
        "runtime": runtime.name,
        "port": shape.port,
        "protocol": shape.protocol,
        "startupSeconds": spec.runtime.startup_seconds or 600,
        "shutdownSeconds": spec.runtime.shutdown_seconds or spec.traffic.request_timeout_seconds,
        "template": pod_template(
            name,
            facts.key.name,
            spec,
            shape,
            digest=digest,
            config=facts.config_maps,
            defaults=facts.defaults,
        ),
        "createdBy": facts.defaults.release,
    }
    if spec.model.uri is not None and digest is not None:
        body["artifact"] = {"uri": spec.model.uri, "digest": digest}
    if spec.model.version is not None:
        body["modelVersion"] = spec.model.version
    if probe is not None:
        body["probe"] = {"protocol": probe.protocol, "model": probe.model}
    return body
