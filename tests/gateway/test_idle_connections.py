"""A replica that closes idle connections, as servers do after seconds, loses no request by it."""

import asyncio
import random
from collections import Counter

from tests.gateway.rig import Rig
from tests.gateway.servers import PORT

IDLE_SECONDS = 0.03
REQUESTS, CLIENTS = 300, 1


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer; a connection on which nothing comes for a moment is closed without a word."""
    try:
        while True:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_SECONDS)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def test_a_connection_that_closes_as_a_request_comes_loses_nothing(rig: Rig) -> None:
    server = await asyncio.start_server(serve, f"{rig.network}.1.1", PORT)
    rig.version(1)
    rig.endpoints(1, 1)
    rig.route({1: 100})
    await rig.gateway()
    await rig.acknowledged()
    draw, codes = random.Random(7), Counter()

    async def client() -> None:
        for _ in range(REQUESTS):
            codes[(await rig.ask()).code] += 1
            await asyncio.sleep(IDLE_SECONDS * draw.uniform(0.9, 1.1))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    server.close()
    print(f"\n{dict(codes)}")
    assert codes == {200: REQUESTS * CLIENTS}
