"""`kubectl modelfleet doctor`: is modelfleet installed right, and what mends it where it is not."""

import argparse
import dataclasses
import sys

from modelfleet.cli.diagnosis.findings import Finding, examine
from modelfleet.cli.diagnosis.installation import read_installation
from modelfleet.cli.support import cluster, output
from modelfleet.cli.support.exit import ended

MARKS = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "fault": ("FAULT", "bold red"),
    "unknown": ("unknown", "dim"),
}


def doctor(arguments: list[str]) -> int:
    """Print the findings; exit code 3 when one is a fault."""
    parser = argparse.ArgumentParser("modelfleet doctor", description=__doc__)
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("-o", "--output", choices=["json", "yaml"], help="form of the output")
    return ended("doctor", lambda: _doctor(parser.parse_args(arguments)))


def _doctor(chosen: argparse.Namespace) -> int:
    findings = examine(read_installation(cluster.Cluster(chosen.context)))
    if chosen.output:
        values = [dataclasses.asdict(finding) for finding in findings]
        sys.stdout.write(output.structured(values, chosen.output))
    else:
        _show(findings)
    return output.UNHEALTHY if any(found.level == "fault" for found in findings) else 0


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = max(len(word) for word, _ in MARKS.values())
    for finding in findings:
        word, style = MARKS[finding.level]
        console.print(Text(f"{word:<{width}}  ", style=style).append(finding.text, style="default"))
        if finding.mend:
            console.print(Text(f"{'':<{width}}  mend or see: {finding.mend}", style="dim"))
