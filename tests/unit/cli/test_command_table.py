"""The command table: each command explains itself, and a wrong argument does nothing."""

import sys

import pytest

from modelfleet import __main__ as table

PLAIN = [name for name, command in table.COMMANDS.items() if command.takes is not None]


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Run `modelfleet` with these arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["modelfleet", *arguments])
        code = table.main()
        printed = capsys.readouterr()
        assert list(tmp_path.iterdir()) == []
        return code, printed.out + printed.err

    return run


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_of_a_command_runs_nothing(call, name, option):
    code, printed = call(name, option)
    assert code == 0
    assert printed.startswith(f"usage: modelfleet {name}")


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("extra", [["--wrong"], ["a", "b"]])
def test_wrong_arguments_run_nothing(call, name, extra):
    code, printed = call(name, *extra)
    assert code == 2
    assert printed.startswith(f"usage: modelfleet {name}")


@pytest.mark.parametrize("name", ["crds", "reference"])
def test_a_folder_is_needed(call, name):
    assert call(name) == (2, f"usage: modelfleet {name} FOLDER\n")


@pytest.mark.parametrize("name", sorted(set(table.COMMANDS) - set(PLAIN)))
def test_a_command_with_options_has_its_own_help(call, name):
    try:
        code, _ = call(name, "--help")
    except SystemExit as end:
        code = end.code
    assert code == 0


def test_an_unknown_command_is_named(call):
    code, printed = call("servee")
    assert (code, "'servee'" in printed) == (2, True)
