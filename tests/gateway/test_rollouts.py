"""Weights, versions and replicas change under load; no request fails."""

import asyncio

import pytest

from modelfleet.gateway.xds import builders
from modelfleet.gateway.xds.resources import CLUSTER
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


async def test_a_changed_cluster_is_fed_again_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy withholds its acknowledgement until endpoints come: 15 s by its own default."""
    await rig.served(1)
    gateway = await rig.gateway()
    configuration = gateway.agent.configuration
    track = configuration._order.tracks[CLUSTER]
    before = track.version_of("team-a/churn-v1/pods")
    async with rig.load(4) as seen:
        monkeypatch.setattr(builders, "UPSTREAM_IDLE", "1.4s")
        configuration._cache.forget("team-a/churn")
        rig.route({1: 100}, request_timeout_seconds=7)
        assert await rig.acknowledged() < 1
        await asyncio.sleep(0.2)
    assert track.version_of("team-a/churn-v1/pods") != before
    assert seen.failures == {}
