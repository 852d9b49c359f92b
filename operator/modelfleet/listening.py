"""Addresses on which our servers listen: every one of the pod, in IPv4 and IPv6.

All servers and the bootstrap of Envoy ask here. A cluster may have either family or both, and a
kernel may have no IPv6. Must never import anything of ours: every image needs it.
"""

import socket
from typing import Final

EVERY_IPV6: Final = "::"
EVERY_IPV4: Final = "0.0.0.0"  # noqa: S104 - a pod's ports serve its whole network
BACKLOG: Final = 4096


def every_address() -> str:
    """Return the address that stands for all of the pod: `::` takes IPv4 too, if there is IPv6."""
    if not socket.has_dualstack_ipv6():
        return EVERY_IPV4
    try:
        # The library may have IPv6 in a pod whose kernel does not let it be used.
        with socket.create_server((EVERY_IPV6, 0), family=socket.AF_INET6, dualstack_ipv6=True):
            return EVERY_IPV6
    except OSError:
        return EVERY_IPV4


def listening_socket(address: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; an empty one means every address.

    Raises OSError when the port is taken.
    """
    host = address or every_address()
    if host == EVERY_IPV6:
        # asyncio itself would make this socket deaf to IPv4.
        return socket.create_server(
            (host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
