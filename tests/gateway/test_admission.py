"""Endpoints that become ready while the agent watches are asked before they get traffic."""

import asyncio
from http import HTTPStatus

import pytest

from tests.gateway.rig import Rig, until

pytestmark = pytest.mark.asyncio


async def _started(rig: Rig) -> None:
    await rig.replica(1)
    rig.version(1, is_probed=True)
    rig.endpoints(1, 1)
    rig.route({1: 100})
    await rig.gateway()


async def test_a_right_answer_lets_in_within_a_blink(rig: Rig) -> None:
    await _started(rig)
    await rig.replica(2)
    rig.endpoints(1, 1, 2)
    assert await rig.fed(1, 1, 2) < 0.5


@pytest.mark.parametrize("mode", ["nan", "empty", "error"])
async def test_a_wrong_answer_never_gets_traffic(rig: Rig, mode: str) -> None:
    await _started(rig)
    bad = await rig.replica(2, mode=mode)
    rig.endpoints(1, 1, 2)
    board = rig.gateways[0].agent.leader_feed
    await until(lambda: board.probes)
    async with rig.load(4) as seen:
        await asyncio.sleep(0.3)
    assert seen.failures == {}
    assert bad.served.total() == 0
    (result,) = board.probes.values()
    assert (result.passed, result.model, result.version) == (False, "team-a/churn", "churn-v1")


async def test_a_cause_that_heals_lets_in(rig: Rig) -> None:
    await _started(rig)
    bad = await rig.replica(2, mode="nan")
    rig.endpoints(1, 1, 2)
    await until(lambda: rig.gateways[0].agent.leader_feed.probes)
    bad.mode = "ok"
    assert await rig.fed(1, 1, 2) < 4


async def test_running_out_of_patience_lets_in(rig: Rig) -> None:
    await _started(rig)
    await rig.replica(2, mode="silent")
    rig.endpoints(1, 1, 2)
    assert 2 < await rig.fed(1, 1, 2) < 6


async def test_who_was_ready_before_the_agent_is_in_at_once(rig: Rig) -> None:
    await rig.replica(1, mode="nan")
    rig.version(1, is_probed=True)
    rig.endpoints(1, 1)
    rig.route({1: 100})
    await rig.gateway()
    assert (await rig.ask()).code == HTTPStatus.OK
