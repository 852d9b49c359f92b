"""Command table. Long-running processes import only what they need, so that pods start fast."""

import sys
from collections.abc import Callable

from modelfleet import __version__


def _operator(_: list[str]) -> int:
    import uvloop  # noqa: PLC0415 - only this process needs it

    from modelfleet.main import operator  # noqa: PLC0415
    from modelfleet.settings import Settings  # noqa: PLC0415

    return uvloop.run(operator(Settings()))


def _agent(_: list[str]) -> int:
    import asyncio  # noqa: PLC0415

    from modelfleet.agent_main import agent  # noqa: PLC0415
    from modelfleet.settings import Settings  # noqa: PLC0415

    return asyncio.run(agent(Settings()))


def _bootstrap(arguments: list[str]) -> int:
    from modelfleet.agent_main import write_bootstrap  # noqa: PLC0415
    from modelfleet.settings import Settings  # noqa: PLC0415

    return write_bootstrap(Settings(), arguments)


def _serve(arguments: list[str]) -> int:
    from modelfleet.server.command import serve  # noqa: PLC0415

    return serve(arguments)


def _fetch(arguments: list[str]) -> int:
    from modelfleet.artifacts.command import fetch  # noqa: PLC0415

    return fetch(arguments)


def _crds(arguments: list[str]) -> int:
    from modelfleet.cli.crds import write_crds  # noqa: PLC0415

    return write_crds(arguments)


def _reference(arguments: list[str]) -> int:
    from modelfleet.cli.reference import write_reference

    return write_reference(arguments)


def _version(_: list[str]) -> int:
    sys.stdout.write(f"modelfleet {__version__}\n")
    return 0


COMMANDS: dict[str, tuple[str, Callable[[list[str]], int]]] = {
    "operator": ("run the operator (needs the extra 'operator')", _operator),
    "agent": ("run the agent of a gateway pod (needs the extra 'gateway')", _agent),
    "envoy-bootstrap": ("print the configuration that Envoy starts with", _bootstrap),
    "serve": ("serve one ONNX model (needs the extra 'server')", _serve),
    "fetch": ("fetch one artifact and verify its digest", _fetch),
    "crds": ("write the CustomResourceDefinitions to a folder", _crds),
    "reference": ("write the reference pages to a folder", _reference),
    "version": ("print the version", _version),
}


def main() -> int:
    """Run the command that the first argument names; returns the exit code."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        lines = "\n".join(f"  {name:<16} {text}" for name, (text, _) in COMMANDS.items())
        sys.stdout.write(f"usage: modelfleet COMMAND [ARGUMENTS]\n\ncommands:\n{lines}\n")
        return 0
    known = COMMANDS.get(arguments[0])
    if known is None:
        sys.stderr.write(f"modelfleet: unknown command '{arguments[0]}'; see 'modelfleet --help'\n")
        return 2
    return known[1](arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
