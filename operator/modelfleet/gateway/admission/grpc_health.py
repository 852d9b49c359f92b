"""Asks a gRPC server for its health, for a probe of kind `GrpcHealth`.

`http_probe` calls it. Must never raise for anything that a server answers.
"""

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from modelfleet.catalog.probes import ProbeAnswer

CHECK = "/grpc.health.v1.Health/Check"
Status = health_pb2.HealthCheckResponse.ServingStatus
DIRECT = (("grpc.enable_http_proxy", 0),)
"""Replicas are asked without the proxy that the environment may name: it does not reach them."""


async def health_of(endpoint: str, service: str, seconds: float) -> ProbeAnswer:
    """Return the code of gRPC as the status, and the name of the health status as the body.

    `endpoint` is `ip:port`; an empty `service` means the server as a whole.
    """
    async with grpc.aio.insecure_channel(endpoint, options=DIRECT) as channel:
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        try:
            said = await channel.unary_unary(CHECK)(request, timeout=seconds)
            answer = health_pb2.HealthCheckResponse.FromString(said)
        except grpc.aio.AioRpcError as error:
            return ProbeAnswer(error.code().value[0], None)
        except DecodeError:
            return ProbeAnswer(grpc.StatusCode.INTERNAL.value[0], None)
    known = answer.status in Status.values()
    name = Status.Name(answer.status) if known else str(answer.status)
    return ProbeAnswer(grpc.StatusCode.OK.value[0], name.encode())
