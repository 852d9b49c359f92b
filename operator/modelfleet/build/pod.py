"""Pod template of a version. Built once, then frozen into the MLModelVersion.

`version.wanted_version` puts it into the new version. Must never run for a version that exists: a
newer operator would build another template and restart the model.
"""

from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.api.base import quantity_text
from modelfleet.api.mlmodel import EnvVariable, MLModelSpec
from modelfleet.build.metadata import labels
from modelfleet.catalog.runtimes.base import ARTIFACT_FOLDER, PodShape
from modelfleet.catalog.schemes import FetchShape, scheme_of
from modelfleet.facts.model import Defaults

_USER = 65532
SERVER = "server"
"""Name of the container that serves."""
SCRATCH, SCRATCH_FOLDER = "tmp", "/tmp"
_DEFAULT_CPU = "250m"
_DEFAULT_MEMORY = "512Mi"
_STARTUP_PERIOD_SECONDS = 1


def pod_template(
    version: str,
    model: str,
    spec: MLModelSpec,
    shape: PodShape,
    *,
    digest: str | None,
    config: Mapping[tuple[str, str], str | None],
    defaults: Defaults,
) -> dict[str, Any]:
    """Return the pod template of `version`; `config` has the ConfigMap keys to freeze."""
    shutdown = spec.runtime.shutdown_seconds or spec.traffic.request_timeout_seconds
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": defaults.pre_stop_seconds + shutdown + 5,
        "containers": [_server(version, spec, shape, config, defaults)],
    }
    if shape.artifact_file and spec.model.uri and digest:
        fetching = _fetching(spec)
        pod["initContainers"] = [_fetch(spec.model.uri, digest, shape, fetching, defaults)]
        pod["volumes"] = [{"name": "model", "emptyDir": {}}, *fetching.volumes]
    if defaults.has_scratch:
        pod.setdefault("volumes", []).append({"name": SCRATCH, "emptyDir": {}})
    if defaults.has_spread:
        pod["topologySpreadConstraints"] = [_spread(model, version)]
    if spec.placement.node_selector:
        pod["nodeSelector"] = dict(spec.placement.node_selector)
    if spec.placement.tolerations:
        pod["tolerations"] = [
            t.model_dump(by_alias=True, exclude_none=True) for t in spec.placement.tolerations
        ]
    return {
        "metadata": {
            "labels": {
                **labels(model, version),
                names.LABEL_ROLE: names.ROLE_REPLICA,
                names.LABEL_IN_SERVICE: names.IN_SERVICE,
            }
        },
        "spec": pod,
    }


