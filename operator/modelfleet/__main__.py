"""Command table. Long-running processes import only what they need, so that pods start fast."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from modelfleet import __version__


class Command(NamedTuple):
    """`target` is `module:function`; the function takes arguments and returns an exit code.

    `takes` names the arguments of a command that has no options: `FOLDER` is needed, `[FILE]` may
    be left out. It is None for a command that reads its own options.
    """

    help: str
    target: str
    takes: tuple[str, ...] | None = None

    def load(self) -> Callable[[list[str]], int]:
        """Import the function."""
        module, _, name = self.target.partition(":")
        function: Callable[[list[str]], int] = getattr(import_module(module), name)
        return function


COMMANDS = {
    "operator": Command(
        "run the operator (needs the extra 'operator')",
        "modelfleet.compose.operator:run_operator",
        (),
    ),
    "agent": Command(
        "run the agent of a gateway pod (needs the extra 'gateway')",
        "modelfleet.compose.agent:run_agent",
        (),
    ),
    "envoy-bootstrap": Command(
        "print the configuration that Envoy starts with",
        "modelfleet.compose.agent:write_bootstrap",
        ("[FILE]",),
    ),
    "serve": Command(
        "serve one ONNX model (needs the extra 'server')", "modelfleet.server.serve_command:serve"
    ),
    "fetch": Command(
        "fetch one artifact and verify its digest", "modelfleet.artifacts.fetch_command:fetch"
    ),
    "crds": Command(
        "write the CustomResourceDefinitions to a folder",
        "modelfleet.cli.verbs.crds:write_crds",
        ("FOLDER",),
    ),
    "reference": Command(
        "write the reference pages to a folder",
        "modelfleet.cli.verbs.reference:write_reference",
        ("FOLDER",),
    ),
    "list": Command(
        "show all models and how they are (needs the extra 'cli')",
        "modelfleet.cli.verbs.list_models:list_models",
    ),
    "status": Command(
        "show a model as a tree, and what it waits for",
        "modelfleet.cli.verbs.show_status:show_status",
    ),
    "versions": Command(
        "show the versions of a model", "modelfleet.cli.verbs.show_versions:show_versions"
    ),
    "diff": Command(
        "show what differs between two versions", "modelfleet.cli.verbs.show_versions:diff_versions"
    ),
    "rollback": Command("serve an earlier version again", "modelfleet.cli.verbs.steer:rollback"),
    "pause": Command("stop the rollouts of a model", "modelfleet.cli.verbs.steer:pause"),
    "resume": Command("let the rollouts of a model go on", "modelfleet.cli.verbs.steer:resume"),
    "logs": Command(
        "show the last lines of all replicas", "modelfleet.cli.verbs.show_logs:show_logs"
    ),
    "doctor": Command(
        "check the installation, and say what mends it", "modelfleet.cli.verbs.doctor:doctor"
    ),
    "explain": Command(
        "show why a model has its replicas (needs the extra 'cli')",
        "modelfleet.cli.verbs.explain:explain",
    ),
    "bench": Command(
        "measure autoscalers on a trace (needs the extra 'simulate')",
        "modelfleet.cli.verbs.bench:bench",
    ),
    "simulate": Command(
        "simulate modelfleet on your past traffic (needs the extra 'simulate')",
        "modelfleet.cli.verbs.simulate:simulate",
    ),
    "version": Command("print the version", "modelfleet.__main__:write_version", ()),
}


HELP = frozenset({"-h", "--help", "help"})


def write_version(_: list[str]) -> int:
    """Print the version."""
    sys.stdout.write(f"modelfleet {__version__}\n")
    return 0


def main() -> int:
    """Run the command that the first argument names; return the exit code."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in HELP:
        lines = "\n".join(f"  {name:<16} {command.help}" for name, command in COMMANDS.items())
        sys.stdout.write(f"usage: modelfleet COMMAND [ARGUMENTS]\n\ncommands:\n{lines}\n")
        return 0
    command = COMMANDS.get(arguments[0])
    if command is None:
        sys.stderr.write(f"modelfleet: unknown command '{arguments[0]}'; see 'modelfleet --help'\n")
        return 2
    return run(arguments[0], command, arguments[1:])


def run(name: str, command: Command, arguments: list[str]) -> int:
    """Run one command, or print its usage when it is asked for or the arguments do not fit."""
    if command.takes is None:
        return command.load()(arguments)
    usage = f"usage: {' '.join(('modelfleet', name, *command.takes))}\n"
    if HELP & set(arguments):
        sys.stdout.write(f"{usage}\n{command.help}\n")
        return 0
    needed = sum(not argument.startswith("[") for argument in command.takes)
    has_option = any(argument.startswith("-") for argument in arguments)
    if has_option or not needed <= len(arguments) <= len(command.takes):
        sys.stderr.write(usage)
        return 2
    return command.load()(arguments)


if __name__ == "__main__":
    sys.exit(main())
