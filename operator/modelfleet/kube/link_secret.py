"""The Secret by which leader and gateways authenticate each other: certificate, key, token.

`compose` runs it. The Secret is read again every few seconds, because anyone may rotate or delete
it. The leader creates it where it is absent, in our own namespace only. Must never write over one
that exists: the gateways have its content.
"""

import asyncio
import base64
import random
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from modelfleet.api import names
from modelfleet.backoff import Backoff
from modelfleet.errors import Gone, ModelfleetError
from modelfleet.kube.client import KubeClient, TakenError
from modelfleet.kube.resource import SECRETS

VALID_YEARS = 20
READ_SECONDS = 10.0
"""Pause between two readings; the kubelet gives the gateways a new content within two minutes."""

log = structlog.get_logger()


class LinkSecret:
    """Follows the Secret, and gives each new content to `on_change`."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        may_write: Callable[[], bool],
        on_change: Callable[[str, str], None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`may_write`: whether the Lease is held. `on_change` gets certificate (PEM) and token.

        It raises ValueError or OSError for a content that cannot be used.
        """
        self._client, self._namespace = client, namespace
        self._may_write, self._on_change = may_write, on_change
        self._sleep, self._backoff = sleep, Backoff(sleep=sleep)
        self._content: tuple[str, str] | None = None
        self._refused: str = ""

    async def run(self) -> None:
        """Follow the Secret until cancelled."""
        while True:
            try:
                is_known = await self.look()
            except ModelfleetError as error:
                # The last content stays in use.
                level = log.debug if self._backoff.failures else log.warning
                level("link Secret not read", error=str(error))
                await self._backoff.pause(error)
                continue
            if not is_known:
                await self._backoff.pause()
                continue
            self._backoff.reset()
            await self._sleep(READ_SECONDS * (0.8 + 0.4 * random.random()))  # noqa: S311 - jitter

    async def look(self) -> bool:
        """Read the Secret once, create it where it is absent; return whether it has a content.

        Raises ModelfleetError.
        """
        try:
            secret = await self._client.get(SECRETS, self._namespace, names.GATEWAY_LINK_SECRET)
        except Gone:
            if not self._may_write():
                return False
            secret = await _create(self._client, self._namespace)
            log.warning("link Secret created", name=names.GATEWAY_LINK_SECRET)
        try:
            content = _content_of(secret)
            if content != self._content:
                self._on_change(*content)
        except (KeyError, TypeError, ValueError, OSError) as error:
            self._refuse(secret, error)
            return self._content is not None
        self._content = content
        return True

    def _refuse(self, secret: dict[str, Any], error: Exception) -> None:
        """Log once for each edition of the Secret that it cannot be used."""
        edition = str(secret["metadata"].get("resourceVersion"))
        if edition != self._refused:
            self._refused = edition
            log.error(
                "link Secret unusable, the last content stays in use",
                name=names.GATEWAY_LINK_SECRET,
                error=f"{type(error).__name__}: {error}",
            )


def _content_of(secret: dict[str, Any]) -> tuple[str, str]:
    """Return certificate and token.

    Raises KeyError, TypeError or ValueError.
    """
    data = secret["data"]
    certificate, token = (
        base64.b64decode(data[key], validate=True).decode() for key in ("tls.crt", "token")
    )
    if not certificate.strip() or not token.strip():
        raise ValueError("certificate or token is empty")
    return certificate, token.strip()


async def _create(client: KubeClient, namespace: str) -> dict[str, Any]:
    certificate, key = new_certificate(datetime.now(UTC))
    content = {
        "tls.crt": certificate,
        "tls.key": key,
        "token": secrets.token_urlsafe(32).encode(),
    }
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.GATEWAY_LINK_SECRET,
            "namespace": namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY},
        },
        "type": "Opaque",
        "data": {name: base64.b64encode(value).decode() for name, value in content.items()},
    }
    try:
        return await client.post(SECRETS, namespace, body)
    except TakenError:
        return await client.get(SECRETS, namespace, names.GATEWAY_LINK_SECRET)


def new_certificate(now: datetime) -> tuple[bytes, bytes]:
    """Return a self-signed certificate for the link's name and its key, both as PEM."""
    from cryptography import x509  # noqa: PLC0415 - heavy, needed once in a cluster's life
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names.GATEWAY_LINK_HOST)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * VALID_YEARS))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(names.GATEWAY_LINK_HOST)]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
