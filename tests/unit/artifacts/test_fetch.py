"""`modelfleet fetch` against a real HTTP server on loopback."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from modelfleet.artifacts import fetch_command
from modelfleet.artifacts.base import FetchError

CONTENT = b"0123456789" * 1000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Good, missing, broken, endless and redirecting paths."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/leave":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT) + 5))
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/busy":
            is_first = self.asked.count("/busy") == 1
            self.send_response(503 if is_first else 200)
            self.end_headers()
            self.wfile.write(b"" if is_first else CONTENT)
        elif self.path == "/good":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked.clear()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # It looks for its end every half second by default, and each test would wait for that.
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetch_command, "_PAUSES", (0.01, 0.01))


def run(tmp_path: Path, capsys, *arguments: str) -> tuple[int, dict]:
    code = fetch_command.fetch(
        [*arguments, "--root", str(tmp_path), "--target", str(tmp_path / "model.onnx")]
    )
    return code, json.loads(capsys.readouterr().err.strip().splitlines()[-1])


def test_good_file_is_stored_under_its_digest(server, tmp_path, capsys):
    code, words = run(tmp_path, capsys, "--uri", f"{server}/good", "--digest", DIGEST)
    assert (code, words["digest"]) == (0, DIGEST)
    assert (tmp_path / "model.onnx").read_bytes() == CONTENT


def test_resolve_tells_the_digest_and_stores_nothing(server, tmp_path, capsys):
    code, words = run(tmp_path, capsys, "--uri", f"{server}/redirect", "--resolve")
    assert (code, words["reason"], words["digest"]) == (0, "Resolved", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_answer_that_passes_later_is_tried_again(server, tmp_path, capsys):
    assert run(tmp_path, capsys, "--uri", f"{server}/busy", "--resolve")[0] == 0


@pytest.mark.parametrize(
    ("path", "more", "reason", "is_final", "words"),
    [
        ("/none", (), "FetchFailed", True, "404"),
        ("/good", ("--digest", "sha256:" + "0" * 64), "ArtifactMismatch", True, DIGEST),
        ("/leave", (), "FetchFailed", True, "is not allowed"),
        ("/loop", (), "FetchFailed", True, "302"),
        ("/cut", (), "FetchFailed", False, "ended after"),
        ("/good", ("--most-bytes", "10"), "FetchFailed", True, "larger than 10 bytes"),
        ("/good", ("--most-seconds", "0"), "FetchFailed", True, "took longer"),
    ],
)
def test_bad_file_is_refused_and_leaves_nothing(
    server, tmp_path, capsys, path, more, reason, is_final, words
):
    code, told = run(tmp_path, capsys, "--uri", f"{server}{path}", *more)
    assert code == 1
    assert told["reason"] == reason
    assert words in told["message"]
    assert told["final"] == is_final
    assert list(tmp_path.iterdir()) == []


def test_nobody_there_may_pass(tmp_path, capsys):
    code, told = run(tmp_path, capsys, "--uri", "http://127.0.0.1:9/x", "--resolve")
    assert (code, told["final"]) == (1, False)


@pytest.mark.parametrize("uri", ["ftp://x/y", "file:///etc/passwd", "no scheme"])
def test_other_schemes_are_refused(tmp_path, capsys, uri):
    code, told = run(tmp_path, capsys, "--uri", uri, "--resolve")
    assert (code, told["final"], "must be one of http://" in told["message"]) == (1, True, True)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out"])
def test_no_name_leaves_the_folder(tmp_path, name):
    with pytest.raises(FetchError, match="must lie below"):
        fetch_command.safe_target(tmp_path / "model" / name, tmp_path / "model")


def test_link_out_of_the_folder_is_no_way_out(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path)
    with pytest.raises(FetchError, match="must lie below"):
        fetch_command.safe_target(tmp_path / "model" / "link" / "x", tmp_path / "model")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/m.onnx answers 404", "https://h/m.onnx answers 404"),
        ("https://me:pw@h:8/m.onnx answers 403", "https://h:8/m.onnx answers 403"),
        ("https://h/m?X-Amz-Signature=abc&a=b: no", "https://h/m?... no"),
        ("'https://h/m?sig=a%20b' or 's3://k:s@b/m#t'", "'https://h/m?...' or 's3://b/m?...'"),
        ("two https://a/?x=1 https://b@c/", "two https://a/?... https://c/"),
        ("no address: a@b?c", "no address: a@b?c"),
    ],
)
def test_no_message_holds_a_credential(text, shown):
    assert str(FetchError(text, is_final=True)) == shown
