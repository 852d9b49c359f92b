"""Names that modelfleet uses on a cluster: labels, annotations, field managers, objects.

Every module that writes or reads a Kubernetes object takes its names from here. Must never hold a
decision. Running pods carry these values, so a change needs a migration.
"""

from typing import Final

GROUP: Final = "modelfleet.dev"
API_VERSION: Final = f"{GROUP}/v1alpha1"
MODEL_KIND: Final = "MLModel"
MODEL_PLURAL: Final = "mlmodels"
VERSION_KIND: Final = "MLModelVersion"
VERSION_PLURAL: Final = "mlmodelversions"

FIELD_MANAGER: Final = "modelfleet"
SCALE_FIELD_MANAGER: Final = "modelfleet-scale"

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "modelfleet"
LABEL_MODEL: Final = f"{GROUP}/model"
LABEL_VERSION: Final = f"{GROUP}/version"
LABEL_ROLE: Final = f"{GROUP}/role"
LABEL_IN_SERVICE: Final = f"{GROUP}/in-service"
"""In the selector of a version's Service, not of its ReplicaSet: `false` ends a pod's traffic."""

ROLE_REPLICA: Final = "replica"
ROLE_RESOLVE: Final = "resolve"
IN_SERVICE: Final = "true"
OUT_OF_SERVICE: Final = "false"

ANNOTATION_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
ANNOTATION_SOURCE: Final = f"{GROUP}/source"
"""On a resolve pod: hash of the source whose digest the pod determines."""
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"

GATEWAY_NAME: Final = "modelfleet-gateway"
"""Service and Deployment of the gateways; the Service for clients outside ends in `-external`."""
GATEWAY_LINK_SECRET: Final = "modelfleet-gateway-link"  # noqa: S105 - the name of a Secret
GATEWAY_LINK_HOST: Final = "modelfleet-gateway-link"
"""Name in the link's certificate, whatever address the leader connects to."""

PORT_CLUSTER: Final = 8081
"""Envoy's listener for clients in the cluster; the gateway Service maps port 80 to it."""
PORT_EXTERNAL: Final = 8080
"""Envoy's listener for clients outside; only for models whose exposure is External."""
PORT_LINK: Final = 9443
"""The agent's stream to the leader: observations, acknowledgements, held counts, probe results."""
PORT_HOLDER: Final = 9444
"""The agent's holder: holds requests of models that have no replica."""
PORT_AGENT_HEALTH: Final = 9445
PORT_OPERATOR_HEALTH: Final = 9446

MAX_MODEL_NAME: Final = 50


SHUTDOWN_ARGUMENT: Final = "--shutdown-seconds"
SHUTDOWN_SECONDS: Final = 60
"""Default of the own server: for so long it finishes requests after the signal to stop."""


def version_name(model: str, number: int) -> str:
    """Return the name of a version: `churn` and 3 give `churn-v3`."""
    return f"{model}-v{number}"


def budget_name(model: str) -> str:
    """Return the name of a model's PodDisruptionBudget."""
    return f"{model}-replicas"


def version_number(model: str, version: str) -> int:
    """Invert `version_name`; raises ValueError when `version` is not one of `model`'s."""
    prefix = f"{model}-v"
    if not version.startswith(prefix):
        msg = f"{version!r} is not a version of model {model!r}"
        raise ValueError(msg)
    return int(version.removeprefix(prefix))
