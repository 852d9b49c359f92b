"""What is counted is what clients did, and stays so through restarts."""

import asyncio

import pytest

from modelfleet.gateway.agent import RECONCILE_SECONDS
from tests.gateway.rig import HEALTH_PORT, MODEL, Rig, until

pytestmark = pytest.mark.asyncio


async def _metric(rig: Rig, name: str) -> float:
    url = f"http://{rig.gateways[0].address}:{HEALTH_PORT}/metrics"
    async with rig.session.get(url) as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


async def test_totals_are_those_of_the_clients_and_of_envoy(rig: Rig) -> None:
    await rig.served(1, 2)
    gateway = await rig.gateway()
    async with rig.load(8) as seen:
        await asyncio.sleep(1)
    await asyncio.sleep(1.2)
    assert await _metric(rig, "modelfleet_gateway_requests_total") == seen.total
    assert await _metric(rig, "modelfleet_gateway_arrivals_total") == seen.total
    assert await _metric(rig, "modelfleet_gateway_requests_in_flight") == 0
    found = await gateway.agent.admin._call("GET", "/stats?filter=cluster.downstream_rq_total$")
    assert found is not None
    assert int(found.split(": ")[1]) == seen.total


async def test_a_crashing_replica_is_seen_behind_the_retries(rig: Rig) -> None:
    await rig.replica(1, mode="reset")
    await rig.replica(2)
    rig.version(1)
    rig.endpoints(1, 1, 2)
    rig.route({1: 100})
    gateway = await rig.gateway()
    codes = {(await rig.ask()).code for _ in range(20)}
    await asyncio.sleep(0.2)
    counter = gateway.agent.traffic.counter("team-a/churn", "churn-v1")
    assert codes == {200}
    assert counter.failed_attempts + counter.totals.failed_attempts > 0


async def test_requests_from_before_a_restart_are_found_again(rig: Rig) -> None:
    await rig.served(1, delay=2 * RECONCILE_SECONDS + 6)
    gateway = await rig.gateway()
    asked = [asyncio.create_task(rig.ask()) for _ in range(5)]
    await asyncio.sleep(0.3)
    await gateway.cancel_agent()
    await gateway.start_agent(rig.objects)
    await gateway.ready()
    assert gateway.agent.traffic.active() == 0
    await until(lambda: gateway.agent.traffic.active() == 5, 2 * RECONCILE_SECONDS + 3)
    await asyncio.gather(*asked)
    await until(lambda: gateway.agent.traffic.active() == 0)


async def test_a_new_envoy_gets_everything_before_it_counts(rig: Rig) -> None:
    await rig.served(1)
    gateway = await rig.gateway()
    await gateway.envoy.stop()
    await until(gateway.agent.why_not_ready)
    await gateway.envoy.start()
    await gateway.ready()
    assert (await rig.ask()).code == 200
    rig.route({1: 100}, request_timeout_seconds=3)
    await rig.acknowledged()


async def test_the_last_requests_of_a_deleted_model_leave_no_series(rig: Rig) -> None:
    await rig.served(1, delay=0.5)
    gateway = await rig.gateway()
    await rig.fed(1, 1)
    asked = [asyncio.create_task(rig.ask()) for _ in range(10)]
    await asyncio.sleep(0.2)
    rig.delete("MLModel", MODEL)
    rig.endpoints(1)
    await asyncio.gather(*asked)
    await until(lambda: not gateway.agent.traffic.models, seconds=15.0)
    await until(lambda: gateway.agent.watched.records == {})
