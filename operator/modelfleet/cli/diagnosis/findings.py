"""Checks of an installation: each looks at the facts and says what it finds, and what mends it.

A new check needs a function here and a line in CHECKS. Must never read the cluster.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal

from modelfleet import __version__
from modelfleet.api.base import exact_amount
from modelfleet.cli.diagnosis.installation import GATEWAY, OPERATOR, Installation, Json
from modelfleet.cli.support.model_state import state_of
from modelfleet.crds.structural import crds as our_crds

LEAST_KUBERNETES = (1, 30)
LEAST_GATEWAYS = 2
STALE_LEASE_SECONDS = 60
NEARLY_FULL = Fraction(9, 10)
GPU = "nvidia.com/gpu"
INSTALL = (
    "helm upgrade --install modelfleet charts/modelfleet -n modelfleet-system --create-namespace"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and the command that mends or shows it; empty when all is well."""

    level: Literal["ok", "warning", "fault", "unknown"]
    text: str
    mend: str = ""


Findings = Iterator[Finding]


def kubernetes_version(found: Installation) -> Findings:
    """Kubernetes is new enough for native sidecars and admission policies."""
    major, minor, *_ = found.server_version.removeprefix("v").split(".")
    if (int(major), int(minor)) < LEAST_KUBERNETES:
        least = ".".join(map(str, LEAST_KUBERNETES))
        yield Finding("fault", f"Kubernetes {found.server_version} is older than {least}")
    else:
        yield Finding("ok", f"Kubernetes {found.server_version}")


def crds(found: Installation) -> Findings:
    """The kinds exist and have the fields of this release."""
    ours = {
        manifest["spec"]["names"]["plural"]: manifest["spec"]["versions"][0]["schema"]
        for manifest in our_crds()
    }
    for plural, crd in found.crds.items():
        if crd is None:
            yield Finding("fault", f"the kind {plural} does not exist", INSTALL)
            continue
        theirs = crd["spec"]["versions"][0]["schema"]
        more, fewer = (
            _fields(ours[plural]) - _fields(theirs),
            _fields(theirs) - _fields(ours[plural]),
        )
        if more:
            text = f"{plural} lacks fields of this release, such as {min(more)}"
            yield Finding("fault", text, "kubectl apply --server-side -f crds/")
        elif fewer:
            text = f"{plural} has fields that this command does not know, such as {min(fewer)}"
            yield Finding("warning", text, "install the newer modelfleet command")
        else:
            yield Finding("ok", f"{plural} is that of this release")


def _fields(schema: Any, path: str = "") -> set[str]:
    fields: set[str] = set()
    if isinstance(schema, Mapping):
        for key, part in schema.items():
            if key == "properties":
                for name, below in part.items():
                    fields |= {f"{path}.{name}", *_fields(below, f"{path}.{name}")}
            else:
                fields |= _fields(part, path)
    return {field.removeprefix(".") for field in fields}


def deployments(found: Installation) -> Findings:
    """Operator and gateways are there, ready, and of this release."""
    parts = ((OPERATOR, found.operators, 1), (GATEWAY, found.gateways, LEAST_GATEWAYS))
    for name, deployed, least in parts:
        if deployed is None:
            yield Finding("unknown", f"{name}: Deployments may not be read")
            continue
        if not deployed:
            is_off = name == GATEWAY and found.settings.get("MODELFLEET_GATEWAY") == "Off"
            level: Literal["ok", "fault"] = "ok" if is_off else "fault"
            yield Finding(level, f"{name} is not installed", "" if is_off else INSTALL)
            continue
        if len({each["metadata"]["namespace"] for each in deployed}) > 1:
            spaces = ", ".join(sorted(each["metadata"]["namespace"] for each in deployed))
            yield Finding("warning", f"{name} is installed in several namespaces: {spaces}")
        for each in deployed:
            yield from _deployment(name, each, least)


def _deployment(name: str, deployment: Json, least: int) -> Findings:
    namespace = deployment["metadata"]["namespace"]
    ready = (deployment.get("status") or {}).get("readyReplicas", 0)
    wanted = deployment["spec"].get("replicas", 1)
    show = f"kubectl -n {namespace} describe pods -l app.kubernetes.io/name={name}"
    if ready == 0:
        yield Finding("fault", f"{name}: no replica is ready", show)
    elif ready < wanted:
        yield Finding("warning", f"{name}: {ready} of {wanted} replicas are ready", show)
    elif ready < least:
        scale = f"kubectl -n {namespace} scale deployment/{name} --replicas={least}"
        yield Finding("warning", f"{name}: one alone loses requests when it goes", scale)
    else:
        yield Finding("ok", f"{name}: {ready} ready in {namespace}")
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    tag = image.partition("@")[0].rpartition(":")[2]
    if "@" not in image and tag not in {__version__, "dev"}:
        yield Finding("warning", f"{name} is release {tag}, this command {__version__}", INSTALL)


