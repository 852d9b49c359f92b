"""Values of the Helm chart: names, types, defaults and their words, in one place.

`chart.generate` writes `values.yaml`, `values.schema.json` and the chart's README from it. Each
object is closed: an unknown value is an error with its name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from modelfleet.api.base import ApiObject
from modelfleet.settings import Settings

SET_BY_CHART = {
    *("namespace", "watch_namespaces", "pod_name", "server_image", "image_pull_policy"),
    *("state_dir", "run_dir", "link_dir", "kube_context", "health_address", "health_port"),
    "lease_name",
}
"""Settings that follow from other values of the chart, or that its objects rely on."""

Text = Annotated[str, Field(max_length=512)]
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Labels = dict[str, str]
Amount = Annotated[str, Field(pattern=r"^[0-9.]+([eE][0-9]+|[numkMGTPE]|[KMGTPE]i)?$")]


class Closed(BaseModel):
    """An object of the values without other names."""

    model_config = ApiObject.model_config


class ImageValues(Closed):
    """An image."""

    repository: Annotated[str, Field(min_length=1, max_length=512)]
    """Name of the image, after the registry."""
    tag: Text = ""
    """Tag; empty means the version of the chart's application."""
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    """Digest, `sha256:` and 64 digits; it is used instead of the tag."""


class ImagesValues(Closed):
    """Images of all containers."""

    registry: Text = ""
    """Registry of all images, such as `registry.example.com/team`."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """Pull policy of all images, those of models included."""
    pull_secrets: list[DnsLabel] = []
    """Names of Secrets with which operator and gateways pull their images."""
    operator: ImageValues = ImageValues(repository="modelfleet/operator")
    """The operator."""
    agent: ImageValues = ImageValues(repository="modelfleet/agent")
    """The agent beside each Envoy."""
    envoy: ImageValues = ImageValues(repository="envoyproxy/envoy", tag="ENVOY")
    """Envoy; releases before 1.37 do not work."""
    server: ImageValues = ImageValues(repository="modelfleet/server")
    """The server of ONNX models, which also fetches artifacts."""


class Amounts(Closed):
    """Amounts of resources."""

    cpu: Amount | None = None
    """CPU."""
    memory: Amount | None = None
    """Memory."""
    ephemeral_storage: Annotated[Amount | None, Field(alias="ephemeral-storage")] = None
    """Space on the node's disk."""


class ResourceValues(Closed):
    """Resources of a container."""

    requests: Amounts = Amounts()
    """What the scheduler reserves."""
    limits: Amounts = Amounts()
    """What the container may use at most."""


def resources(cpu: str, memory: str, limit: str) -> ResourceValues:
    """Requests, and a limit for memory alone: a limit of CPU makes latency worse."""
    return ResourceValues(requests=Amounts(cpu=cpu, memory=memory), limits=Amounts(memory=limit))


class PlacedValues(Closed):
    """Where pods run."""

    node_selector: Labels = {}
    """Labels that a node must have."""
    tolerations: list[dict[str, Any]] = []
    """Taints that the pods tolerate, as in a pod."""
    affinity: dict[str, Any] = {}
    """Affinity, as in a pod. Pods of one kind are spread over nodes without it, too."""
    priority_class_name: Text = ""
    """Name of a PriorityClass."""
    pod_labels: Labels = {}
    """More labels of the pods."""
    pod_annotations: Labels = {}
    """More annotations of the pods."""


class MemoryValues(Closed):
    """Memory of the autoscaler: what it has learned of each model."""

    persistent: bool = False
    """Whether a PersistentVolumeClaim keeps it when the operator's pod goes."""
    size: Amount = "4Gi"
    """Size of the volume; 1,000 busy models need 256 MiB."""
    storage_class_name: Text = ""
    """StorageClass of the claim; empty means the cluster's default."""
    access_modes: list[Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]] = [
        "ReadWriteOnce"
    ]
    """Access modes of the claim; two operators need `ReadWriteMany`."""


class OperatorValues(PlacedValues):
    """The operator."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Operators; one leads, the others stand by and take over within seconds."""
    resources: ResourceValues = resources("100m", "128Mi", "1Gi")
    """Resources of an operator."""
    memory: MemoryValues = MemoryValues()
    """Memory of the autoscaler."""


