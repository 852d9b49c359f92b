"""An artifact of several files: a scheme that exists only here fetches it into a folder."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfleet import artifacts
from modelfleet.artifacts import fetch_command
from modelfleet.artifacts.base import ArtifactFile, FetchLimits

CONTENT = {"config.json": b"{}", "1/model.onnx": b"weights" * 1000}
LINES = "".join(
    f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}\n"
    for path, data in sorted(CONTENT.items())
)
DIGEST = f"sha256:{hashlib.sha256(LINES.encode()).hexdigest()}"


class Shelf:
    """A scheme with a tree of files behind each URI."""

    schemes = ("shelf",)

    def __init__(self, files: list[tuple[str, bytes]]) -> None:
        self._files = files

    def files(self, uri: str, limits: FetchLimits) -> Iterator[ArtifactFile]:
        for path, data in self._files:
            yield ArtifactFile(path, iter((data[:3], data[3:])))


def run(monkeypatch, tmp_path: Path, capsys, files, *more: str) -> tuple[int, dict]:
    monkeypatch.setattr(artifacts, "SCHEMES", (Shelf(files),))
    where = ("--root", str(tmp_path), "--target", str(tmp_path / "artifact"))
    code = fetch_command.fetch(["--uri", "shelf://a", *where, *more])
    return code, json.loads(capsys.readouterr().err.strip().splitlines()[-1])


@pytest.mark.parametrize("order", [1, -1])
def test_tree_is_stored_whole_and_has_one_digest(monkeypatch, tmp_path, capsys, order):
    files = list(CONTENT.items())[::order]
    code, words = run(monkeypatch, tmp_path, capsys, files, "--digest", DIGEST)
    assert (code, words["digest"]) == (0, DIGEST)
    assert words["bytes"] == sum(map(len, CONTENT.values()))
    for path, data in CONTENT.items():
        assert (tmp_path / "artifact" / path).read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["artifact"]


def test_resolving_a_tree_stores_nothing(monkeypatch, tmp_path, capsys):
    code, words = run(monkeypatch, tmp_path, capsys, list(CONTENT.items()), "--resolve")
    assert (code, words["digest"]) == (0, DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_another_tree_is_refused_and_the_stored_one_stays(monkeypatch, tmp_path, capsys):
    run(monkeypatch, tmp_path, capsys, list(CONTENT.items()), "--digest", DIGEST)
    changed = [*CONTENT.items(), ("more", b"x")]
    code, words = run(monkeypatch, tmp_path, capsys, changed, "--digest", DIGEST)
    assert (code, words["reason"]) == (1, "ArtifactMismatch")
    assert not (tmp_path / "artifact/more").exists()
    assert (tmp_path / "artifact/config.json").read_bytes() == b"{}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["artifact"]


@pytest.mark.parametrize(
    "paths",
    [
        ["/etc/passwd"],
        ["../outside"],
        ["a/../../outside"],
        ["a//b"],
        ["."],
        ["a\\b"],
        ["a\nb"],
        ["a", "a"],
        ["", "a"],
        ["a", ""],
        [],
    ],
)
def test_paths_that_could_leave_the_folder_are_refused(monkeypatch, tmp_path, capsys, paths):
    code, words = run(monkeypatch, tmp_path, capsys, [(path, b"x") for path in paths])
    assert (code, words["reason"], words["final"]) == (1, "FetchFailed", True)
    assert list(tmp_path.iterdir()) == []


def test_file_where_a_folder_is_needed_is_an_error_with_words(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fetch_command, "_PAUSES", ())
    code, words = run(monkeypatch, tmp_path, capsys, [("a", b"x"), ("a/b", b"y")])
    assert (code, words["reason"]) == (1, "FetchFailed")
    assert "cannot be stored" in words["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "words"), [("--most-bytes", "is larger than 6999 bytes")])
def test_bounds_hold_over_all_files(monkeypatch, tmp_path, capsys, option, words):
    code, last = run(monkeypatch, tmp_path, capsys, list(CONTENT.items()), option, "6999")
    assert (code, last["final"]) == (1, True)
    assert words in last["message"]


def test_too_many_files_are_refused(monkeypatch, tmp_path, capsys):
    files = [(str(number), b"") for number in range(FetchLimits().most_files + 1)]
    code, last = run(monkeypatch, tmp_path, capsys, files, "--resolve")
    assert (code, last["final"]) == (1, True)
    assert "more than 10000 files" in last["message"]
