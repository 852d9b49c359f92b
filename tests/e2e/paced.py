"""A model whose requests take time and no CPU, as one on an accelerator: for tests of scaling.

Used by end-to-end tests and by `tests.bench.replay`: on a machine of two cores replicas that
compute would only slow each other down. It runs as a `custom` runtime in the server's image. A
request says in its body how many seconds it takes; `SLOTS` are worked on at once and the rest waits
inside the replica, in order; each request more at once adds `EACH_MILLISECONDS`. Answers have the
form that `tests.load` checks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.demo.digits import Digits

KIND = "paced"
LABEL = 7
_SERVER = """
import asyncio, json, os, time
import uvicorn

VERSION = os.environ["MODELFLEET_VERSION"]
EACH = float(os.environ["EACH_MILLISECONDS"]) / 1000
LOADED_AT = time.monotonic() + float(os.environ["LOAD_SECONDS"])
SLOTS = asyncio.Semaphore(int(os.environ["SLOTS"]))
under_way = 0

async def work(body):
    global under_way
    async with SLOTS:
        under_way += 1
        try:
            await asyncio.sleep(body["seconds"] + EACH * (under_way - 1))
        finally:
            under_way -= 1
    outputs = [{"name": "label", "datatype": "INT64", "shape": [1], "data": [body["label"]]}]
    return 200, {"model_name": "paced", "model_version": VERSION, "outputs": outputs}

async def app(scope, receive, send):
    content, more = b"", True
    while more:
        event = await receive()
        content += event.get("body", b"")
        more = event.get("more_body", False)
    if scope["method"] == "POST":
        status, answer = await work(json.loads(content))
    else:
        status, answer = (200 if time.monotonic() >= LOADED_AT else 503), {}
    head = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

uvicorn.run(app, host="0.0.0.0", port=8080, log_level="warning", access_log=False,
            lifespan="off", timeout_keep_alive=120, timeout_graceful_shutdown=60)
"""


def runtime(slots: int, each_milliseconds: float = 0, load_seconds: float = 0) -> dict[str, Any]:
    """`spec.runtime`; a replica is ready `load_seconds` after its process began."""
    values = {
        "SLOTS": slots,
        "EACH_MILLISECONDS": each_milliseconds,
        "LOAD_SECONDS": load_seconds,
    }
    return {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "command": ["python3", "-c", _SERVER],
        "env": [{"name": name, "value": str(value)} for name, value in values.items()],
        "readinessPath": "/",
    }


def questions(folder: Path, seconds: Sequence[float]) -> Digits:
    """Requests that take so long each, in the place of digits for `conftest.Load`."""
    path = folder / f"paced-{len(seconds)}-{seconds[0]:g}.json"
    asked = [
        {"body": {"seconds": round(one, 4), "label": LABEL}, "labels": {KIND: [LABEL]}}
        for one in seconds
    ]
    path.write_text(json.dumps(asked))
    return Digits({}, path)