class EnvoyValues(Closed):
    """Envoy of a gateway."""

    concurrency: Annotated[int, Field(ge=1, le=128)] = 2
    """Threads that carry requests."""
    resources: ResourceValues = resources("100m", "128Mi", "1Gi")
    """Resources of Envoy."""


class AgentValues(Closed):
    """Agent of a gateway."""

    resources: ResourceValues = resources("100m", "128Mi", "1Gi")
    """Resources of the agent; it holds up to 512 MiB of requests to models that start."""


class ExternalServiceValues(Closed):
    """The Service for clients from outside the cluster."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service."""
    annotations: Labels = {}
    """Annotations, such as those of a cloud's load balancer."""


class GatewayValues(PlacedValues):
    """The gateways, which carry every request."""

    replicas: Annotated[int, Field(ge=2, le=64)] = 2
    """Gateways; two at least, so that one can go."""
    envoy: EnvoyValues = EnvoyValues()
    """Envoy."""
    agent: AgentValues = AgentValues()
    """The agent beside Envoy."""
    external_service: ExternalServiceValues = ExternalServiceValues()
    """The Service for clients from outside the cluster."""


class Switch(Closed):
    """Objects that can be left out."""

    enabled: bool = True
    """Whether they are installed."""


class NetworkPolicyValues(Switch):
    """NetworkPolicies of operator and gateways."""

    client_namespace_labels: Labels = {}
    """Labels of namespaces whose pods may call models; empty lets every pod of the cluster."""
    monitoring_namespace_labels: Labels = {}
    """Labels of namespaces whose pods may read metrics; empty lets every pod of the cluster."""


class CrdValues(Closed):
    """The CustomResourceDefinitions."""

    install: bool = True
    """Whether the chart installs and upgrades them."""
    keep: bool = True
    """Whether they, and with them all models, stay when the chart is uninstalled."""


class MonitoringValues(Closed):
    """Objects for Prometheus and Grafana; the first two need the prometheus-operator."""

    pod_monitors: bool = False
    """Whether PodMonitors for operator and gateways are installed."""
    rules: bool = False
    """Whether a PrometheusRule with all alerts is installed; each alert has a runbook."""
    runbook_url: Text = ""
    """Address of a copy of this repository, before `docs/runbooks/` in alerts; empty: no prefix."""
    dashboards: bool = False
    """Whether ConfigMaps with dashboards are installed; Grafana's sidecar finds their label."""
    interval: Annotated[str, Field(pattern=r"^[0-9]+(ms|s|m)$")] = "15s"
    """Time between two scrapes."""
    labels: Labels = {}
    """Labels by which your Prometheus selects monitors and rules."""


def _settings() -> type[Closed]:
    """The settings of all processes that a user may choose, each optional."""
    fields: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name not in SET_BY_CHART:
            kept = Field(None, description=f"{field.description} (`{field.default}`)")
            kept.metadata = list(field.metadata)
            fields[name] = (field.annotation, kept)
    return create_model(
        "SettingsValues", __base__=Closed, __doc__="Settings of all processes.", **fields
    )


SettingsValues = _settings()


class Values(Closed):
    """Values of the chart."""

    images: ImagesValues = ImagesValues()
    """Images."""
    watch_namespaces: Annotated[list[DnsLabel], Field(json_schema_extra={"uniqueItems": True})] = []
    """Namespaces to serve. Empty serves all; else only Roles in these are granted."""
    settings: SettingsValues = SettingsValues()  # type: ignore[valid-type]
    """Settings of all processes; what is left out has the default in brackets."""
    operator: OperatorValues = OperatorValues()
    """The operator."""
    gateway: GatewayValues = GatewayValues()
    """The gateways."""
    crds: CrdValues = CrdValues()
    """The CustomResourceDefinitions."""
    admission_policy: Switch = Switch()
    """The ValidatingAdmissionPolicy by which only the operator writes versions."""
    user_roles: Switch = Switch()
    """Roles for users, aggregated to Kubernetes' own view, edit and admin."""
    network_policies: NetworkPolicyValues = NetworkPolicyValues()
    """NetworkPolicies."""
    pod_disruption_budgets: Switch = Switch()
    """PodDisruptionBudgets of gateways and, with two, of operators."""
    monitoring: MonitoringValues = MonitoringValues()
    """Objects for Prometheus and Grafana."""
