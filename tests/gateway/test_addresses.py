"""Where a gateway listens, and whose word about a client it believes."""

import functools
import json
import os
import subprocess
import sys

import pytest

from tests.gateway.rig import CLUSTER_PORT, EXTERNAL_PORT, Rig

NEW_NETWORK = ["unshare", "--map-root-user", "--net"]


@functools.cache
def can_make_networks() -> bool:
    try:
        return subprocess.run([*NEW_NETWORK, "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("kernel", "ipv6"), [("both", 200), ("ipv4", 0)])
def test_a_gateway_listens_at_every_address_that_there_is(kernel: str, ipv6: int) -> None:
    if not can_make_networks():
        pytest.skip("no network of its own can be made here")
    done = subprocess.run(
        [*NEW_NETWORK, sys.executable, "-m", "tests.gateway.both_families", kernel],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert {code for at, code in codes.items() if at.startswith("127.")} == {200}
    assert {code for at, code in codes.items() if at.startswith("[::1]")} == {ipv6}


@pytest.mark.parametrize(
    ("hops", "port", "host", "proto", "address"),
    [
        (0, EXTERNAL_PORT, "churn.team-a.localhost", "http", "203.0.113.9,"),
        (1, EXTERNAL_PORT, "churn.team-a.localhost", "https", "203.0.113.9,"),
        (1, CLUSTER_PORT, "churn.team-a", "http", "203.0.113.9,"),
    ],
)
async def test_whose_forwarded_headers_are_believed(
    rig: Rig, hops: int, port: int, host: str, proto: str, address: str
) -> None:
    await rig.served(1, exposure="External")
    await rig.gateway(trusted_hops=hops)
    await rig.acknowledged()
    claims = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "x-echo": "1"}
    answer = await rig.ask(host, port=port, headers=claims)
    headers = {name.lower(): value for name, value in answer.body["headers"].items()}
    assert headers["x-forwarded-proto"] == proto
    assert headers["x-forwarded-for"].startswith(address)
