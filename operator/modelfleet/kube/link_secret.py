"""The Secret by which leader and gateways authenticate each other: certificate, key, token.

`compose` reads it when the operator starts. It is created once, in our own namespace only, and
never written again, so that running gateways need no new one.
"""

import base64
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from modelfleet.api import names
from modelfleet.errors import Gone
from modelfleet.kube.client import KubeClient, TakenError
from modelfleet.kube.resource import SECRETS

VALID_YEARS = 20


async def link_secret(client: KubeClient, namespace: str) -> dict[str, bytes]:
    """Return the content (`tls.crt`, `tls.key`, `token`); create the Secret where it is absent."""
    try:
        secret = await client.get(SECRETS, namespace, names.GATEWAY_LINK_SECRET)
    except Gone:
        secret = await _create(client, namespace)
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


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
