"""The ports of this machine's loopback that lead into the native cluster.

Used by ``cluster`` while starting. The sockets are opened here, in the machine's own network, and
handed to the program ``forward`` that runs inside: a socket stays in the network it was made in,
so no firewall rule and no address of the machine has to change. Only loopback may be bound.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.cluster.base import GATEWAY_NAMESPACE, GATEWAY_PORT, GATEWAY_SERVICE
from tests.cluster.console import say

from . import layout
from .components import Component, forwarder

# What a port leads to: name -> (port that is wanted, 0 for any; address inside).
Routes = Mapping[str, tuple[int, str]]

API = "api"
BACKLOG = 1024


def key(namespace: str, name: str, port: int) -> str:
    """Name the port of this machine that leads to one port of a Service."""
    return f"{namespace}/{name}:{port}"


def service_target(namespace: str, name: str, port: int) -> str:
    """Give the address inside; looked up for each connection, so the Service may come later."""
    # The last dot makes the name complete: the machine's own search list must not be tried.
    return f"{name}.{namespace}.svc.{layout.DOMAIN}.:{port}"


_GATEWAY = (GATEWAY_NAMESPACE, GATEWAY_SERVICE, GATEWAY_PORT)
STANDARD: Routes = {
    API: (16443, f"{layout.NODE_ADDRESS}:{layout.API_PORT}"),
    key(*_GATEWAY): (8080, service_target(*_GATEWAY)),
}


@dataclass(frozen=True)
class Forwarding:
    """Listening sockets by what they lead to."""

    sockets: dict[str, socket.socket]
    routes: Routes

    @classmethod
    def listen(cls, routes: Routes) -> Self:
        """Open all ports; where one is taken another is used, and said."""
        return cls({name: _listen(name, port) for name, (port, _) in routes.items()}, routes)

    def ports(self) -> dict[str, int]:
        """Give the port of each."""
        return {name: each.getsockname()[1] for name, each in self.sockets.items()}

    def descriptors(self) -> list[int]:
        """Give what the program has to inherit."""
        return [each.fileno() for each in self.sockets.values()]

    def component(self, process: str) -> Component:
        """Give the program's command line; ``process`` is what it is remembered as."""
        targets = {each.fileno(): self.routes[name][1] for name, each in self.sockets.items()}
        return forwarder(process, targets)

    def __enter__(self) -> Self:
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
            if port != wanted and wanted:
                say(f"port {wanted} is taken: the {name} is at {opened.getsockname()[1]}")
            return opened
        opened.close()
    message = f"no port of the loopback is free for the {name}"
    raise OSError(message)
