"""The ports of this machine's loopback that lead into the native cluster.

Used by ``cluster`` while starting. The sockets are opened here, in the machine's own network, and
handed to the program ``forward`` that runs inside: a socket stays in the network it was made in,
so no firewall rule and no address of the machine has to change. Only loopback may be bound.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from ..base import GATEWAY_NAMESPACE, GATEWAY_PORT, GATEWAY_SERVICE
from ..console import say
from . import layout
from .components import Component, forwarder

API, GATEWAY = "api", "gateway"
WANTED = {API: 16443, GATEWAY: 8080}
# The last dot makes the name complete: the machine's own search list must not be tried.
GATEWAY_NAME = f"{GATEWAY_SERVICE}.{GATEWAY_NAMESPACE}.svc.{layout.DOMAIN}."
TARGETS = {
    API: f"{layout.NODE_ADDRESS}:{layout.API_PORT}",
    GATEWAY: f"{GATEWAY_NAME}:{GATEWAY_PORT}",
}
BACKLOG = 1024


@dataclass(frozen=True)
class Forwarding:
    """Listening sockets by what they lead to."""

    sockets: dict[str, socket.socket]

    @classmethod
    def listen(cls) -> Forwarding:
        """Open all ports; where one is taken another is used, and said."""
        return cls({name: _listen(name, port) for name, port in WANTED.items()})

    @staticmethod
    def gateway_service() -> tuple[str, str, int]:
        """Name the one Service that is reachable without entering."""
        return GATEWAY_NAMESPACE, GATEWAY_SERVICE, GATEWAY_PORT

    def ports(self) -> dict[str, int]:
        """Give the port of each."""
        return {name: each.getsockname()[1] for name, each in self.sockets.items()}

    def descriptors(self) -> list[int]:
        """Give what the program has to inherit."""
        return [each.fileno() for each in self.sockets.values()]

    def component(self) -> Component:
        """Give the program's command line."""
        return forwarder({each.fileno(): TARGETS[name] for name, each in self.sockets.items()})

    def __enter__(self) -> Forwarding:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self.sockets.values():
            each.close()


def _listen(name: str, wanted: int) -> socket.socket:
    for port in (wanted, 0):
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            opened.bind(("127.0.0.1", port))
            opened.listen(BACKLOG)
            if port != wanted:
                say(f"port {wanted} is taken: the {name} is at {opened.getsockname()[1]}")
            return opened
        opened.close()
    message = f"no port of the loopback is free for the {name}"
    raise OSError(message)
