"""Negative controls: the scenarios of the other files with one rule switched off must fail.

A control that passes would mean that the test cannot see what the rule is for.
"""

import os
import signal
from typing import Any

import pytest

from modelfleet.gateway.agent import Overrides
from modelfleet.gateway.xds import actions, builders
from modelfleet.gateway.xds.push_order import PushOrder
from modelfleet.gateway.xds.resources import CLUSTER, VIRTUAL_HOST, EnvoyResource
from modelfleet.gateway.xds.stream_state import Push
from tests.gateway import scenarios
from tests.gateway.rig import Rig, until

pytestmark = pytest.mark.asyncio


class RoutesFirst(PushOrder):
    """Virtual hosts do not wait for what they send to, and clusters wait for them."""

    def may_push(self, resource: EnvoyResource) -> bool:
        return True

    def next(self, kind: str) -> Push | None:
        hosts = self.tracks[VIRTUAL_HOST]
        if kind != VIRTUAL_HOST and hosts.has_answered and (hosts.dirty or hosts.under_way):
            return None
        return super().next(kind)


class OldClustersFirst(PushOrder):
    """Clusters leave although an acknowledged virtual host still sends to them."""

    def may_remove(self, kind: str, name: str) -> bool:
        return True

    def may_push(self, resource: EnvoyResource) -> bool:
        clusters = self.tracks[CLUSTER]
        is_leaving = clusters.under_way is not None and clusters.under_way.removed
        return super().may_push(resource) and not (is_leaving and resource.needs)


async def test_routes_before_clusters_fails(rig: Rig) -> None:
    rig.defaults = {"parts": Overrides(new_order=RoutesFirst)}
    assert (await scenarios.swap_versions(rig)).failed > 0


async def test_old_clusters_before_routes_fails(rig: Rig) -> None:
    rig.defaults = {"parts": Overrides(new_order=OldClustersFirst)}
    assert (await scenarios.swap_versions(rig)).failed > 0


async def test_without_the_gate_of_acknowledgement_requests_are_lost(rig: Rig) -> None:
    assert (await scenarios.replace_without_replay(rig, is_gated=False)).failed > 0


async def test_without_a_holder_requests_are_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builders.members
    monkeypatch.setattr(builders, "members", lambda view, version: whole(view, version)[:-1])
    assert (await scenarios.last_replica_dies(rig)).failed > 0


async def test_without_previous_hosts_requests_are_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = actions.retry_policy

    def blind(**chosen: Any) -> dict[str, object]:
        policy = whole(**chosen)
        del policy["retry_host_predicate"]
        return policy

    monkeypatch.setattr(actions, "retry_policy", blind)
    assert (await scenarios.one_replica_cuts_off(rig, ends_with_a_loss=True)).failed > 0


async def test_an_envoy_that_ended_by_itself_fails_its_test(rig: Rig) -> None:
    gateway = await rig.gateway()
    os.kill(gateway.envoy.pid, signal.SIGSEGV)
    await until(lambda: gateway.envoy.has_ended)
    with pytest.raises(RuntimeError, match="ended by itself with -"):
        await rig.close()
