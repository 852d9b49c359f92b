"""Weights, versions and replicas change under load; no request fails."""

import asyncio

import pytest

from tests.gateway import scenarios
from tests.gateway.rig import Rig

pytestmark = pytest.mark.asyncio


async def test_weight_flips(rig: Rig) -> None:
    seen = await scenarios.flip_weights(rig)
    assert seen.failures == {}
    assert min(seen.answers["churn-v1"], seen.answers["churn-v2"]) > 100


async def test_complete_version_swaps(rig: Rig) -> None:
    seen = await scenarios.swap_versions(rig)
    assert seen.failures == {}
    clusters = rig.gateways[0].agent.configuration._order.tracks  # noqa: SLF001 - what Envoy has
    assert sum(len(track.acked) for track in clusters.values()) < 20


async def test_a_weight_change_is_acknowledged_and_followed(rig: Rig) -> None:
    await scenarios.two_versions(rig)
    await rig.gateway()
    rig.route({1: 0, 2: 100})
    await rig.acknowledged()
    answers = [await rig.ask() for _ in range(20)]
    assert {answer.body["version"] for answer in answers} == {"churn-v2"}


async def test_a_drained_replica_is_killed_without_a_loss(rig: Rig) -> None:
    seen = await scenarios.replace_without_replay(rig, is_gated=True)
    assert seen.failures == {}
    assert seen.total > 100


async def test_a_new_endpoint_is_in_effect_in_milliseconds(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    for host in range(2, 12):
        await rig.replica(host)
        rig.endpoints(1, *range(1, host + 1))
        assert await rig.fed(1, *range(1, host + 1)) < 0.1


async def test_a_protocol_change_feeds_the_changed_cluster_again(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    async with rig.load(2) as seen:
        rig.version(1, protocol="HTTP1", is_probed=True)
        await asyncio.sleep(0.1)
        rig.route({1: 100}, request_timeout_seconds=7)
        await rig.acknowledged()
    assert seen.failures == {}