def leader(found: Installation) -> Findings:
    """An operator leads."""
    if not found.operators:
        return
    renewed = ((found.lease or {}).get("spec") or {}).get("renewTime")
    if not renewed:
        yield Finding("fault", "no operator leads: the Lease was never taken", _logs(found))
        return
    age = (datetime.now(UTC) - datetime.fromisoformat(renewed)).total_seconds()
    if age > STALE_LEASE_SECONDS:
        yield Finding("fault", f"no operator leads: the Lease is {age:.0f} s old", _logs(found))
    else:
        yield Finding("ok", f"{found.lease['spec']['holderIdentity']} leads")  # type: ignore[index]


def _logs(found: Installation) -> str:
    namespace = found.operators[0]["metadata"]["namespace"] if found.operators else ""
    return f"kubectl -n {namespace} logs deployment/{OPERATOR} --tail=50"


def rights(found: Installation) -> Findings:
    """The operator may do what it needs to do."""
    missing = [right for right, is_allowed in found.rights.items() if not is_allowed]
    if missing:
        yield Finding("fault", f"the operator may not {', '.join(missing)}", INSTALL)
    elif found.rights:
        yield Finding("ok", "the operator has its rights")
    elif found.operators and not found.settings.get("MODELFLEET_WATCH_NAMESPACES"):
        yield Finding("unknown", "rights of the operator: you may not ask for them")


def admission(found: Installation) -> Findings:
    """Only the operator writes versions."""
    if found.policy_binding is not None:
        yield Finding("ok", "only the operator writes versions")
    elif not any("validatingadmission" in path for path in found.denied):
        text = "everybody who may write MLModelVersions deploys any pod: the policy is missing"
        yield Finding("warning", text, "kubectl apply -f manifests/base/policy.yaml")


def dns(found: Installation) -> Findings:
    """Clients in the cluster find a model by its name."""
    if found.dns_endpoints == 0:
        text = "the DNS of the cluster has no pod that is ready: models have no name"
        yield Finding("warning", text, "kubectl -n kube-system get pods -l k8s-app=kube-dns")
    elif found.dns_endpoints:
        yield Finding("ok", f"DNS of the cluster: {found.dns_endpoints} endpoints")


def prometheus(found: Installation) -> Findings:
    """Models whose signals come from a Prometheus get them."""
    users = [
        _name(model)
        for model in found.models or ()
        if ((model.get("spec") or {}).get("scaling") or {}).get("signals")
    ]
    if not users:
        return
    if not found.settings.get("MODELFLEET_PROMETHEUS_URL"):
        text = f"{users[0]} has scaling.signals, but the operator has no Prometheus"
        yield Finding("fault", text, f"{INSTALL} --set settings.prometheusUrl=http://...")
    else:
        yield Finding("ok", f"Prometheus at {found.settings['MODELFLEET_PROMETHEUS_URL']}")


def quotas(found: Installation) -> Findings:
    """Namespaces with models have room for another replica."""
    spaces = {model["metadata"]["namespace"] for model in found.models or ()}
    for quota in found.quotas or ():
        namespace, status = quota["metadata"]["namespace"], quota.get("status") or {}
        for resource, hard in (status.get("hard") or {}).items() if namespace in spaces else ():
            used, most = exact_amount(status["used"].get(resource, "0")), exact_amount(hard)
            if most and used >= NEARLY_FULL * most:
                text = (
                    f"quota {namespace}/{quota['metadata']['name']}: {resource} is nearly used up"
                )
                show = f"kubectl -n {namespace} describe quota {quota['metadata']['name']}"
                yield Finding("warning", f"{text} ({status['used'][resource]} of {hard})", show)


def accelerators(found: Installation) -> Findings:
    """There are accelerators for the models that ask for them."""
    users = [
        _name(model)
        for model in found.models or ()
        if ((model.get("spec") or {}).get("resources") or {}).get("accelerator")
    ]
    if not users or found.nodes is None:
        return
    there = sum(
        exact_amount(((node.get("status") or {}).get("allocatable") or {}).get(GPU, "0"))
        for node in found.nodes
    )
    if there == 0:
        text = f"{users[0]} asks for an accelerator, but no node offers {GPU}"
        yield Finding("fault", text, "install the device plugin of your accelerators")
    else:
        yield Finding("ok", f"{there} {GPU} for {len(users)} models that ask for some")


def models(found: Installation) -> Findings:
    """How the models are."""
    if found.models is None:
        yield Finding("unknown", "models may not be read in all namespaces")
        return
    degraded = [model for model in found.models if state_of(model).health == "Degraded"]
    for model in degraded[:5]:
        meta = model["metadata"]
        show = f"kubectl modelfleet status {meta['name']} -n {meta['namespace']}"
        yield Finding("fault", f"{_name(model)}: {state_of(model).message}", show)
    if not degraded:
        yield Finding("ok", f"{len(found.models)} models, none degraded")


def _name(model: Json) -> str:
    return f"{model['metadata']['namespace']}/{model['metadata']['name']}"


CHECKS: tuple[Callable[[Installation], Findings], ...] = (
    kubernetes_version,
    crds,
    deployments,
    leader,
    rights,
    admission,
    dns,
    prometheus,
    quotas,
    accelerators,
    models,
)


def examine(found: Installation) -> list[Finding]:
    """Return the findings of all checks, in their order."""
    return [finding for check in CHECKS for finding in check(found)]
