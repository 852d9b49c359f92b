"""Thirty models with odd spellings, a webhook and foreign edits: at rest nothing is written.

`make at-rest`. A third is spelled as the API server does not spell it, a third meets an admission
webhook that changes each Deployment, and a third is edited by somebody else.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stack
from tests.campaigns.fake_fleet import PORT, fake_model, fake_nodes
from tests.gateway.certificate import write_link

pytestmark = pytest.mark.alone

SEED = int(os.environ.get("MODELFLEET_AT_REST_SEED", "7"))
EACH, EDITS, QUIET_SECONDS = 10, 40, 120
WEBHOOK_PORT, HOST = 18443, "localhost"
SPELLINGS = (
    {"resources": {"cpu": 0.02, "memory": 1e8}},
    {"resources": {"cpu": "0.02", "memory": "102400Ki"}},
    {"resources": {"cpu": "2e-2", "memory": "0.1Gi"}},
    {"resources": {"cpu": "20000u", "memory": 104857600}},
    {"resources": {"cpu": 1, "memory": "1E8"}},
    {"runtime": {"env": [{"name": "B", "value": ""}, {"name": "A", "value": "$(B)"}]}},
    {"runtime": {"env": [{"name": "EMPTY"}], "args": []}},
    {"runtime": {"startupSeconds": 600, "readinessPath": "/", "protocol": "HTTP1"}},
    {"rollout": {}, "scaling": {"maxReplicas": 1, "hold": {}}, "traffic": {}},
    {"model": {"version": "1.0"}, "quality": {"generatedProbes": True}},
)
FOREIGN = (
    ("rollout", "restart", "deployment/{}-v1"),
    ("set", "env", "deployment/{}-v1", "FOO=bar"),
    ("annotate", "deployment/{}-v1", "theirs=x"),
    ("label", "service/{}-v1", "theirs=x"),
    ("rollout", "pause", "deployment/{}-v1"),
    ("scale", "deployment/{}-v1", "--replicas=3"),
    ("set", "image", "deployment/{}-v1", "server=modelfleet/paced:dev"),
    ("set", "resources", "deployment/{}-v1", "--limits=memory=1Gi"),
    ("patch", "service", "{}-v1", "-p", '{"spec":{"selector":{"theirs":"x"}}}'),
    ("patch", "deployment", "{}-v1", "-p", '{"spec":{"minReadySeconds":5}}'),
)
NOTHING = (
    {"runtime": {"protocol": "HTTP1"}},
    {"runtime": {"readinessPath": "/"}},
    {"runtime": {"startupSeconds": 600}},
    {"runtime": {"shutdownSeconds": 60}},
    {"runtime": {"args": [], "command": None}},
    {"quality": {"generatedProbes": True}},
    {"quality": {"generatedProbes": False}},
    {"traffic": {"idempotent": True}},
    {"traffic": {"maxReplayBytes": 1048576}},
    {"rollout": {"historyLimit": 9}},
    {"rollout": {"keepWarmSeconds": 10}},
    {"scaling": {"maxReplicas": 2}},
    {"objective": {"latencyMilliseconds": 500}},
    {"paused": False},
    {"resources": {"accelerator": None}},
)
"""Edits after which the pod and its probes are equal; `{"runtime": ...}` is merged."""


def names(namespace: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in stack.items("mlmodels", namespace))


def versions(namespaces: list[str]) -> list[str]:
    return sorted(
        f"{namespace}/{item['metadata']['name']}"
        for namespace in namespaces
        for item in stack.items("mlmodelversions", namespace)
    )


def is_ready(namespace: str) -> bool:
    return all(
        stack.condition(item, "Ready")[0] == "True" for item in stack.items("mlmodels", namespace)
    )


def own_writes(since: int, namespaces: list[str]) -> list[str]:
    return [
        f"{event['objectRef'].get('namespace')}: {stack.written(event)}"
        for event in stack.writes(since)
        if event["objectRef"].get("namespace") in namespaces
        and event["objectRef"]["resource"] != "events"
    ]


@contextlib.contextmanager
def webhook(namespace: str, folder: Path) -> Iterator[None]:
    """A mutating webhook for the Deployments of one namespace."""
    certificate = write_link(folder, host=HOST)
    program = [sys.executable, "-m", "tests.campaigns.mutating_webhook"]
    server = subprocess.Popen(
        stack.enter([*program, str(folder), str(WEBHOOK_PORT)]), cwd=stack.ROOT
    )
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    stack.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "marks"},
            "webhooks": [
                {
                    "name": "marks.example.com",
                    "clientConfig": {
                        "url": f"https://{HOST}:{WEBHOOK_PORT}/",
                        "caBundle": base64.b64encode(certificate.encode()).decode(),
                    },
                    "rules": [rule],
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": namespace}
                    },
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
    )
    try:
        yield
    finally:
        stack.kubectl("delete", "mutatingwebhookconfiguration", "marks")
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def namespaces(namespace):
    """Three: for spellings, the webhook, and foreign edits."""
    more = [f"{namespace}-{word}" for word in ("webhook", "edited")]
    for name in more:
        stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield [namespace, *more]
    for name in more:
        stack.kubectl("-n", name, "delete", "mlmodels", "--all", "--wait=false")
        stack.kubectl("delete", "namespace", name, "--wait=false")


def merged(base: dict, change: dict) -> dict:
    """A spec with changed fields; a list replaces a list."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[key] = merged(old, value) if both else value
    return result


