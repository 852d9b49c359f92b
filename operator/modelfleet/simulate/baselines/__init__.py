"""Peers of the comparison, one file each, with the formulas of their own source code.

`comparison` runs them. Must never hold a formula of modelfleet.
"""

from modelfleet.simulate.baselines import hpa, keda, knative, kubeai, present, ray
from modelfleet.simulate.baselines.base import Peer

PEERS: tuple[Peer, ...] = (
    hpa.UTILISATION,
    hpa.CONCURRENCY,
    keda.PEER,
    knative.PEER,
    kubeai.PEER,
    ray.PEER,
    present.PEER,
)
