"""The objects that the demo applies, as the user would write them. Pure.

Called by ``story``. The model's text is printed to the user and applied as it is: what is shown is
what is done. It must never grow beyond ten lines.
"""

from __future__ import annotations

MODEL = "digits"
MOST_REPLICAS = 5


def digits(namespace: str, uri: str, version: str) -> str:
    """The ten lines."""
    return f"""\
apiVersion: modelfleet.dev/v1alpha1
kind: MLModel
metadata: {{name: {MODEL}, namespace: {namespace}}}
spec:
  model:
    uri: {uri}
    version: {version}
  resources: {{cpu: 100m}}
  objective: {{latencyMilliseconds: 100}}
  scaling: {{minReplicas: 0, maxReplicas: {MOST_REPLICAS}, concurrencyPerReplica: 1}}
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
