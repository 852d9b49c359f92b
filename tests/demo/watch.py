"""What the cluster is seen to do: the model's object and pods, with the moment of each event.

Started by ``story``; read by ``board``, waits and the report. Two threads watch the API server.
Moments are this machine's clock at the arrival of an event, because the times in objects are
whole seconds. It must never write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .cluster import DemoError, Kubernetes

GROUP, VERSION, PLURAL = "modelfleet.dev", "v1alpha1", "mlmodels"
MODEL_LABEL, VERSION_LABEL = f"{GROUP}/model", f"{GROUP}/version"
ROLE_LABEL = f"{GROUP}/role"
AGAIN_SECONDS = 0.5
WATCH_SECONDS = 300


@dataclass(slots=True)
class Pod:
    """A replica: when it was first seen, when Ready; ``is_ready`` and ``leaves`` as of now."""

    name: str
    version: str
    created_at: float
    ready_at: float | None = None
    is_ready: bool = False
    leaves: bool = False
    fresh: bool = True


@dataclass
class Seen:
    """State of one namespace; a lock guards it, ``changed`` wakes who waits."""

    kubernetes: Kubernetes
    namespace: str
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    gone: list[Pod] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    most_ready: int = 0
    closed: bool = False

    def start(self) -> None:
        """Begin to watch."""
        from kubernetes import client  # slow import

        objects = client.CustomObjectsApi(self.kubernetes.client)
        core = client.CoreV1Api(self.kubernetes.client)

        def models(**options: Any) -> Any:
            return objects.list_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, **options
            )

        def pods(**options: Any) -> Any:
            return core.list_namespaced_pod(
                self.namespace, label_selector=f"{ROLE_LABEL}=replica", **options
            )

        for call, take in ((models, self.take_model), (pods, self.take_pod)):
            threading.Thread(target=self._follow, args=(call, take), daemon=True).start()

    def _follow(
        self, call: Callable[..., Any], take: Callable[[str, dict[str, Any]], None]
    ) -> None:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        while not self.closed:
            try:
                for kind, value in self._events(call):
                    with self.changed:
                        take(kind, value)
                        self.changed.notify_all()
            except (ApiException, HTTPError, OSError):
                time.sleep(AGAIN_SECONDS)

    @staticmethod
    def _events(call: Callable[..., Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything there is as ADDED, then what changes."""
        from kubernetes import watch

        for event in watch.Watch().stream(call, timeout_seconds=WATCH_SECONDS):
            yield event["type"], event["raw_object"]

    def take_model(self, kind: str, value: dict[str, Any]) -> None:
        """One event of an MLModel."""
        name = value["metadata"]["name"]
        if kind == "DELETED":
            self.models.pop(name, None)
        else:
            self.models[name] = value

    def take_pod(self, kind: str, value: dict[str, Any]) -> None:
        """One event of a replica."""
        now, metadata = time.time(), value["metadata"]
        name = metadata["name"]
        version = metadata.get("labels", {}).get(VERSION_LABEL, "")
        if kind == "DELETED":
            if name in self.pods:
                self.gone.append(self.pods.pop(name))
            return
        pod = self.pods.get(name)
        conditions = value.get("status", {}).get("conditions") or []
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        if pod is None:
            # One that was Ready at first sight has no start that could be timed.
            pod = self.pods[name] = Pod(name, version, now, fresh=not is_ready)
        if is_ready and pod.ready_at is None:
            pod.ready_at = now
        pod.is_ready = is_ready
        pod.leaves = bool(metadata.get("deletionTimestamp"))
        for each in self.versions():
            self.most_ready = max(self.most_ready, self.ready(each))

    def versions(self) -> set[str]:
        """Those that have pods."""
        return {pod.version for pod in self.pods.values()}

    def ready(self, version: str | None = None) -> int:
        """Ready replicas that stay, of one version or of all."""
        return sum(
            pod.is_ready and not pod.leaves
            for pod in self.pods.values()
            if version is None or pod.version == version
        )

    def model(self, name: str) -> dict[str, Any]:
        """The object; empty when it is not there."""
        return self.models.get(name, {})

    def start_seconds(self) -> list[float]:
        """From creation to Ready, of all replicas whose start was seen."""
        return [
            pod.ready_at - pod.created_at
            for pod in (*self.gone, *self.pods.values())
            if pod.fresh and pod.ready_at is not None
        ]

    def wait(self, what: str, holds: Callable[[], bool], seconds: float, model: str) -> float:
        """Wait until ``holds``; seconds that it took. Raises DemoError with the status."""
        started = time.monotonic()
        with self.changed:
            while not holds():
                left = started + seconds - time.monotonic()
                if left <= 0:
                    msg = f"waited {seconds:.0f} s for {what}; {self.explain(model)}"
                    raise DemoError(msg)
                self.changed.wait(min(left, 0.2))
        return time.monotonic() - started

    def explain(self, name: str) -> str:
        """What the status says, in one line."""
        found = self.model(name)
        if not found:
            return f"there is no MLModel {name}"
        parts = [
            f"{c['type']}={c['status']} {c['reason']}: {c.get('message', '')}".rstrip(": ")
            for c in found.get("status", {}).get("conditions", [])
            if c["type"] in {"Ready", "Reconciling", "Stalled", "Degraded", "RolledOut"}
        ]
        rollout = found.get("status", {}).get("rollout") or {}
        if rollout:
            parts.append(f"rollout {rollout.get('step')}: {rollout.get('why')}")
        parts.append(f"{self.ready()} of {len(self.pods)} pods are ready")
        return "the status says: " + "; ".join(parts)


def condition(model: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition; empty when it is not there."""
    for each in model.get("status", {}).get("conditions", []):
        if each["type"] == kind:
            found: dict[str, Any] = each
            return found
    return {}


def weights(model: dict[str, Any]) -> dict[str, int]:
    """Share of each version."""
    route = model.get("status", {}).get("route") or {}
    return {each["version"]: each["weight"] for each in route.get("weights", [])}


def is_confirmed(model: dict[str, Any]) -> bool:
    """Whether every gateway has the route in effect, and it speaks of the present spec."""
    status = model.get("status", {})
    route = status.get("route") or {}
    seen = status.get("observedGeneration") == model.get("metadata", {}).get("generation")
    return seen and "revision" in route and route.get("confirmed") == route["revision"]
