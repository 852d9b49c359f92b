"""One real server for the pods of all fake nodes: it answers with the address that was called.

Run in the node's network by `fake_fleet`, which leads the range of the fake pods here. So a fleet
of a thousand models is called through real gateways while one process answers.
"""

from __future__ import annotations

import asyncio
import json
import sys


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, one after the other; bodies are read and dropped."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", 0)))
            address = writer.get_extra_info("sockname")[0]
            body = json.dumps({"address": address, "host": fields.get("host", "")}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(answer, "0.0.0.0", port, backlog=1024)  # noqa: S104 - the node's own network
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
