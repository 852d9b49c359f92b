"""The client against a server on loopback: what is the query's fault, and what the server's."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from modelfleet.prometheus.connection import PrometheusAccess, PrometheusServer
from modelfleet.prometheus.queries import QueryRejected, ServerSilent
from tests.gateway.certificate import write_link

VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says; keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = parse_qs(form)["query"][0]
        self.server.asked.append((self.path, query))
        self.server.tokens.append(self.headers.get("Authorization"))
        status, body, pause = self.server.answer(query)
        time.sleep(pause)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.tokens, server.answer = [], [], lambda _: (200, VECTOR, 0)
    server.daemon_threads = True
    # It looks for its end every half second by default, and each test would wait for that.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(web: ThreadingHTTPServer, query: str = "up", timeout: float = 0.2) -> object:
    return PrometheusServer(f"http://127.0.0.1:{web.server_port}/", timeout).ask(query)


def test_long_query_goes_as_a_form(web):
    assert ask(web, "x" * 60_000) == [{"metric": {}}]
    assert web.asked == [("/api/v1/query", "x" * 60_000)]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "bad_data"), (422, "execution"), (503, "timeout"), (503, "canceled")],
)
def test_fault_of_a_query(web, status, kind):
    web.answer = lambda _: (status, {"status": "error", "errorType": kind, "error": "words"}, 0)
    with pytest.raises(QueryRejected, match="words"):
        ask(web)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>"),
        (404, b"not found"),
        (401, {"message": "who"}),
        (500, {"status": "error", "errorType": "internal", "error": "disk"}),
        (200, b"<html>"),
        (200, {"status": "success"}),
        (200, {"data": {"result": [1, "2"]}}),
        (200, b"[]"),
    ],
)
def test_fault_of_the_server(web, status, body):
    web.answer = lambda _: (status, body, 0)
    with pytest.raises(ServerSilent):
        ask(web)


def test_nobody_listens():
    with pytest.raises(ServerSilent):
        PrometheusServer("http://127.0.0.1:1", 0.2).ask("up")


@pytest.fixture
def short_grace(monkeypatch):
    """A client waits for a second longer than its limit; here, for a tenth."""
    monkeypatch.setattr("modelfleet.prometheus.connection._GRACE_SECONDS", 0.1)


@pytest.mark.usefixtures("short_grace")
def test_query_that_takes_too_long_is_told_from_a_server_that_hangs(web):
    web.answer = lambda query: (200, VECTOR, 3 if query == "heavy" else 0)
    with pytest.raises(QueryRejected, match=r"longer than 0\.2 s"):
        ask(web, "heavy")
    web.answer = lambda _: (200, VECTOR, 3)
    with pytest.raises(ServerSilent):
        ask(web, "heavy")


def test_token_is_read_anew_for_each_query(web, tmp_path):
    file = tmp_path / "token"
    server = PrometheusServer(
        f"http://127.0.0.1:{web.server_port}", 0.2, PrometheusAccess(token_file=str(file))
    )
    for token in ("first", "renewed"):
        file.write_text(f"{token}\n")
        server.ask("up")
    file.unlink()
    with pytest.raises(ServerSilent, match=r"no token for Prometheus: .*No such file"):
        server.ask("up")
    assert web.tokens == ["Bearer first", "Bearer renewed"]


def test_nobody_sends_a_token_unasked(web):
    ask(web)
    assert web.tokens == [None]


def test_server_is_believed_by_the_given_certificates_only(web, tmp_path):
    for name in ("own", "foreign"):
        write_link(tmp_path / name, host="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own" / "tls.crt", tmp_path / "own" / "tls.key")
    web.socket = context.wrap_socket(web.socket, server_side=True)
    url = f"https://localhost:{web.server_port}"
    own, foreign = (
        PrometheusAccess(ca_file=str(tmp_path / name / "tls.crt")) for name in ("own", "foreign")
    )
    assert PrometheusServer(url, 2.0, own).ask("up") == [{"metric": {}}]
    for access in (foreign, PrometheusAccess()):
        with pytest.raises(ServerSilent, match="SSLError"):
            PrometheusServer(url, 2.0, access).ask("up")


def test_range_query_goes_with_its_times(web):
    forms = []
    web.answer = lambda query: (200, {"data": {"result": [{"metric": {}, "values": []}]}}, 0)
    found = PrometheusServer(f"http://127.0.0.1:{web.server_port}/", 0.2)
    real = found._client._session.request
    found._client._session.request = lambda *a, **k: (forms.append(k["params"]), real(*a, **k))[1]
    assert found.ask_range("up", 1_000, 2_000, 60) == [{"metric": {}, "values": []}]
    assert web.asked == [("/api/v1/query_range", "up")]
    assert {name: forms[0][name] for name in ("start", "end", "step", "timeout")} == {
        "start": 1_000,
        "end": 2_000,
        "step": "60",
        "timeout": "200ms",
    }


@pytest.mark.usefixtures("short_grace")
def test_range_query_that_takes_too_long(web):
    web.answer = lambda query: (200, VECTOR, 3 if query == "heavy" else 0)
    server = PrometheusServer(f"http://127.0.0.1:{web.server_port}/", 0.2)
    with pytest.raises(QueryRejected, match=r"longer than 0\.2 s"):
        server.ask_range("heavy", 0, 60, 60)
