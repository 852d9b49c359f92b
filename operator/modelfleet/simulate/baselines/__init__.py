"""The peers, one file each, after research 02 section 1. Their formulas, never ours."""

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
