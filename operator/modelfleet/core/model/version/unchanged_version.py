"""The existing version that a spec still means, although its text has changed.

`version.wanted_version` asks before it creates a version: an edit that changes neither pods nor
probe must not restart a model. A version is built from the spec once more, with the frozen digest,
image and ConfigMap content of the existing one, and both are compared by value.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelfleet.api import names
from modelfleet.api.base import exact_amount
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.mlmodelversion import MLModelVersionSpec
from modelfleet.build.pod import SCRATCH
from modelfleet.core.model.version.version_body import version_body
from modelfleet.facts.model import Defaults, ModelFacts, VersionFacts

_IGNORED = ("number", "shape", "source", "createdBy")
_EMPTY: tuple[Any, ...] = (None, "", {}, [])
_AMOUNTS = ("requests", "limits")


def unchanged_version(facts: ModelFacts, spec: MLModelSpec) -> VersionFacts | None:
    """Return the newest version that a version of this spec would equal, or None."""
    for version in sorted(facts.versions, key=lambda v: -v.number):
        if not version.is_terminating and _is_meant(facts, spec, version):
            return version
    return None


def _is_meant(facts: ModelFacts, spec: MLModelSpec, version: VersionFacts) -> bool:
    artifact = version.spec.artifact
    uri, digest = (artifact.uri, artifact.digest) if artifact is not None else (None, None)
    is_other = spec.model.uri != uri or spec.model.digest not in {None, digest}
    if is_other or not version.template.get("spec", {}).get("containers"):
        return False
    frozen = replace(
        facts,
        defaults=_frozen_defaults(facts.defaults, version.template),
        config_maps=_frozen_config(spec, version.template),
    )
    if spec.runtime.shutdown_seconds is None:
        # Without an own value the version took the time-out of that moment.
        seconds = {"request_timeout_seconds": version.spec.shutdown_seconds}
        spec = spec.model_copy(update={"traffic": spec.traffic.model_copy(update=seconds)})
    body = version_body(frozen, spec, version.spec.source, digest, version.number)
    return _compared(MLModelVersionSpec.model_validate(body)) == _compared(version.spec)


def _compared(spec: MLModelVersionSpec) -> dict[str, Any]:
    body = spec.model_dump(by_alias=True, exclude_none=True, mode="json")
    # `shutdownSeconds` says the same; versions of earlier releases have no argument for it.
    pair = [names.SHUTDOWN_ARGUMENT, str(spec.shutdown_seconds)]
    for container in body["template"].get("spec", {}).get("containers", []):
        container["args"] = _without(container.get("args") or [], pair)
    fields: dict[str, Any] = canonical({k: v for k, v in body.items() if k not in _IGNORED})
    return fields


def _without(args: Sequence[str], pair: Sequence[str]) -> list[str]:
    """Return the arguments without the first two neighbors that equal `pair`."""
    for at in range(len(args) - 1):
        if list(args[at : at + 2]) == list(pair):
            return [*args[:at], *args[at + 2 :]]
    return list(args)


def _frozen_defaults(defaults: Defaults, template: Mapping[str, Any]) -> Defaults:
    """Return the operator's defaults as they were when the template was built."""
    pod = template["spec"]
    server = pod["containers"][0]
    fetching = pod.get("initContainers") or []
    sleep = ((server.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
    return replace(
        defaults,
        server_image=fetching[0]["image"] if fetching else defaults.server_image,
        image_pull_policy=server.get("imagePullPolicy", defaults.image_pull_policy),
        pre_stop_seconds=int(sleep.get("seconds", 0)),
        has_spread=bool(pod.get("topologySpreadConstraints")),
        has_scratch=any(volume["name"] == SCRATCH for volume in pod.get("volumes") or []),
    )


def _frozen_config(
    spec: MLModelSpec, template: Mapping[str, Any]
) -> dict[tuple[str, str], str | None]:
    """Return the ConfigMap content that the template has: a later change of it is no news."""
    values = {e["name"]: e.get("value") for e in template["spec"]["containers"][0].get("env") or []}
    content: dict[tuple[str, str], str | None] = {}
    for entry in spec.runtime.env or []:
        source = entry.value_from
        if source is not None and source.config_map_key_ref is not None:
            reference = source.config_map_key_ref
            content[reference.name, reference.key] = values.get(entry.name)
    return content


def canonical(value: Any, key: str = "") -> Any:
    """Return a form in which equal pods are equal.

    Empty values are left out, amounts are numbers, and lists whose order has no meaning are sorted.
    Worked example: {'limits': {'memory': '1024Mi'}, 'env': []} is {'limits': {'memory':
    '1073741824'}}.
    """
    if isinstance(value, Mapping):
        fields = {name: canonical(item, name) for name, item in value.items()}
        if key in _AMOUNTS:
            fields = {name: _amount(item) for name, item in fields.items()}
        return {name: item for name, item in fields.items() if item not in _EMPTY}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [canonical(item) for item in value]
        has_order = key not in {"env", "tolerations"} or (key == "env" and _has_references(items))
        return items if has_order else sorted(items, key=lambda i: json.dumps(i, sort_keys=True))
    return value


def _amount(value: Any) -> Any:
    try:
        return str(exact_amount(value))
    except ValueError:
        return value


def _has_references(env: Sequence[Any]) -> bool:
    """Return whether a variable refers to one before it, so that the order has a meaning."""
    names = [entry.get("name") for entry in env]
    return len(set(names)) < len(names) or any("$(" in str(entry.get("value")) for entry in env)
