"""What is left of a model's answers when more requests come than its replicas can give.

On loopback, with the real Envoy and the real agent. The replicas need time, not the machine: two
with two slots of 50 ms answer 80 requests/s. Beside ours run the same gateway without its bound
(as it was before) and a plain Envoy with its defaults. `BENCH_SECONDS` is the length of each load.
Called by `tests.bench`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from modelfleet.gateway.bounds.fairness import Shares
from modelfleet.gateway.bounds.limits import RequestLimits
from tests.gateway.conftest import a_network
from tests.gateway.envoy_process import find_envoy
from tests.gateway.objects import NAMESPACE
from tests.gateway.rig import CLUSTER_PORT, MODEL, Rig

FACTORS = (0.5, 1.0, 2.0, 3.0, 5.0)
REPLICAS, SLOTS, SERVICE_SECONDS = 2, 2, 0.05
CAPACITY = REPLICAS * SLOTS / SERVICE_SECONDS
WAIT_SECONDS = 4
PATIENCE_SECONDS = 30.0
"""Clients give up after this time."""
BEFORE_SECONDS, AFTER_SECONDS = 5.0, 60.0
SYSTEMS = ("modelfleet", "without the bound", "plain Envoy")


@dataclass
class Seen:
    """One request: when it was sent, how it ended, and after how many seconds."""

    at: float
    code: int
    seconds: float


def run() -> dict[str, Any]:
    """For each system and load: goodput, waits, refusals, time to recover."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    length = float(os.environ.get("BENCH_SECONDS", "120"))
    print(f"{REPLICAS} replicas answer {CAPACITY:.0f}/s; a request may wait {WAIT_SECONDS} s")
    found: dict[str, Any] = {}
    for system in SYSTEMS:
        for factor in FACTORS:
            row = asyncio.run(_one(system, factor, length))
            found[f"{system}, {factor:g} x"] = row
            print(f"{system:<18} {factor:3g} x  {row}", flush=True)
    return found


async def _one(system: str, factor: float, length: float) -> str:
    with a_network() as number, tempfile.TemporaryDirectory() as folder:
        rig = Rig(find_envoy(), Path(folder), number)
        try:
            for host in range(1, REPLICAS + 1):
                await rig.replica(host, delay=SERVICE_SECONDS, slots=SLOTS)
            async with _front(rig, system, Path(folder)) as url:
                seen = await _crowd(url, factor, length)
        finally:
            await rig.close()
    return describe(seen, factor, length)


@asynccontextmanager
async def _front(rig: Rig, system: str, folder: Path) -> AsyncIterator[str]:
    """What stands before the replicas; gives its address."""
    if system == "plain Envoy":
        port = CLUSTER_PORT
        file = folder / "plain.json"
        file.write_text(json.dumps(plain(rig.network, port)))
        process = await asyncio.create_subprocess_exec(
            *(find_envoy(), "-c", str(file), "--disable-hot-restart", "--concurrency", "1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await asyncio.sleep(2)
            yield f"http://{rig.network}.0.1:{port}/predict"
        finally:
            process.kill()
            await process.wait()
        return
    known = RequestLimits.after, Shares.after
    if system == "without the bound":
        RequestLimits.after = lambda *_: {}  # type: ignore[method-assign,assignment] # the system as it was
        Shares.after = lambda *_: []  # type: ignore[method-assign,assignment] # the same
    try:
        rig.version(1)
        rig.endpoints(1, *range(1, REPLICAS + 1))
        wait = WAIT_SECONDS
        rig.route({1: 100}, burst_wait_seconds=wait, overload_wait_seconds=wait, concurrency=SLOTS)
        gateway = await rig.gateway()
        await rig.acknowledged()
        yield f"http://{gateway.address}:{CLUSTER_PORT}/predict"
    finally:
        RequestLimits.after, Shares.after = known  # type: ignore[method-assign] # as above


def plain(network: str, port: int) -> dict[str, Any]:
    """An Envoy with its defaults before the same replicas."""
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    hosts = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": 8000}}}}
        for address in (f"{network}.1.{n}" for n in range(1, REPLICAS + 1))
    ]
    route = {"match": {"prefix": "/"}, "route": {"cluster": "replicas"}}
    config = {
        "@type": f"type.googleapis.com/{manager}",
        "stat_prefix": "plain",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"type.googleapis.com/{router}"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": f"{network}.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": config,
                    }
                ]
            }
        ],
    }
    cluster = {
        "name": "replicas",
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": "replicas", "endpoints": [{"lb_endpoints": hosts}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


async def _crowd(url: str, factor: float, length: float) -> list[Seen]:
    """Half of the capacity, then `factor` times as much, then half of it until all is quiet."""
    seen: list[Seen] = []
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask() -> None:
            at = time.monotonic()
            code = 0
            try:
                async with session.post(
                    url, data=b"x", headers={"Host": f"{MODEL}.{NAMESPACE}"}
                ) as answer:
                    await answer.read()
                    code = answer.status
            except (aiohttp.ClientError, TimeoutError):
                pass
            seen.append(Seen(at - began, code, time.monotonic() - at))

        tasks = []
        for rate, seconds in (
            (CAPACITY / 2, BEFORE_SECONDS),
            (CAPACITY * factor, length),
            (CAPACITY / 2, AFTER_SECONDS),
        ):
            start, sent = time.monotonic(), 0
            while (passed := time.monotonic() - start) < seconds:
                while sent < passed * rate:
                    tasks.append(asyncio.create_task(ask()))
                    sent += 1
                await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
    return seen


def describe(seen: list[Seen], factor: float, length: float) -> str:
    """One row of the table."""
    end = BEFORE_SECONDS + length
    during = [one for one in seen if BEFORE_SECONDS <= one.at < end]
    answered = sorted(one.seconds for one in during if one.code == 200)  # noqa: PLR2004 - OK
    refused = [one for one in during if one.code == 503 and one.seconds < 1]  # noqa: PLR2004 - at once
    failed = len(during) - len(answered) - len(refused)
    right = [one for one in seen if one.code == 200]  # noqa: PLR2004 - OK
    in_time = sum(BEFORE_SECONDS <= one.at + one.seconds < end for one in right)
    goodput = in_time / length / min(CAPACITY, factor * CAPACITY)
    p50, p99 = (_at(answered, share) for share in (0.5, 0.99))
    return (
        f"goodput {goodput:.0%}; waits p50 {p50} p99 {p99} s;"
        f" refused {len(refused) / len(during):.0%}, failed {failed / len(during):.0%};"
        f" normal again after {recovery(seen, end)}"
    )


def _at(values: list[float], share: float) -> str:
    """A quantile without the time that a request takes by itself."""
    if not values:
        return "-"
    return f"{max(0.0, values[int(share * (len(values) - 1))] - SERVICE_SECONDS):.1f}"


def recovery(seen: list[Seen], end: float) -> str:
    """Until nineteen of twenty requests of a second are right within a second."""
    bad = [
        second
        for second in range(int(AFTER_SECONDS))
        if (found := [one for one in seen if end + second <= one.at < end + second + 1])
        and sum(one.code != 200 or one.seconds > 1 for one in found) > len(found) / 20  # noqa: PLR2004 - OK, a second
    ]
    last = max(bad, default=-1) + 1
    return f"{last} s" if last < AFTER_SECONDS else f"more than {AFTER_SECONDS:.0f} s"
