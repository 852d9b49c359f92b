"""Trust of the operator in the gateways: certificate and token, the newest and those before it.

`kube.link_secret` brings each new content; `link_client` connects with it. The kubelet gives the
gateways a new content up to two minutes later. Until then a gateway is reached with the one before.
Must never log a token.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

PREVIOUS_SECONDS = 600.0
"""For so long after a change a gateway may still have the content from before."""


@dataclass(frozen=True, slots=True)
class LinkAccess:
    """Access of one connection. Without a context it is plain HTTP, which only tests use."""

    token: str
    context: ssl.SSLContext | None


class LinkTrust:
    """Contents of the link's Secret that are in use now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self.is_known = asyncio.Event()
        self._clock = clock
        self._newest: LinkAccess | None = None
        self._previous: LinkAccess | None = None
        self._replaced_at = float("-inf")

    @classmethod
    def of(cls, certificate_pem: str | None, token: str) -> "LinkTrust":
        """Return the trust in one content."""
        trust = cls()
        trust.use(certificate_pem, token)
        return trust

    def use(self, certificate_pem: str | None, token: str) -> None:
        """Use a new content from now on.

        Raises ValueError or OSError for a certificate that cannot be used.
        """
        context = None if certificate_pem is None else _pinned(certificate_pem)
        if self._newest is not None:
            self._previous, self._replaced_at = self._newest, self._clock()
        self._newest = LinkAccess(token, context)
        self.is_known.set()

    def accesses(self) -> list[LinkAccess]:
        """Return what to connect with, in this order; empty before the first content."""
        if self._clock() - self._replaced_at > PREVIOUS_SECONDS:
            self._previous = None
        return [access for access in (self._newest, self._previous) if access is not None]


def _pinned(certificate_pem: str) -> ssl.SSLContext:
    """Return a context that trusts exactly this certificate, under the name that is in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=certificate_pem)
    return context
