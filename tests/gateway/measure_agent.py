"""CPU of an agent's process for each request: `python -m tests.gateway.measure_agent [SECONDS]`.

Prints microseconds at several rates, with what the agent uses without any request taken off. To
compare two checkouts, run it in both in turns: the machine is shared.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.gateway.envoy_process import find_envoy
from tests.gateway.remote import RemoteAgent
from tests.gateway.rig import Rig

RATES = (50, 400, 1200)
SECONDS = 6.0
CLIENTS = 24
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def send(rig: Rig, rate: float, seconds: float) -> int:
    """Send requests at a rate, or as fast as these clients can; returns how many ended."""
    begin, sent, done = time.monotonic(), 0, 0

    async def client() -> None:
        nonlocal sent, done
        while time.monotonic() - begin < seconds:
            due = begin + sent / rate
            sent += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            done += (await rig.ask()).code == 200

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done


async def measure(rig: Rig, seconds: float) -> None:
    """All rates with one agent."""
    await rig.served(1, 2)
    gateway = await rig.gateway()
    await gateway.cancel_agent()
    agent = RemoteAgent(rig, gateway)
    await agent.start()
    process = agent._process
    assert process is not None
    try:
        await send(rig, 100, 2)
        begin = cpu_seconds(process.pid)
        await asyncio.sleep(seconds)
        idle = (cpu_seconds(process.pid) - begin) / seconds
        print(f"idle: {idle * 100:.1f} % of a core")
        for rate in RATES:
            begin, at = cpu_seconds(process.pid), time.monotonic()
            done = await send(rig, rate, seconds)
            await asyncio.sleep(0.3)
            took = time.monotonic() - at
            used = cpu_seconds(process.pid) - begin - idle * took
            print(f"{done / took:7.0f} requests/s: {used / done * 1e6:6.0f} us a request")
    finally:
        await agent.kill()


async def main() -> None:
    """Once."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(find_envoy(), Path(folder), 204)
        try:
            await measure(rig, seconds)
        finally:
            await rig.close()


if __name__ == "__main__":
    asyncio.run(main())
