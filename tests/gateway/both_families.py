"""One gateway at every address of a network of its own: prints what answers where, as JSON.

`tests.gateway.test_addresses` runs it in a new network namespace. Argument: `both` or `ipv4`.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp

from tests.gateway.envoy_process import find_envoy
from tests.gateway.objects import a_slice
from tests.gateway.rig import CLUSTER_PORT, EXTERNAL_PORT, HEALTH_PORT, Gateway, Rig
from tests.gateway.servers import ModelServer

HOSTS = {CLUSTER_PORT: "churn.team-a", EXTERNAL_PORT: "churn.team-a.localhost"}


async def code(session: aiohttp.ClientSession, url: str, host: str) -> int:
    """The answer's code; 0 when nothing listens."""
    try:
        async with session.get(url, headers={"Host": host}) as response:
            return response.status
    except aiohttp.ClientConnectorError:
        return 0


async def seen(rig: Rig, gateway: Gateway, replica: str) -> dict[str, int]:
    """Codes by address and port."""
    await gateway.envoy.start()
    await gateway.start_agent(rig.objects)
    server = await ModelServer(replica, "churn-v1").start()
    codes: dict[str, int] = {}
    await gateway.ready()
    for address in ("127.0.0.1", "[::1]"):
        for port, host in HOSTS.items():
            url = f"http://{address}:{port}/"
            codes[f"{address} {host}"] = await code(rig.session, url, host)
        url = f"http://{address}:{HEALTH_PORT}/readyz"
        codes[f"{address} health"] = await code(rig.session, url, "x")
    await server.stop()
    return codes


def make_network(*, has_ipv6: bool) -> None:
    """Open the loopback interface of the new network."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if not has_ipv6:
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")


async def main(*, has_both: bool) -> None:
    """All of it."""
    replica = "::1" if has_both else "127.0.0.1"
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(find_envoy(), Path(folder), 2)
        run_dir = Path(folder) / "gateway"
        gateway = Gateway("gateway-1", "", run_dir, find_envoy(), loopback="127.0.0.1")
        rig.gateways.append(gateway)
        rig.version(1)
        rig.put("EndpointSlice", a_slice("churn", 1, [replica]))
        rig.route({1: 100}, exposure="External")
        try:
            print(json.dumps(await seen(rig, gateway, replica)))
        finally:
            await rig.close()


if __name__ == "__main__":
    has_both = sys.argv[1] == "both"
    make_network(has_ipv6=has_both)
    asyncio.run(main(has_both=has_both))
