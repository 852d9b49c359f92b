"""An agent in a process of its own, so that a test can kill it.

Started by `rig`; reads its watches as JSON lines from stdin: `[verb, kind, object]`.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from modelfleet.gateway.agent import Agent, AgentConfig


async def main() -> None:
    """Run until SIGTERM or the end of stdin."""
    config = json.loads(sys.argv[1])
    paths = {name: Path(config.pop(name)) for name in ("run_dir", "link_dir")}
    agent = Agent(AgentConfig(**config, **paths))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def follow() -> None:
        async for line in reader:
            verb, kind, obj = json.loads(line)
            if verb == "synced":
                agent.synced()
            else:
                getattr(agent, verb)(kind, obj)

    following = asyncio.create_task(follow())
    await agent.run(stop)
    following.cancel()


if __name__ == "__main__":
    asyncio.run(main())
