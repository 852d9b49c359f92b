"""Requests that do not count: served as any other, but they never wake or hold a model."""

import asyncio
from collections.abc import Mapping

import pytest

from modelfleet.facts.route import RequestMatch
from modelfleet.gateway.agent import Agent
from tests.gateway.objects import a_model
from tests.gateway.rig import CLUSTER_PORT, NAMESPACE, Rig, until

KEY = "team-a/churn"
DECLARED = (
    RequestMatch(path="/healthz"),
    RequestMatch(path_prefix="/live/"),
    RequestMatch(method="OPTIONS"),
    RequestMatch(header="User-Agent", value_prefix="kube-probe/"),
    RequestMatch(path="/status", method="GET", header="x-own-check", value="yes"),
)
NO_REPLICA = "no replica of the model is ready"


async def ask(
    rig: Rig, method: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, str, float]:
    """Code, error text and seconds."""
    url = f"http://{rig.gateways[0].address}:{CLUSTER_PORT}{path}"
    begin = asyncio.get_running_loop().time()
    async with rig.session.request(
        method, url, headers={"Host": f"churn.{NAMESPACE}", **(headers or {})}
    ) as response:
        text = await response.text()
        error = (await response.json()).get("error", "") if text else ""
        if response.status == 503:
            assert response.headers["retry-after"]
        return response.status, error, asyncio.get_running_loop().time() - begin


UNCOUNTED = (
    ("GET", "/healthz", {}),
    ("GET", "/healthz?full=1", {}),
    ("POST", "/live/x", {}),
    ("OPTIONS", "/predict", {}),
    ("GET", "/", {"User-Agent": "kube-probe/1.30"}),
    ("GET", "/status", {"x-own-check": "yes"}),
)
COUNTED = (
    ("GET", "/healthzz", {}),
    ("GET", "/live", {}),
    ("HEAD", "/predict", {}),
    ("GET", "/", {"User-Agent": "my kube-probe/1.30"}),
    ("POST", "/status", {"x-own-check": "yes"}),
    ("GET", "/status", {"x-own-check": "yes!"}),
    ("GET", "/status", {}),
)


async def asleep(rig: Rig) -> Agent:
    """A gateway of a model without replicas."""
    await rig.served(uncounted=DECLARED)
    return (await rig.gateway()).agent


@pytest.mark.parametrize(("method", "path", "headers"), UNCOUNTED)
async def test_a_sleeping_model_is_not_woken(
    rig: Rig, method: str, path: str, headers: Mapping[str, str]
) -> None:
    agent = await asleep(rig)
    code, error, seconds = await ask(rig, method, path, headers)
    assert (code, error) == (503, NO_REPLICA)
    assert seconds < 2
    await until(lambda: agent.traffic.uncounted[KEY] == 1)
    assert agent.holder.held == {}
    assert agent.traffic.take("g", 1.0, agent.holder.held).models == {}


@pytest.mark.parametrize(("method", "path", "headers"), COUNTED)
async def test_any_other_request_wakes_it(
    rig: Rig, method: str, path: str, headers: Mapping[str, str]
) -> None:
    agent = await asleep(rig)
    asked = asyncio.create_task(ask(rig, method, path, headers))
    await until(lambda: agent.holder.held == {KEY: 1})
    await rig.replica(1)
    rig.endpoints(1, 1)
    assert (await asked)[0] == 200


async def test_it_is_served_normally_and_is_no_demand(rig: Rig) -> None:
    await rig.served(1, uncounted=DECLARED, delay=0.5)
    agent = (await rig.gateway()).agent
    await rig.fed(1, 1)
    running = [asyncio.create_task(ask(rig, *one)) for one in UNCOUNTED]
    endpoint = f"{rig.network}.1.1:8000"
    counter = agent.traffic.counter(KEY, "churn-v1")
    await until(lambda: counter.in_flight.get(endpoint) == len(UNCOUNTED))
    sample = agent.traffic.take("g", 1.0, {}).models[KEY]
    assert sample.versions == {}, "no demand"
    assert sample.pods_in_flight == {endpoint: len(UNCOUNTED)}, "a drain waits for them"
    assert {code for code, _, _ in await asyncio.gather(*running)} == {200}
    await until(lambda: agent.traffic.uncounted[KEY] == len(UNCOUNTED))
    assert counter.in_flight == {}
    assert (counter.arrivals, counter.completions, counter.uncounted) == (0, {}, 0)


async def test_a_dead_replica_is_passed_by(rig: Rig) -> None:
    await rig.served(1, 2, uncounted=DECLARED)
    await rig.gateway()
    await rig.fed(1, 1, 2)
    await rig.servers[f"{rig.network}.1.1"].stop()
    assert {(await ask(rig, "GET", "/healthz"))[0] for _ in range(20)} == {200}


async def test_a_model_without_a_version_answers_at_once(rig: Rig) -> None:
    await rig.gateway()
    spec = {"traffic": {"uncounted": [match.to_status() for match in DECLARED]}}
    rig.put("MLModel", {**a_model("churn"), "spec": spec})
    await until(lambda: rig.gateways[0].agent.configuration.route(KEY))
    await asyncio.sleep(0.2)
    assert (await ask(rig, "GET", "/healthz"))[:2] == (503, NO_REPLICA)
