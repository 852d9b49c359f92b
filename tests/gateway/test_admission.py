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


@pytest.mark.parametrize("mode", ["nan", "empty", "error"])
async def test_a_model_that_no_generated_request_suits_is_let_in(rig: Rig, mode: str) -> None:
    """A detector that finds nothing in a blank picture is healthy: all its replicas answer so."""
    await rig.served()
    rig.version(1, is_probed=True)
    await rig.gateway()
    for host in (1, 2):
        await rig.replica(host, mode=mode)
    rig.endpoints(1, 1, 2)
    assert await rig.fed(1, 1, 2) < 2
    assert (await rig.ask()).code == HTTPStatus.OK
    for result in rig.gateways[0].agent.leader_feed.probes.values():
        assert result.passed
        assert "admitted, as no other replica" in result.reason


async def test_a_candidate_that_answers_wrongly_beside_a_good_stable_version_is_kept_out(
    rig: Rig,
) -> None:
    await _started(rig)
    bad = await rig.replica(2, version=2, mode="nan")
    rig.version(2, is_probed=True)
    rig.endpoints(2, 2)
    rig.route({1: 100, 2: 0})
    agent = rig.gateways[0].agent
    await until(lambda: agent.leader_feed.probes)
    await asyncio.sleep(0.3)
    assert agent.admission.admitted(("team-a", "churn-v2")) == ()
    bad.mode = "ok"
    await until(lambda: agent.admission.admitted(("team-a", "churn-v2")))


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
