"""What is remembered of a running cluster, and that nobody else's process is ever ended."""

import os

import pytest

from tests.cluster.native.state import Process, State, load, wait_gone


def test_reads_back_what_it_wrote(tmp_path):
    state = State({"etcd": Process(12, 345)}, {"api": 16443})
    state.save(tmp_path / "deep" / "state.json")
    assert load(tmp_path / "deep" / "state.json") == state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"processes": {}}',
        '{"processes": [], "ports": {}}',
        '{"processes": {"etcd": {"pid": "x", "started": 1}}, "ports": {}}',
        '{"processes": {"etcd": {"pid": 1}}, "ports": {}}',
    ],
)
def test_takes_a_damaged_file_for_none(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    assert load(path) is None


def test_takes_a_missing_file_for_none(tmp_path):
    assert load(tmp_path / "state.json") is None


def test_knows_a_process_by_its_start_time():
    here = Process.of(os.getpid())
    assert here is not None
    assert here.is_alive()
    assert not Process(here.pid, here.started + 1).is_alive()


def test_never_kills_a_process_that_took_over_the_id(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("killed somebody else"))
    here = Process.of(os.getpid())
    assert here is not None
    Process(here.pid, here.started + 1).kill()


def test_gives_who_is_alive_when_the_time_is_over():
    here = Process.of(os.getpid())
    assert here is not None
    assert wait_gone([here, Process(here.pid, here.started + 1)], 0.0) == [here]
