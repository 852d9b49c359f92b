"""Objects of an installation that are checked, read once from the API server.

A part that may not be read, or does not exist, is None: its checks say so. Must never change
anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelfleet.api import names
from modelfleet.cli.support.cluster import Cluster, ClusterError

Json = Mapping[str, Any]
OPERATOR, GATEWAY = "modelfleet-operator", names.GATEWAY_NAME
POLICY = "modelfleet-versions"
SETTINGS = "modelfleet-settings"
FORBIDDEN, MISSING = 403, 404


@dataclass(frozen=True, slots=True)
class Installation:
    """Objects of an installation, by what they are; a list is None where it may not be read."""

    server_version: str
    crds: Mapping[str, Json | None]
    operators: tuple[Json, ...] | None
    gateways: tuple[Json, ...] | None
    lease: Json | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    policy_binding: Json | None = None
    rights: Mapping[str, bool] = field(default_factory=dict)
    """Requests that the operator must be able to make: `create deployments` -> allowed."""
    dns_endpoints: int | None = None
    models: tuple[Json, ...] | None = ()
    quotas: tuple[Json, ...] | None = ()
    nodes: tuple[Json, ...] | None = ()
    denied: tuple[str, ...] = ()
    """Paths that may not be read."""


class Reader:
    """Reads parts and notes what it may not read."""

    def __init__(self, cluster: Cluster) -> None:
        """Read from this cluster."""
        self._cluster = cluster
        self.denied: list[str] = []

    def one(self, path: str) -> Json | None:
        """Return an object; None when it does not exist or may not be read."""
        try:
            return self._cluster.read(path)
        except ClusterError as fault:
            if fault.status == FORBIDDEN:
                self.denied.append(path)
            elif fault.status != MISSING:
                raise
            return None

    def many(self, path: str, **query: str) -> tuple[Json, ...] | None:
        """Return a list; None when it may not be read or its kind does not exist."""
        try:
            return tuple(self._cluster.read(path, **query)["items"])
        except ClusterError as fault:
            if fault.status not in {FORBIDDEN, MISSING}:
                raise
            self.denied += [path] if fault.status == FORBIDDEN else []
            return None

    def may(
        self, account: str, namespace: str, verb: str, group: str, resource: str
    ) -> bool | None:
        """Return whether a ServiceAccount may do something; None when that may not be asked."""
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "resourceAttributes": {"verb": verb, "group": group, "resource": resource},
            },
        }
        try:
            answer = self._cluster.create(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews", asked
            )
        except ClusterError:
            return None
        return bool(answer["status"].get("allowed"))


NEEDED_RIGHTS = (
    ("list", names.GROUP, names.MODEL_PLURAL),
    ("create", names.GROUP, names.VERSION_PLURAL),
    ("create", "apps", "deployments"),
    ("patch", "", "services"),
    ("list", "", "pods"),
)


def read_installation(cluster: Cluster) -> Installation:
    """Return what there is."""
    reader = Reader(cluster)
    extensions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    crds = {
        plural: reader.one(f"{extensions}/{plural}.{names.GROUP}")
        for plural in (names.MODEL_PLURAL, names.VERSION_PLURAL)
    }
    operators, gateways = (
        reader.many("/apis/apps/v1/deployments", labelSelector=f"app.kubernetes.io/name={name}")
        for name in (OPERATOR, GATEWAY)
    )
    home = str(operators[0]["metadata"]["namespace"]) if operators else ""
    settings = reader.one(f"/api/v1/namespaces/{home}/configmaps/{SETTINGS}") if home else None
    watched = str(((settings or {}).get("data") or {}).get("MODELFLEET_WATCH_NAMESPACES", ""))
    rights = {}
    if home and not watched:
        for verb, group, resource in NEEDED_RIGHTS:
            allowed = reader.may(OPERATOR, home, verb, group, resource)
            if allowed is not None:
                rights[f"{verb} {resource}"] = allowed
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    # Other clusters have another DNS, whose pods nobody knows here.
    dns_service = reader.one("/api/v1/namespaces/kube-system/services/kube-dns")
    dns = (
        None
        if dns_service is None
        else reader.many(
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
            labelSelector="kubernetes.io/service-name=kube-dns",
        )
    )
    models = f"/apis/{names.API_VERSION}/{names.MODEL_PLURAL}"
    leases = "/apis/coordination.k8s.io/v1/namespaces"
    return Installation(
        server_version=str(cluster.read("/version")["gitVersion"]),
        crds=crds,
        operators=operators,
        gateways=gateways,
        lease=reader.one(f"{leases}/{home}/leases/{OPERATOR}") if home else None,
        settings=(settings or {}).get("data") or {},
        policy_binding=reader.one(f"{policies}/{POLICY}"),
        rights=rights,
        dns_endpoints=None
        if dns is None
        else sum(len(each.get("endpoints") or []) for each in dns),
        models=reader.many(models) if crds[names.MODEL_PLURAL] else (),
        quotas=reader.many("/api/v1/resourcequotas"),
        nodes=reader.many("/api/v1/nodes"),
        denied=tuple(reader.denied),
    )
