"""Models come, are called and go, thousands of them: nothing of them stays.

`make churn`; MODELFLEET_CHURN_MODELS sets the number. The figures are in `build/churn.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time

import pytest

from tests import stack
from tests.campaigns.churn import churned
from tests.campaigns.fake_fleet import fake_nodes

pytestmark = pytest.mark.alone

MODELS = int(os.environ.get("MODELFLEET_CHURN_MODELS", "2000"))
WARM_MODELS = 200
"""Models before the first figure: pools, caches and code are then in memory."""
GROWTH = 1.10
FORGET_SECONDS = 75
PODS = {
    "operator": ("modelfleet-operator", 9446),
    "gateway": ("modelfleet-gateway", 9445),
}
CHILDREN = "mlmodels,mlmodelversions,deployments,replicasets,pods,services,poddisruptionbudgets"


def scraped() -> dict[str, str]:
    """The metrics of the operator's and the gateways' pods, by pod."""
    found = {}
    for name, port in PODS.values():
        for pod in stack.items("pods", stack.SYSTEM, f"app.kubernetes.io/name={name}"):
            pod_name = pod["metadata"]["name"]
            path = f"/api/v1/namespaces/{stack.SYSTEM}/pods/{pod_name}:{port}/proxy/metrics"
            found[pod_name] = stack.kubectl("get", "--raw", path)
    return found


def memory(texts: dict[str, str]) -> dict[str, float]:
    """Resident memory in MiB, by pod."""
    pattern = re.compile(r"^process_resident_memory_bytes (\S+)", re.MULTILINE)
    return {
        pod: round(float(found[1]) / 2**20, 1)
        for pod, text in texts.items()
        if (found := pattern.search(text))
    }


def series(texts: dict[str, str], namespace: str) -> list[str]:
    """Series that still speak of a namespace."""
    return [
        line
        for text in texts.values()
        for line in text.splitlines()
        if f'namespace="{namespace}"' in line
    ]


def gone(namespace: str) -> bool:
    """Whether nothing is left of any model."""
    return not json.loads(stack.kubectl("-n", namespace, "get", CHILDREN, "-o", "json"))["items"]


@pytest.mark.timeout(5400)
def test_nothing_stays_of_models_that_are_gone(namespace):
    with fake_nodes():
        warm = asyncio.run(churned(namespace, range(WARM_MODELS)))
        stack.wait("the first models to go", lambda: gone(namespace), 120)
        time.sleep(FORGET_SECONDS)
        before = memory(scraped())
        began = time.monotonic()
        statuses = asyncio.run(churned(namespace, range(WARM_MODELS, WARM_MODELS + MODELS)))
        seconds = time.monotonic() - began
        stack.wait("the last models to go", lambda: gone(namespace), 180)
        time.sleep(FORGET_SECONDS)
        texts = scraped()
    after = memory(texts)
    figures = {
        "models": MODELS,
        "seconds": round(seconds),
        "statuses": statuses,
        "memory_before_mib": before,
        "memory_after_mib": after,
        "growth": {pod: round(after[pod] / before[pod], 3) for pod in before},
        "series_left": len(series(texts, namespace)),
    }
    print(f"\n{json.dumps(figures, indent=1)}")
    (stack.ROOT / "build" / "churn.json").write_text(json.dumps(figures, indent=1))
    assert set(warm) == set(statuses) == {200}
    assert series(texts, namespace) == []
    assert before.keys() == after.keys(), "a pod was replaced"
    assert len(before) >= 3
    assert max(figures["growth"].values()) <= GROWTH
