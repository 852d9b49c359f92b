"""What the gateways themselves counted, from the metrics of their agents.

Used by the demo and end-to-end tests to compare with the load generator. Counters begin anew with
a pod and are dropped with a version, so a thread reads them often and adds up the increases.
A gateway that does not answer keeps its last numbers until its pod is gone; it must never be
taken for one that counted nothing.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

from tests.cluster.base import GATEWAY_NAMESPACE

from .cluster import DemoError, Kubernetes

GATEWAYS = "app.kubernetes.io/name=modelfleet-gateway"
PORT = 9445
PERIOD_SECONDS = 1.0
NAME = "modelfleet_gateway_requests_total"
_LINE = re.compile(rf"^{NAME}{{(?P<labels>[^}}]*)}} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Series = tuple[str, str, str]
"""Gateway, version, class of the answer."""


def parse(gateway: str, text: str, namespace: str, model: str) -> dict[Series, float]:
    """The series of one model out of one gateway's metrics."""
    found = {}
    for line in _LINE.finditer(text):
        labels = dict(_LABEL.findall(line["labels"]))
        if labels.get("namespace") == namespace and labels.get("model") == model:
            found[gateway, labels["version"], labels["class"]] = float(line["value"])
    return found


class Increase:
    """Adds up how much counters grew since the first sample; one that fell began anew."""

    def __init__(self) -> None:
        self._last: dict[Series, float] = {}
        self._begun = False
        self.by_class: Counter[str] = Counter()

    def add(self, sample: Mapping[Series, float]) -> None:
        """One sample of all gateways; a series that is missing has begun anew."""
        if self._begun:
            for series, value in sample.items():
                last = self._last.get(series, 0.0)
                self.by_class[series[2]] += int(value - last if value >= last else value)
        self._last, self._begun = dict(sample), True

    def of(self, gateway: str) -> dict[Series, float]:
        """The last numbers of one gateway."""
        return {series: value for series, value in self._last.items() if series[0] == gateway}

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.by_class.values())


class GatewayTotals:
    """Reads the gateways of one model until it is ended."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, model: str) -> None:
        self._kubernetes = kubernetes
        self._namespace, self._model = namespace, model
        self._increase = Increase()
        self._ended = threading.Event()
        self._take()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self, settle_seconds: float = 2.5) -> Counter[str]:
        """Completed requests by class; waits for the last entries of the access logs."""
        self._ended.wait(settle_seconds)
        self._ended.set()
        self._thread.join()
        self._take()
        return self._increase.by_class

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            with suppress(DemoError):  # the next one counts
                self._take()

    def _take(self) -> None:
        sample: dict[Series, float] = {}
        for pod in self._gateways():
            path = f"/api/v1/namespaces/{GATEWAY_NAMESPACE}/pods/{pod}:{PORT}/proxy/metrics"
            try:
                text = self._kubernetes.read(path)
            except DemoError:
                sample.update(self._increase.of(pod))
            else:
                sample.update(parse(pod, text, self._namespace, self._model))
        self._increase.add(sample)

    def _gateways(self) -> Iterable[str]:
        path = f"/api/v1/namespaces/{GATEWAY_NAMESPACE}/pods?labelSelector={GATEWAYS}"
        items = json.loads(self._kubernetes.read(path))["items"]
        return [item["metadata"]["name"] for item in items if item["status"].get("podIP")]
