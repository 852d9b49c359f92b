"""Command table. Long-running processes import only what they need, so that pods start fast."""

import sys
from collections.abc import Callable

from modelfleet import __version__


def _operator(_: list[str]) -> int:
    import uvloop

    from modelfleet.compose.operator import operator
    from modelfleet.settings import Settings

    return uvloop.run(operator(Settings()))


def _agent(_: list[str]) -> int:
    import asyncio

    from modelfleet.compose.agent import agent
    from modelfleet.settings import Settings

    return asyncio.run(agent(Settings()))


def _bootstrap(arguments: list[str]) -> int:
    from modelfleet.compose.agent import write_bootstrap
    from modelfleet.settings import Settings

    return write_bootstrap(Settings(), arguments)


def _serve(arguments: list[str]) -> int:
    from modelfleet.server.serve_command import serve

    return serve(arguments)


def _fetch(arguments: list[str]) -> int:
    from modelfleet.artifacts.fetch_command import fetch

    return fetch(arguments)


def _crds(arguments: list[str]) -> int:
    from modelfleet.cli.verbs.crds import write_crds

    return write_crds(arguments)


def _reference(arguments: list[str]) -> int:
    from modelfleet.cli.verbs.reference import write_reference

    return write_reference(arguments)


def _explain(arguments: list[str]) -> int:
    from modelfleet.cli.verbs.explain import explain

    return explain(arguments)


def _bench(arguments: list[str]) -> int:
    from modelfleet.cli.verbs.bench import bench

    return bench(arguments)


def _simulate(arguments: list[str]) -> int:
    from modelfleet.cli.verbs.simulate import simulate

    return simulate(arguments)


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
    "explain": ("why a model has its replicas (needs the extra 'cli')", _explain),
    "bench": ("measure autoscalers on a trace (needs the extra 'simulate')", _bench),
    "simulate": ("what modelfleet would have done with your traffic (as above)", _simulate),
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
