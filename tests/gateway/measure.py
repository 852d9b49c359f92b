"""Measures the data plane on this machine: `python -m tests.gateway.measure [models]`.

Prints one line for each number; not a test, since a shared machine gives no bounds. Upper bounds
only: client, replicas, agent and Envoy share its cores.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2

from modelfleet.gateway.requests.access_log import AccessLog
from modelfleet.gateway.requests.counters import TrafficCounters
from tests.gateway import scenarios
from tests.gateway.envoy_process import find_envoy
from tests.gateway.objects import NAMESPACE
from tests.gateway.rig import Rig, until


def say(what: str, seconds: list[float]) -> None:
    """Median, 95th percentile and worst, in milliseconds."""
    ordered = sorted(value * 1000 for value in seconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(
        f"{what:<58} p50 {statistics.median(ordered):7.2f}  p95 {p95:7.2f}  "
        f"max {ordered[-1]:7.2f} ms  (n={len(ordered)})"
    )


async def weights(rig: Rig) -> None:
    """From the written route to the acknowledgement, and to the first answer by it."""
    await scenarios.two_versions(rig)
    await rig.gateway()
    acknowledged, effective = [], []
    for number in range(100):
        share = 100 * (number % 2 == 0)
        wanted = "churn-v2" if share else "churn-v1"
        begin = time.monotonic()
        rig.route({1: 100 - share, 2: share})
        while (await rig.ask()).body["version"] != wanted:
            pass
        effective.append(time.monotonic() - begin)
        await rig.acknowledged()
        begin = time.monotonic()
        rig.route({1: share, 2: 100 - share})
        while rig.in_effect()[0] != rig.revision:  # noqa: ASYNC110 - measured
            await asyncio.sleep(0)
        acknowledged.append(time.monotonic() - begin)
    say("weight change: written -> acknowledged", acknowledged)
    say("weight change: written -> first answer by it", effective)


async def endpoints(rig: Rig) -> None:
    """From a slice to the acknowledgement, while clients run."""
    seen = []
    async with rig.load(4, pause=0.01) as load:
        for number in range(100):
            hosts = (1, 2) if number % 2 else (1,)
            begin = time.monotonic()
            rig.endpoints(1, *hosts)
            while len(rig.in_effect()[1]["churn-v1"]) != len(hosts):  # noqa: ASYNC110 - measured
                await asyncio.sleep(0)
            seen.append(time.monotonic() - begin)
    say(f"endpoint change: slice -> acknowledged ({load.failed} failed)", seen)


async def release(rig: Rig, number: int) -> None:
    """From a ready endpoint to the answers of all held requests."""
    rig.route({1: 100})
    rig.endpoints(1)
    await rig.acknowledged()
    await rig.fed(1)
    asked = [asyncio.create_task(rig.ask()) for _ in range(number)]
    holder = rig.gateways[0].agent.holder
    await until(lambda: sum(holder.held.values()) == number, 30)
    ended: list[float] = []
    for task in asked:
        task.add_done_callback(lambda _: ended.append(time.monotonic()))
    begin = time.monotonic()
    rig.endpoints(1, 1, 2)
    answers = await asyncio.gather(*asked)
    lost = sum(answer.code != 200 for answer in answers)
    say(f"release of {number} held ({lost} lost)", [end - begin for end in ended])


def entries() -> None:
    """CPU of the agent for one access log entry, wire format included."""
    message = als_pb2.StreamAccessLogsMessage()
    for kind in ("UpstreamPoolReady", "UpstreamEnd", "DownstreamEnd"):
        entry = message.http_logs.log_entry.add()
        common = entry.common_properties
        common.access_log_type = accesslog_pb2.AccessLogType.Value(kind)
        common.upstream_cluster = "team-a/churn-v1/pods"
        common.route_name = "team-a/churn"
        common.upstream_remote_address.socket_address.address = "10.0.0.1"
        common.upstream_remote_address.socket_address.port_value = 8000
        common.time_to_first_upstream_tx_byte.nanos = 300_000
        common.time_to_last_downstream_tx_byte.nanos = 5_000_000
        common.duration.nanos = 5_000_000
        entry.response.response_code.value = 200
        entry.request.authority = "churn.team-a"
        entry.request.request_headers["x-envoy-attempt-count"] = "1"
        entry.request.request_headers["x-modelfleet-version"] = "churn-v1"
        entry.request.request_headers["x-modelfleet-stream"] = "5a5f07c8-c179-4aff-9c0d-7a31828d"
    wire = message.SerializeToString()
    log, rounds = AccessLog(TrafficCounters(time.monotonic)), 30_000
    begin = time.process_time()
    for _ in range(rounds):
        log.read(als_pb2.StreamAccessLogsMessage.FromString(wire))
    used = time.process_time() - begin
    print(
        f"{'access log: CPU of the agent':<58} {used / rounds / 3 * 1e6:.1f} us an entry, "
        f"{used / rounds * 1e6:.1f} us a request"
    )


async def fleet(rig: Rig, models: int) -> None:
    """Many models of two versions: first configuration, then changes of one."""
    await rig.replica(1)
    for number in range(models):
        name = f"m{number}"
        rig.version(1, model=name)
        rig.version(2, model=name)
        rig.endpoints(1, 1, model=name)
        rig.endpoints(2, 1, model=name)
        rig.route({1: 90, 2: 10}, model=name)
    begin = time.monotonic()
    gateway = await rig.gateway(is_waited_for=False)
    await until(lambda: not gateway.agent.why_not_ready(), 120)
    print(
        f"{f'{models} models x 2 versions: agent start -> ready':<58} "
        f"{time.monotonic() - begin:.2f} s"
    )
    changed, fed = [], []
    for number in range(50):
        name = f"m{number * models // 50}"
        begin = time.monotonic()
        rig.route({1: 50, 2: 50}, model=name)
        while rig.in_effect(name)[0] != rig.revision:  # noqa: ASYNC110 - measured
            await asyncio.sleep(0)
        changed.append(time.monotonic() - begin)
        begin = time.monotonic()
        rig.endpoints(1, 1, 2, model=name)
        while len(rig.in_effect(name)[1][f"{name}-v1"]) < 2:  # noqa: ASYNC110 - measured
            await asyncio.sleep(0)
        fed.append(time.monotonic() - begin)
    say(f"{models} models: weight change -> acknowledged", changed)
    say(f"{models} models: endpoint change -> acknowledged", fed)
    answer = await rig.ask(f"m{models - 1}.{NAMESPACE}")
    resident = Path(f"/proc/{gateway.envoy.pid}/status").read_text()  # noqa: ASYNC240 - of the kernel
    kib = int(next(line.split()[1] for line in resident.splitlines() if line.startswith("VmRSS")))
    print(f"{f'{models} models: memory of Envoy':<58} {kib / 1024:.0f} MiB (last: {answer.code})")


async def main() -> None:
    """All of it."""
    binary = find_envoy()
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    entries()
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(binary, Path(folder), 201)
        try:
            await weights(rig)
            await endpoints(rig)
            await release(rig, 200)
            await release(rig, 1000)
        finally:
            await rig.close()
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(binary, Path(folder), 202)
        try:
            await fleet(rig, models)
        finally:
            await rig.close()


if __name__ == "__main__":
    asyncio.run(main())
