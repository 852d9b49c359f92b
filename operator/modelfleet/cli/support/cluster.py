"""The API server, for the verbs that read or change models: plain JSON, and errors with advice.

Raises `UsageError` for everything that a user can mend. Must never cache what it has read.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from modelfleet.api import names
from modelfleet.cli.support.arguments import UsageError

PATIENCE_SECONDS = 10
Json = dict[str, Any]
_MERGE = "application/merge-patch+json"
_FAILED = 400


class ClusterError(UsageError):
    """An answer of the API server that is no success; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status beside the words."""
        super().__init__(message)
        self.status = status


def add_arguments(parser: argparse.ArgumentParser, *, all_namespaces: bool = False) -> None:
    """Add the arguments that every verb of a cluster has, as kubectl names them."""
    parser.add_argument("-n", "--namespace", help="namespace; by default that of the context")
    parser.add_argument("--context", help="context of the kubeconfig")
    if all_namespaces:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")


class Cluster:
    """One cluster of the kubeconfig."""

    def __init__(self, context: str | None = None) -> None:
        """Read the kubeconfig; raises `UsageError`, or ImportError where the client is missing."""
        try:
            from kubernetes import client, config
            from kubernetes.config.config_exception import ConfigException
        except ImportError as fault:
            message = f"needs the Kubernetes client ({fault}): install 'modelfleet[cli]'"
            raise ImportError(message) from fault
        try:
            config.load_kube_config(context=context)
            contexts, active = config.list_kube_config_contexts()
        except ConfigException as fault:
            message = f"no usable kubeconfig: {fault}"
            raise UsageError(message) from fault
        chosen = next((c for c in contexts if c["name"] == context), active)
        self.namespace = str(chosen["context"].get("namespace", "default"))
        """Namespace of the context."""
        self._api = client.ApiClient()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._api.configuration.host)

    def models(self, namespace: str | None) -> list[Json]:
        """Return the models of a namespace, or of all for None, sorted by name."""
        items = self.read(_path(names.MODEL_PLURAL, namespace))["items"]
        return sorted(items, key=lambda m: (m["metadata"]["namespace"], m["metadata"]["name"]))

    def model(self, namespace: str, name: str) -> Json:
        """Return one model; raises `ClusterError` with its name."""
        return self.read(_path(names.MODEL_PLURAL, namespace, name))

    def versions(self, namespace: str, model: str) -> list[Json]:
        """Return the versions of a model, newest first."""
        items = self.read(_path(names.VERSION_PLURAL, namespace))["items"]
        own = [item for item in items if item["spec"]["model"] == model]
        return sorted(own, key=lambda item: -int(item["spec"]["number"]))

    def pods(self, namespace: str, selector: str) -> list[Json]:
        """Return pods by labels, sorted by name."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        items = self.read(path, labelSelector=selector)["items"]
        return sorted(items, key=lambda pod: str(pod["metadata"]["name"]))

    def change_model(self, namespace: str, name: str, spec: Mapping[str, Any]) -> Json:
        """Change fields of a model's spec; None removes one."""
        path = _path(names.MODEL_PLURAL, namespace, name)
        answer: Json = json.loads(self._ask("PATCH", path, {}, {"spec": spec}))
        return answer

    def create(self, path: str, body: Json) -> Json:
        """Create an object, or ask for a review; returns the answer."""
        answer: Json = json.loads(self._ask("POST", path, {}, body))
        return answer

    def read(self, path: str, **query: str) -> Json:
        """Return the JSON at a path of the API server."""
        answer: Json = json.loads(self._ask("GET", path, query))
        return answer

    def text(self, path: str, **query: str) -> str:
        """Return the text at a path, such as a log."""
        return self._ask("GET", path, query).decode(errors="replace")

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: Json | None = None
    ) -> bytes:
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = _MERGE if method == "PATCH" else "application/json"
        call = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._api.call_api(*call, _request_timeout=PATIENCE_SECONDS)
            content = bytes(answer.read())
        except HTTPError as fault:
            why = type(getattr(fault, "reason", None) or fault).__name__
            message = (
                f"the API server {self.server} does not answer ({why}); check that it runs and can"
                " be reached from here, or choose another with --context or KUBECONFIG"
            )
            raise UsageError(message) from fault
        if answer.status >= _FAILED:
            raise ClusterError(answer.status, _words(content, answer.status))
        return content


def _words(content: bytes, status: int) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return f"the API server answers {status}: {content[:200].decode(errors='replace')}"


def _path(plural: str, namespace: str | None, name: str | None = None) -> str:
    parts = ["/apis", names.API_VERSION]
    if namespace is not None:
        parts += ["namespaces", namespace]
    return "/".join([*parts, plural, *([name] if name else [])])
