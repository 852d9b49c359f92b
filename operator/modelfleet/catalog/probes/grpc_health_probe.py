"""Probe kind `GrpcHealth`: the server itself says whether it serves.

A gRPC server opens its port before its model is loaded. Source of the messages: gRPC health
checking protocol, `grpc.health.v1.Health/Check`. Must never keep out a server that does not offer
this service.
"""

from modelfleet.catalog.probes.base import (
    Exchange,
    ProbeAnswer,
    ProbeOutcome,
    ProbeRequest,
    ProbeSpec,
)

OK, DEADLINE_EXCEEDED, UNAVAILABLE = 0, 4, 14
"""Codes of gRPC."""
SERVING = b"SERVING"


class GrpcHealthProbe:
    """One question for the health of the server as a whole."""

    name = "GrpcHealth"

    def exchange(self, spec: ProbeSpec) -> Exchange:  # noqa: ARG002 - the protocol's signature
        """Ask once."""
        answer = yield ProbeRequest("GRPC_HEALTH", "")
        return _judged(answer)


def _judged(answer: ProbeAnswer) -> ProbeOutcome:
    if answer.status == DEADLINE_EXCEEDED:
        return ProbeOutcome("Late", "no answer about its health in time")
    if answer.status == UNAVAILABLE:
        return ProbeOutcome("Loading", "the gRPC server is unavailable")
    if answer.status != OK:
        return ProbeOutcome("Unfit", f"no gRPC health service (code {answer.status})")
    if answer.body == SERVING:
        return ProbeOutcome("Right")
    said = (answer.body or b"").decode(errors="replace")
    return ProbeOutcome("Loading", f"the gRPC server says of itself: {said}")
