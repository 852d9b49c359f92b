"""A Prometheus on loopback that answers range queries as a real one was seen to."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np

from modelfleet.simulate.replay import Replay
from modelfleet.simulate.score import Score

REFUSED = {
    "status": "error",
    "errorType": "bad_data",
    "error": "1:5: parse error: unclosed left parenthesis",
}
Series = list[tuple[dict[str, str], Callable[[int], float | None]]]


class Handler(BaseHTTPRequestHandler):
    """Series are functions of the time in seconds."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        query, begin, end, step = (form[name][0] for name in ("query", "start", "end", "step"))
        self.server.asked.append((self.path, query))
        found = self.server.answer(query)
        moments = range(int(begin), int(end) + 1, int(step))
        assert len(moments) <= 11_000, "a real one refuses more"
        result = []
        for labels, of in found or ():
            pairs = [[at, str(value)] for at in moments if (value := of(at)) is not None]
            result += [{"metric": labels, "values": pairs}] if pairs else []
        matrix = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        content = json.dumps(REFUSED if found is None else matrix).encode()
        self.send_response(400 if found is None else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def prometheus(answer: Callable[[str], Series | None]) -> Iterator[ThreadingHTTPServer]:
    """Runs until the block ends; `answer` gives the series of a query, None refuses it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = [], answer
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_port}"
    # It looks for its end every half second by default, and each test would wait for that.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def metric_of(query: str) -> str:
    """The first metric that a query names."""
    return re.search(r"modelfleet_[a-z_]+", query)[0]


def replayed(peak_replicas: int) -> Replay:
    """What `simulate` shows, without ten seconds of learning: 9 of 10 requests waited too long."""
    score = Score(
        requests=10, violations=9, billed_seconds=60.0, starts=1, peak_replicas=peak_replicas,
        reversals=0, bad_minutes_share=1.0, wait_p50_seconds=9.0, wait_p99_seconds=9.0,
        cold_requests=0, scored_seconds=60.0,
    )  # fmt: skip
    return Replay(score, np.ones(1), np.ones(1))
