"""Catalogue of probe kinds. A new one needs a file here, a line in PROBE_KINDS, and a test."""

from modelfleet.catalog.probes.base import (
    Exchange,
    ProbeAnswer,
    ProbeKind,
    ProbeOutcome,
    ProbeRequest,
    ProbeSpec,
)
from modelfleet.catalog.probes.grpc_health_probe import GrpcHealthProbe
from modelfleet.catalog.probes.open_inference_probe import OpenInferenceProbe

PROBE_KINDS: tuple[ProbeKind, ...] = (
    OpenInferenceProbe(),  # a request of ones, generated from the server's own metadata
    GrpcHealthProbe(),  # the server's own word, by the health checking protocol of gRPC
)

__all__ = [
    "PROBE_KINDS",
    "Exchange",
    "ProbeAnswer",
    "ProbeKind",
    "ProbeOutcome",
    "ProbeRequest",
    "ProbeSpec",
    "probe_kind_named",
]


def probe_kind_named(name: str) -> ProbeKind | None:
    """Return the kind of that name, or None."""
    return next((kind for kind in PROBE_KINDS if kind.name == name), None)
