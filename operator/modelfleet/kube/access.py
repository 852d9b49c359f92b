"""Access to the API server: address, trust, credentials.

`compose` loads it once. In a pod it reads the service account's files directly. Outside, the
`kubernetes` package reads the kubeconfig (with its exec plugins), and is imported only then.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelfleet.errors import ModelfleetError
from modelfleet.facts.identity import bracketed

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_SECONDS = 60.0


class NoAccessError(ModelfleetError):
    """Neither a service account nor a usable kubeconfig was found."""


@dataclass(frozen=True, slots=True)
class Access:
    """Address of the API server, TLS context, and a function that returns the bearer token."""

    server: str
    tls: ssl.SSLContext | None
    token: Callable[[], str | None]


def load_access(context: str = "", *, environment: dict[str, str] | None = None) -> Access:
    """Return in-cluster access in a pod, else that of the kubeconfig.

    Raises NoAccessError.
    """
    host = (environment or {}).get("KUBERNETES_SERVICE_HOST")
    if host and (_ACCOUNT / "token").exists():
        port = (environment or {}).get("KUBERNETES_SERVICE_PORT", "443")
        address = bracketed(host)
        tls = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        return Access(f"https://{address}:{port}", tls, _RotatingToken(_ACCOUNT / "token"))
    return _from_kubeconfig(context)


class _RotatingToken:
    """A service-account token, which rotates: the file is read again once a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value: str | None = None
        self._read_at = float("-inf")

    def __call__(self) -> str | None:
        now = time.monotonic()
        if now - self._read_at > _TOKEN_SECONDS:
            try:
                self._value = self._path.read_text().strip()
            except OSError:
                # The kubelet is replacing the file; the token that is known may still be valid.
                if self._value is None:
                    raise
            self._read_at = now
        return self._value


def _from_kubeconfig(context: str) -> Access:
    from kubernetes import client, config  # noqa: PLC0415 - 60 MB that a pod never needs

    loaded = client.Configuration()
    try:
        config.load_kube_config(context=context or None, client_configuration=loaded)
    except config.ConfigException as error:
        msg = f"no access to a cluster: {error}; set KUBECONFIG or run in a pod"
        raise NoAccessError(msg) from error
    tls: ssl.SSLContext | None = None
    if loaded.host.startswith("https"):
        tls = ssl.create_default_context(cafile=loaded.ssl_ca_cert or None)
        if loaded.cert_file:
            tls.load_cert_chain(loaded.cert_file, loaded.key_file)
        if loaded.verify_ssl is False:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE

    def token() -> str | None:
        header = loaded.get_api_key_with_prefix("authorization")
        return header.removeprefix("Bearer ") if header else None

    return Access(loaded.host.rstrip("/"), tls, token)
