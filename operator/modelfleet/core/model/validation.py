"""Checks of a spec that a schema cannot express, for `model.decide` and the command line alike.

Raises `Refused` with the field and what to do. Must never look at the cluster.
"""

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.catalog import runtimes, schemes, strategies
from modelfleet.core.scaling import schedules
from modelfleet.errors import Refused


def runtime_of(spec: MLModelSpec) -> runtimes.Runtime:
    """Return the runtime that the spec names or that its format implies; raises Refused."""
    known = ", ".join(runtime.name for runtime in runtimes.RUNTIMES)
    if spec.runtime.name is not None:
        named = runtimes.runtime_named(spec.runtime.name)
        if named is None:
            raise Refused(
                Reason.UNKNOWN_RUNTIME,
                f"runtime.name '{spec.runtime.name}' must be one of: {known}",
            )
        return named
    artifact_format = spec.model.format or _format_of(spec.model.uri or "")
    implied = runtimes.runtime_for_format(artifact_format)
    if implied is None:
        raise Refused(
            Reason.UNKNOWN_RUNTIME,
            "runtime.name or model.format must be set: model.uri does not end in a known format"
            f" such as .onnx (runtimes: {known})",
        )
    return implied


def check_names(spec: MLModelSpec) -> None:
    """Raise Refused for a name in no catalogue: the API server may know another release's."""
    if strategies.strategy_named(spec.rollout.strategy) is None:
        known = ", ".join(strategy.name for strategy in strategies.STRATEGIES)
        text = f"rollout.strategy '{spec.rollout.strategy}' must be one of: {known}"
        raise Refused(Reason.INVALID_SPEC, text)
    if spec.model.uri is not None and schemes.scheme_of(spec.model.uri) is None:
        known = " or ".join(f"{name}://" for name in schemes.scheme_names())
        raise Refused(Reason.INVALID_SPEC, f"model.uri must start with {known}")


def check_accelerator(spec: MLModelSpec, runtime: runtimes.Runtime) -> None:
    """Raise Refused for an accelerator that the runtime's own server would leave unused."""
    is_own_image = spec.runtime.image is not None
    if spec.resources.accelerator is None or runtime.uses_accelerator or is_own_image:
        return
    raise Refused(
        Reason.INVALID_SPEC,
        f"resources.accelerator: the server of runtime {runtime.name!r} computes on the CPU only;"
        " remove the accelerator, or set runtime.image to a server that uses it",
    )


def check_schedules(spec: MLModelSpec) -> None:
    """Raise Refused for the first window of `scaling.schedules` that cannot be parsed."""
    for schedule in spec.scaling.schedules or ():
        fault = schedules.fault(schedule)
        if fault is not None:
            raise Refused(Reason.INVALID_SPEC, fault)


def _format_of(uri: str) -> str:
    path = uri.split("?", 1)[0].split("#", 1)[0]
    name = path.rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[-1].lower() if "." in name else ""


def config_references(spec: MLModelSpec) -> tuple[tuple[str, str], ...]:
    """Return the ConfigMap names and keys whose content the version freezes, sorted."""
    references = set()
    for entry in spec.runtime.env or []:
        source = entry.value_from
        if source is not None and source.config_map_key_ref is not None:
            references.add((source.config_map_key_ref.name, source.config_map_key_ref.key))
    return tuple(sorted(references))