def _spread(model: str, version: str) -> dict[str, Any]:
    """Spread the replicas over nodes where there is room: one node must not take all of them."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {
            "matchLabels": {**labels(model, version), names.LABEL_ROLE: names.ROLE_REPLICA}
        },
    }


def _server(
    version: str,
    spec: MLModelSpec,
    shape: PodShape,
    config: Mapping[tuple[str, str], str | None],
    defaults: Defaults,
) -> dict[str, Any]:
    startup = spec.runtime.startup_seconds or 600
    container: dict[str, Any] = {
        "name": SERVER,
        "image": shape.image,
        "imagePullPolicy": defaults.image_pull_policy,
        "ports": [{"name": "serve", "containerPort": shape.port, "protocol": "TCP"}],
        "resources": _resources(spec),
        "securityContext": _restricted(),
        "lifecycle": {"preStop": {"sleep": {"seconds": defaults.pre_stop_seconds}}},
        "startupProbe": {
            **_check(shape),
            "periodSeconds": _STARTUP_PERIOD_SECONDS,
            "failureThreshold": startup // _STARTUP_PERIOD_SECONDS,
        },
        "readinessProbe": {**_check(shape), "periodSeconds": 5, "failureThreshold": 3},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if shape.command:
        container["command"] = list(shape.command)
    if shape.args:
        container["args"] = list(shape.args)
    own = [_variable(entry, config) for entry in spec.runtime.env or []]
    container["env"] = [{"name": "MODELFLEET_VERSION", "value": version}, *own]
    mounts: list[dict[str, Any]] = []
    if shape.artifact_file:
        mounts.append({"name": "model", "mountPath": ARTIFACT_FOLDER, "readOnly": True})
    if defaults.has_scratch:
        # The root is read-only, and most servers need a place for a temporary file or a cache.
        mounts.append({"name": SCRATCH, "mountPath": SCRATCH_FOLDER})
        if all(entry["name"] != "HOME" for entry in own):
            container["env"].append({"name": "HOME", "value": SCRATCH_FOLDER})
    if mounts:
        container["volumeMounts"] = mounts
    if defaults.pre_stop_seconds == 0:
        del container["lifecycle"]
    return container


def fetch_arguments(uri: str, *more: str) -> list[str]:
    """Return the command line of `modelfleet fetch`."""
    return ["fetch", "--uri", uri, *more]


def _fetching(spec: MLModelSpec) -> FetchShape:
    scheme = scheme_of(spec.model.uri or "")
    return FetchShape() if scheme is None else scheme.pod(spec)


def _fetch(
    uri: str, digest: str, shape: PodShape, fetching: FetchShape, defaults: Defaults
) -> dict[str, Any]:
    container = {
        "name": "fetch",
        "image": defaults.server_image,
        "imagePullPolicy": defaults.image_pull_policy,
        "args": fetch_arguments(uri, "--digest", digest, "--target", str(shape.artifact_file)),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": _restricted(),
        "volumeMounts": [{"name": "model", "mountPath": ARTIFACT_FOLDER}, *fetching.mounts],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return _with_env(container, fetching)


def _with_env(container: dict[str, Any], fetching: FetchShape) -> dict[str, Any]:
    return {**container, "env": list(fetching.env)} if fetching.env else container


def resolve_pod_spec(spec: MLModelSpec, digest: str | None, defaults: Defaults) -> dict[str, Any]:
    """Return the spec of the one-shot pod that reports a digest in its termination message."""
    fetching = _fetching(spec)
    more = ("--resolve",) if digest is None else ("--resolve", "--digest", digest)
    container: dict[str, Any] = {
        "name": "resolve",
        "image": defaults.server_image,
        "imagePullPolicy": defaults.image_pull_policy,
        "args": fetch_arguments(spec.model.uri or "", *more),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": _restricted(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if fetching.mounts:
        container["volumeMounts"] = list(fetching.mounts)
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 1,
        "containers": [_with_env(container, fetching)],
    }
    if fetching.volumes:
        pod["volumes"] = list(fetching.volumes)
    return pod


def _restricted() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _resources(spec: MLModelSpec) -> dict[str, Any]:
    cpu, memory = spec.resources.cpu, spec.resources.memory
    memory = quantity_text(_DEFAULT_MEMORY if memory is None else memory)
    requests = {"cpu": quantity_text(_DEFAULT_CPU if cpu is None else cpu), "memory": memory}
    limits = {"memory": memory}
    if spec.resources.accelerator is not None:
        count = str(spec.resources.accelerator.count)
        requests["nvidia.com/gpu"] = count
        limits["nvidia.com/gpu"] = count
    return {"requests": requests, "limits": limits}


def _check(shape: PodShape) -> dict[str, Any]:
    if shape.readiness_path is None:
        return {"tcpSocket": {"port": shape.port}, "timeoutSeconds": 2}
    return {"httpGet": {"path": shape.readiness_path, "port": shape.port}, "timeoutSeconds": 2}


def _variable(entry: EnvVariable, config: Mapping[tuple[str, str], str | None]) -> dict[str, Any]:
    """Return one variable: a Secret stays a reference, the content of a ConfigMap is frozen."""
    source = entry.value_from
    if source is None:
        return {"name": entry.name, "value": entry.value or ""}
    if source.config_map_key_ref is not None:
        reference = source.config_map_key_ref
        return {"name": entry.name, "value": config.get((reference.name, reference.key)) or ""}
    return {
        "name": entry.name,
        "valueFrom": source.model_dump(by_alias=True, exclude_none=True),
    }


def image_of(template: Mapping[str, Any]) -> str:
    """Return the server's image in a stored template; empty where it cannot be read."""
    containers = (template.get("spec") or {}).get("containers") or ()
    servers = (c for c in containers if isinstance(c, Mapping) and c.get("name") == SERVER)
    return next((str(server.get("image") or "") for server in servers), "")
