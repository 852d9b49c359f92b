"""CPU of an agent for each request, on entries that the real Envoy wrote.

`python -m tests.gateway.measure_log record FILE` runs a gateway and keeps what its agent read.
`python -m tests.gateway.measure_log time FILE [OTHER]` reads that again and prints microseconds of
CPU for each request: of this checkout, or in turns with another one whose `operator` is `OTHER`.
"""

import asyncio
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from envoy.service.accesslog.v3 import als_pb2

from modelfleet.gateway.requests.access_log import AccessLog
from modelfleet.gateway.requests.counters import TrafficCounters

REQUESTS, ROUNDS, TURNS, CLIENTS = 4000, 20, 5, 16


async def record() -> list[bytes]:
    """Messages of `REQUESTS` requests to two replicas."""
    # Here, because a checkout that is only timed may lack what the rig of this one needs.
    from tests.gateway.envoy_process import find_envoy
    from tests.gateway.rig import Rig, until

    messages: list[bytes] = []
    read = AccessLog.read

    def kept(log: AccessLog, message: Any) -> None:
        messages.append(message.SerializeToString())
        read(log, message)

    AccessLog.read = kept  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(find_envoy(), Path(folder), 203)
        try:
            await rig.served(1, 2)
            gateway = await rig.gateway()
            await rig.fed(1, 1, 2)
            messages.clear()

            async def client() -> None:
                for _ in range(REQUESTS // CLIENTS):
                    await rig.ask()

            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            await until(lambda: not gateway.agent.traffic.active())
            await asyncio.sleep(0.3)
        finally:
            await rig.close()
    return messages


def microseconds(messages: list[bytes]) -> float:
    """CPU for each request, reading from the wire included: the least of all rounds."""
    rounds = []
    for _ in range(ROUNDS):
        log = AccessLog(TrafficCounters(time.monotonic))
        begin = time.process_time()
        for message in messages:
            log.read(als_pb2.StreamAccessLogsMessage.FromString(message))
        rounds.append(time.process_time() - begin)
    return min(rounds) / REQUESTS * 1e6


def once(file: str, code: str) -> float:
    """The same in a process of its own, with the package in `code`."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((code, root))}
    command = [sys.executable, "-m", "tests.gateway.measure_log", "only", file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """One of the verbs."""
    verb, file = sys.argv[1:3]
    if verb == "record":
        Path(file).write_bytes(pickle.dumps(asyncio.run(record())))
        return
    if verb == "only":
        print(microseconds(pickle.loads(Path(file).read_bytes())))  # noqa: S301 - our own file
        return
    own = str(Path(__file__).parents[2] / "operator")
    codes = [own, *sys.argv[3:4]]
    seen = {code: [] for code in codes}  # type: dict[str, list[float]]
    for _ in range(TURNS):
        for code in codes:
            seen[code].append(once(file, code))
    for code, numbers in seen.items():
        ordered = sorted(numbers)
        print(
            f"{code}: {statistics.median(ordered):.1f} us of the agent's CPU a request"
            f" ({ordered[0]:.1f} to {ordered[-1]:.1f} in {TURNS} turns)"
        )


if __name__ == "__main__":
    main()
