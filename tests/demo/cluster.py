"""Access to the local cluster for the demo: ``kubectl`` for changes, one API client for reading.

Called by every other module of the demo. Changes go by ``kubectl`` because that is what the user
will type; errors carry its own words. It must never use another kubeconfig than the one that
``tests.cluster`` gave.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests import stack
from tests.cluster.choose import provider
from tests.cluster.paths import BIN, ROOT

SECONDS = 120


class DemoError(Exception):
    """A step did not happen; the text says which, and what was seen, for a person to read."""


class Kubernetes:
    """The cluster that the demo runs on."""

    def __init__(self) -> None:
        self.provider = provider(os.environ)
        self.kubeconfig = self.provider.kubeconfig()

    def kubectl(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run kubectl and give its standard output; raises DemoError with its words."""
        done = self.try_kubectl(*arguments, stdin=stdin)
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()
            msg = f"kubectl {' '.join(arguments[:4])}: {words}"
            raise DemoError(msg)
        return done.stdout.decode(errors="replace")

    def try_kubectl(
        self, *arguments: str, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run kubectl, whatever comes of it."""
        own = BIN / "kubectl"
        try:
            return subprocess.run(
                [str(own) if own.exists() else "kubectl", *arguments],
                input=stdin or b"",
                capture_output=True,
                check=False,
                timeout=stack.patience(SECONDS),
                cwd=ROOT,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"kubectl {' '.join(arguments[:4])}: {error}"
            raise DemoError(msg) from error

    def apply(self, manifest: str) -> None:
        """Apply YAML."""
        self.kubectl("apply", "-f", "-", stdin=manifest.encode())

    def namespace(self, name: str) -> None:
        """Make a namespace unless it is there."""
        self.apply(
            json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        )

    @cached_property
    def client(self) -> Any:
        """Client of the API server, made when the cluster is up."""
        from kubernetes import config  # slow import

        return config.new_client_from_config(config_file=str(self.kubeconfig))

    def read(self, path: str) -> str:
        """GET of any path, such as a pod's metrics through the API server; raises DemoError."""
        from kubernetes.client.exceptions import ApiException  # slow import
        from urllib3.exceptions import HTTPError

        request = self.client.param_serialize("GET", path, auth_settings=["BearerToken"])
        try:
            answer = self.client.call_api(*request, _request_timeout=5)
            content: bytes = answer.read()
        except (ApiException, HTTPError, OSError) as error:
            msg = f"GET {path}: {error}"
            raise DemoError(msg) from error
        if answer.status != HTTPStatus.OK:
            msg = f"GET {path}: {answer.status} {content[:200].decode(errors='replace')}"
            raise DemoError(msg)
        return content.decode()


def folder() -> Path:
    """Where the demo keeps its files."""
    path = ROOT / "build" / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path
