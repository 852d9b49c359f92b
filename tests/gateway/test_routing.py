"""Hosts, exposure, unknown hosts, private headers."""

from http import HTTPStatus

import pytest
from yarl import URL

from tests.gateway.objects import NAMESPACE
from tests.gateway.rig import CLUSTER_PORT, EXTERNAL_PORT, Rig

pytestmark = pytest.mark.asyncio


async def test_cluster_hosts_reach_the_model(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    for host in (
        "churn.team-a",
        "churn.team-a:80",
        "churn.team-a.svc",
        "churn.team-a.svc.cluster.local",
        "churn.team-a.svc.cluster.local.:80",
    ):
        answer = await rig.ask(host)
        assert (host, answer.code) == (host, HTTPStatus.OK)
        assert answer.body["version"] == "churn-v1"


async def test_external_hosts_only_for_external_models(rig: Rig) -> None:
    await rig.served(1)
    await rig.gateway()
    hosts = ("churn.team-a.localhost:18080", "churn-team-a.localhost")
    for host in hosts:
        assert (await rig.ask(host, port=EXTERNAL_PORT)).code == HTTPStatus.NOT_FOUND
    rig.route({1: 100}, exposure="External")
    await rig.acknowledged()
    for host in hosts:
        assert (await rig.ask(host, port=EXTERNAL_PORT)).code == HTTPStatus.OK
    rig.route({1: 100}, exposure="Cluster")
    await rig.acknowledged()
    assert (await rig.ask(hosts[0], port=EXTERNAL_PORT)).code == HTTPStatus.NOT_FOUND


async def test_unknown_host_says_what_hosts_there_are(rig: Rig) -> None:
    await rig.gateway()
    answer = await rig.ask("nobody.team-a")
    assert answer.code == HTTPStatus.NOT_FOUND
    assert "<model>.<namespace>" in answer.body["hosts"]


async def test_a_client_cannot_speak_envoys_language(rig: Rig) -> None:
    await rig.served(1, delay=0.2)
    await rig.gateway()
    rude = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-max-retries": "0",
        "x-modelfleet-model": "other/model",
        "x-modelfleet-version": "other-v1",
    }
    answer = await rig.ask(headers=rude)
    assert answer.code == HTTPStatus.OK
    assert not [
        name for name in answer.headers if name.lower().startswith(("x-envoy", "x-modelfleet"))
    ]


HIDDEN = ("/metrics", "/metrics/", "/metrics?x=1", "//Metrics", "/%6detrics", "/%4Detr%69cs")


async def test_metrics_of_a_server_are_not_carried_outside(rig: Rig) -> None:
    await rig.served(1, exposure="External")
    await rig.gateway()
    await rig.fed(1, 1)
    gateway = rig.gateways[0]
    for port, code in ((CLUSTER_PORT, 200), (EXTERNAL_PORT, 404)):
        host = f"churn.{NAMESPACE}" + (".localhost" if port == EXTERNAL_PORT else "")
        for path in HIDDEN:
            url = URL(f"http://{gateway.address}:{port}{path}", encoded=True)
            async with rig.session.get(url, headers={"Host": host}) as response:
                assert response.status == code, (port, path)
        url = f"http://{gateway.address}:{port}/metrics-of-mine"
        async with rig.session.get(url, headers={"Host": host}) as response:
            assert response.status == 200
