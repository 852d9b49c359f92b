"""Signals from a real Prometheus: replicas follow, and nothing falls while they are unknown."""

import time

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, put, ready
from tests.e2e.prometheus_process import URL, Prometheus, configure_operator, is_possible

pytestmark = pytest.mark.alone

# `stack.SYSTEM` is touched: the operator gets an address and starts anew.
SETTINGS = {
    "prometheus_url": URL,
    "prometheus_interval_seconds": "2",
    "prometheus_window_seconds": "10",
}
BOUNDS = {"minReplicas": 1, "maxReplicas": 4}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    if not is_possible():
        pytest.skip("only the native cluster's pods reach a process of this machine")
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        server.start()
        configure_operator(**SETTINGS)
        yield server
    finally:
        server.end()
        configure_operator(**dict.fromkeys(SETTINGS))


@pytest.fixture
def queue(store):
    """Sets the length of somebody's queue, and gives the query for it."""
    namespace = store.split(".")[1]

    def length(value: int) -> None:
        put(namespace, "queue.prom", f"# TYPE jobs_waiting gauge\njobs_waiting {value}\n".encode())

    length(0)
    length.query = f'sum(jobs_waiting{{namespace="{namespace}"}})  # of the whole queue'
    return length


def signal(**fields) -> dict[str, object]:
    return {**BOUNDS, "signals": [{"name": "jobs", "target": 10, **fields}]}


def replicas(namespace: str, name: str = "digits") -> int:
    selector = f"modelfleet.dev/role=replica,modelfleet.dev/model={name}"
    pods = stack.items("pods", namespace, selector)
    return sum(not pod["metadata"].get("deletionTimestamp") for pod in pods)


def becomes(namespace: str, count: int, seconds: float = 60, name: str = "digits") -> None:
    stack.wait(f"{count} replicas of {name}", lambda: replicas(namespace, name) == count, seconds)


def writes_since(position: int, namespace: str) -> list[str]:
    """What the operator wrote in a namespace, events apart."""
    return [
        stack.written(event)
        for event in stack.writes(position)
        if event["objectRef"].get("namespace") == namespace
        and event["objectRef"]["resource"] != "events"
    ]


def why(namespace: str) -> list[str]:
    return stack.get("mlmodel", namespace, "digits")["status"]["scaling"]["why"]


@pytest.mark.timeout(600)
def test_query_scales_up_and_down_and_a_killed_server_holds_the_number(
    namespace, store, queue, prometheus
):
    stack.apply(
        model(namespace, f"{store}/digits-1.onnx", scaling=signal(query=queue.query)),
    )
    ready(namespace)
    assert claims(namespace, "MetricsAvailable", "True")[0] == "Sampled"
    queue(25)
    becomes(namespace, 3)
    assert why(namespace)[0].startswith("signal 'jobs': 25, one replica carries 10")
    queue(8)
    becomes(namespace, 1)
    queue(25)
    becomes(namespace, 3)
    ready(namespace)
    time.sleep(5)
    before = stack.audit_position()
    for value in (22, 28, 24):
        queue(value)
        time.sleep(5)
    assert writes_since(before, namespace) == [], "a value that moves is no decision"
    prometheus.kill()
    queue(0)
    reason, text = claims(namespace, "MetricsAvailable", "False", seconds=100)
    assert reason == "PrometheusSilent"
    assert "signal 'jobs': Prometheus does not answer" in text
    time.sleep(20)
    assert replicas(namespace) == 3
    assert writes_since(before, namespace) == ["patch mlmodels/status digits"]
    prometheus.start()
    assert claims(namespace, "MetricsAvailable", "True")[0] == "Sampled"
    queue(8)
    becomes(namespace, 1)


@pytest.mark.timeout(300)
def test_canonical_metric_of_the_real_server_is_followed(namespace, store, load, prometheus):
    scaling = signal(metric="Requests")
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one", scaling=scaling))
    ready(namespace)
    load.say(allow={"digits-v1": "one"})
    load.rate(25)
    becomes(namespace, 3, seconds=90)
    assert any(text.startswith("signal 'jobs': Requests 2") for text in why(namespace)), why(
        namespace
    )
    assert claims(namespace, "MetricsAvailable", "True")[0] == "Sampled"
    load.rate(2)
    becomes(namespace, 1, seconds=120)
    total = load.end()["total"]
    assert total["failed"] == 0, total


WRONG = {
    "unclosed": ("sum(jobs_waiting", "QueryFailed", "do not close"),
    "refused": ("summe(jobs_waiting)", "QueryFailed", "unknown function"),
    "many": ("modelfleet_server_inference_duration_seconds_bucket", "ManySeries", "in sum()"),
    "none": ("no_such_series", "NoSeries", "gives nothing"),
    "nan": ("vector(0) / 0", "WrongValue", "is NaN"),
}


@pytest.mark.timeout(300)
def test_bad_queries_are_named_and_blind_no_other(namespace, store, queue, prometheus):
    good = model(namespace, f"{store}/digits-1.onnx", scaling=signal(query=queue.query))
    bad = {
        name: model(namespace, f"{store}/digits-1.onnx", name, scaling=signal(query=query))
        for name, (query, _, _) in WRONG.items()
    }
    stack.apply(good, *bad.values())
    for name, (_, reason, words) in WRONG.items():
        found, text = claims(namespace, "MetricsAvailable", "False", name, seconds=60)
        assert found == reason
        assert "signal 'jobs': " in text
        assert words in text
    ready(namespace)
    queue(15)
    becomes(namespace, 2)
    assert claims(namespace, "MetricsAvailable", "True")[0] == "Sampled"
    for name, one in bad.items():
        one["spec"]["scaling"] = signal(query="vector(1)")
        stack.apply(one)
        assert claims(namespace, "MetricsAvailable", "True", name)[0] == "Sampled"
