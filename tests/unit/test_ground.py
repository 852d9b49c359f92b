"""Without a cluster a command brings one up, or says in one line what to run."""

from types import SimpleNamespace

import pytest

from tests import conftest, ground, run, stack
from tests.bench import __main__ as bench
from tests.demo import picture

NAMED = "tests/e2e/test_quiet.py"


def session(*paths: str, collectonly: bool = False) -> SimpleNamespace:
    items = [SimpleNamespace(path=stack.ROOT / path) for path in paths]
    option = SimpleNamespace(collectonly=collectonly)
    return SimpleNamespace(items=items, config=SimpleNamespace(option=option))


def fall() -> None:
    raise ground.GroundError("`python -m tests.cluster up` failed")


@pytest.mark.parametrize("name", bench.ON_CLUSTER)
def test_benchmark_without_a_cluster_ends_in_one_line(monkeypatch, capsys, name):
    monkeypatch.setattr(ground, "stand", fall)
    assert bench.main([name]) == 2
    told = capsys.readouterr().err
    assert told.startswith("tests.bench: `python -m tests.cluster up` failed; ")
    assert told.count("\n") == 1


def test_benchmark_that_is_not_there_is_named_before_any_work(monkeypatch, capsys):
    monkeypatch.setattr(ground, "stand", pytest.fail)
    assert bench.main(["latency", "speed"]) == 2
    assert "no benchmark 'speed'; there are fleet, " in capsys.readouterr().err


def test_failing_verb_is_said(monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(ground.GroundError, match="cluster load"):
        ground.verb("load")


def test_product_that_does_not_come_up_is_said(monkeypatch):
    def refuse() -> None:
        raise RuntimeError("no such image")

    monkeypatch.setattr(stack, "install", refuse)
    with pytest.raises(ground.GroundError, match="did not come up: no such image"):
        ground.install()


def test_nothing_is_installed_where_no_cluster_was_made(monkeypatch, tmp_path):
    monkeypatch.setattr(stack, "KUBECONFIG", tmp_path / "none")
    assert not ground.is_installed()


def test_tests_of_the_cluster_say_how_to_run_them(monkeypatch):
    monkeypatch.setattr(ground, "is_installed", lambda: False)
    with pytest.raises(pytest.exit.Exception, match=f"python -m tests.run {NAMED}") as caught:
        conftest.pytest_collection_finish(session("tests/unit/test_ground.py", NAMED))
    assert caught.value.returncode == 2


def test_other_tests_ask_for_no_cluster(monkeypatch):
    monkeypatch.setattr(ground, "is_installed", pytest.fail)
    conftest.pytest_collection_finish(session("tests/unit/test_ground.py"))
    conftest.pytest_collection_finish(session(NAMED, collectonly=True))


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ([NAMED], ["test_quiet.py"]),
        (["e2e", "nonsense"], []),
        (["tests/unit/test_ground.py"], []),
        (["tests/e2e"], []),
    ],
)
def test_files_of_the_cluster_are_chosen_by_name(chosen, names):
    assert [path.name for path in run.chosen_files(chosen)] == names


def test_nothing_is_drawn_without_a_run_of_the_demo(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(picture, "TIMELINE", tmp_path / "none.json")
    assert picture.main() == 2
    assert "make demo" in capsys.readouterr().err
