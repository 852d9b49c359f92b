"""A closed loop never has more requests under way than workers, and counts correct answers only."""

import asyncio
import json

from tests.load.answers import Question
from tests.load.closed import Closed
from tests.load.plan import Plan

ANSWER = {"model_version": "v1", "outputs": [{"name": "label", "shape": [1], "data": [7]}]}


async def load(status=200, workers=3):
    most = under_way = 0

    async def serve(reader, writer):
        nonlocal most, under_way
        while head := await reader.read(4096):
            under_way += head.count(b"POST")
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            body = json.dumps(ANSWER).encode()
            writer.write(
                f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            under_way -= 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    plan = Plan(f"http://127.0.0.1:{port}/", "digits.a.localhost", "", allow={"v1": "one"})
    found = await Closed(plan, [Question(b"{}", {"one": [7]})]).run(workers, 0.3)
    server.close()
    return found, most


async def test_no_more_requests_are_under_way_than_workers():
    found, most = await load()
    assert most <= 3
    assert found["failed"] == 0
    assert found["requests_per_second"] > 0
    assert found["generator_cpu_ms"] > 0


async def test_wrong_answers_are_no_capacity():
    found, _ = await load(status=503)
    assert found["requests_per_second"] == 0
    assert set(found["reasons"]) == {"status 503"}
