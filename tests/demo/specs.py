"""The objects that the demo applies, as the user would write them. Pure.

Called by ``story`` and ``measure``. The model's text is printed to the user and applied as it is:
what is shown is what is done. It must never grow beyond ten lines.
"""

from __future__ import annotations

from tests.capacity import PACED_IMAGE

MODEL = "digits"
MAX_REPLICAS = 4
YARDSTICK = "yardstick"


def digits(
    namespace: str, uri: str, version: str, *, pace: int = 20, objective_milliseconds: int = 100
) -> str:
    """The ten lines; an inference takes ``pace`` milliseconds more than its CPU time."""
    return f"""\
apiVersion: modelfleet.dev/v1alpha1
kind: MLModel
metadata: {{name: {MODEL}, namespace: {namespace}}}
spec:
  model: {{uri: {uri}, version: {version}}}
  runtime: {{image: {PACED_IMAGE}, env: [{{name: PACE_MILLISECONDS, value: "{pace}"}}]}}
  resources: {{cpu: 100m}}
  objective: {{latencyMilliseconds: {objective_milliseconds}}}
  scaling: {{minReplicas: 0, maxReplicas: {MAX_REPLICAS}, concurrencyPerReplica: 1}}
"""


def yardstick(namespace: str, uri: str) -> str:
    """One replica of the same server whose inferences take no time of their own."""
    return f"""\
apiVersion: modelfleet.dev/v1alpha1
kind: MLModel
metadata: {{name: {YARDSTICK}, namespace: {namespace}}}
spec:
  model: {{uri: {uri}, version: one}}
  runtime: {{image: {PACED_IMAGE}, env: [{{name: PACE_MILLISECONDS, value: "0"}}]}}
  resources: {{cpu: 100m}}
  scaling: {{minReplicas: 1, maxReplicas: 1}}
"""


def contradiction(namespace: str, uri: str) -> str:
    """Refused by the API server."""
    return f"""\
apiVersion: modelfleet.dev/v1alpha1
kind: MLModel
metadata: {{name: contradiction, namespace: {namespace}}}
spec:
  model: {{uri: {uri}}}
  scaling: {{minReplicas: 5, maxReplicas: 2}}
"""


UNKNOWN = "unknown-runtime"


def unknown_runtime(namespace: str, uri: str) -> str:
    """Accepted by the API server; the operator says what is wrong in a condition."""
    return f"""\
apiVersion: modelfleet.dev/v1alpha1
kind: MLModel
metadata: {{name: {UNKNOWN}, namespace: {namespace}}}
spec:
  model: {{uri: {uri}}}
  runtime: {{name: onyx}}
"""