def settle(namespaces: list[str]) -> None:
    """Every model is ready, and nothing was written for a while."""
    for namespace in namespaces:
        stack.wait(f"the models of {namespace}", lambda n=namespace: is_ready(n), 180)

    def is_quiet() -> bool:
        before = stack.audit_position()
        time.sleep(10)
        return own_writes(before, namespaces) == []

    stack.wait("no writes", is_quiet, 240)


def at_rest(namespaces: list[str]) -> list[str]:
    before = stack.audit_position()
    time.sleep(QUIET_SECONDS)
    return own_writes(before, namespaces)


@pytest.mark.timeout(1800)
def test_nothing_is_written_at_rest_and_no_version_is_made(namespaces, tmp_path):
    _, hooked, edited = namespaces
    with fake_nodes(), webhook(hooked, tmp_path / "certificate"):
        for namespace in namespaces:
            # They stay at one replica: a sleep would be a write of its own.
            awake = {"scaling": {"minReplicas": 1}}
            for number, spelling in enumerate(SPELLINGS[:EACH]):
                made = fake_model(namespace, f"m{number}")
                made["spec"] = merged(merged(made["spec"], awake), spelling)
                stack.apply(made)
        settle(namespaces)
        for number, edit in enumerate(FOREIGN[:EACH]):
            stack.kubectl("-n", edited, *(part.replace("{}", f"m{number}") for part in edit))
        settle(namespaces)
        first = at_rest(namespaces)
        count = sum(len(names(namespace)) for namespace in namespaces)
        print(f"\n{count} models at rest for {QUIET_SECONDS} s: {len(first)} writes")
        assert first == []
        assert count == 3 * EACH
        marked = stack.get("deployment", hooked, "m0-v1")["spec"]["template"]
        assert marked["metadata"]["annotations"]["sidecar.example/status"] == "injected"
        changes_nothing(namespaces)


def changes_nothing(namespaces: list[str]) -> None:
    """Forty edits that change nothing in a pod."""
    before, draw = versions(namespaces), random.Random(SEED)
    for _ in range(EDITS):
        namespace = draw.choice(namespaces)
        name, change = draw.choice(names(namespace)), draw.choice(NOTHING)
        stack.kubectl(
            *("-n", namespace, "patch", "mlmodel", name, "--type=merge"),
            *("-p", json.dumps({"spec": change})),
        )
    settle(namespaces)
    after = versions(namespaces)
    print(f"{EDITS} edits that change nothing, seed {SEED}: {len(after) - len(before)} versions")
    assert after == before
    assert at_rest(namespaces) == []
    change = {"runtime": {"env": [{"name": "OTHER", "value": "1"}], "port": PORT}}
    stack.kubectl(
        *("-n", namespaces[0], "patch", "mlmodel", "m0", "--type=merge"),
        *("-p", json.dumps({"spec": change})),
    )
    stack.wait("a version for an edit that does", lambda: versions(namespaces) != before, 60)
