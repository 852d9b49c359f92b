"""`modelfleet simulate`: replicas, violations and cost that modelfleet would have had.

Called by the command table with a trace of the reader's own traffic, from a file or a Prometheus.
Must never compare policies: `bench autoscale` does.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelfleet.cli.support.arguments import (
    UsageError,
    check_arguments,
    check_least,
    parser,
    service_of,
    skip_of,
)
from modelfleet.cli.support.exit import ended
from modelfleet.cli.support.trace_notes import notes, print_notes

if TYPE_CHECKING:
    from modelfleet.simulate.replay import Replay
    from modelfleet.simulate.trace import Trace

HOUR_MINUTES = 60


def simulate(arguments: list[str]) -> int:
    """Run the shipped policy over one trace; returns the exit code."""
    made = parser("simulate", __doc__.split("\n", maxsplit=1)[0])
    made.add_argument(
        "--least-replicas",
        type=int,
        default=1,
        metavar="N",
        help="minReplicas (1, as the API has it; 0 lets the model sleep); there is no maxReplicas",
    )
    asked = made.add_argument_group("instead of --trace: your traffic in a Prometheus")
    asked.add_argument("--prometheus", metavar="URL", help="its address, as http://HOST:9090")
    asked.add_argument(
        "--query",
        metavar="PROMQL",
        help="requests per second of one service, as 'sum(rate(http_requests_total[1m]))'",
    )
    asked.add_argument("--days", type=float, default=7.0, metavar="N", help="up to now (7)")
    asked.add_argument(
        "--step-seconds", type=int, default=60, metavar="S", help="between two values (60)"
    )
    chosen = made.parse_args(arguments)
    return ended("simulate", lambda: _simulate(chosen))


def _simulate(chosen: argparse.Namespace) -> int:
    from modelfleet.simulate.memory_limit import check_requests, check_slots
    from modelfleet.simulate.replay import replay
    from modelfleet.simulate.world import MAX_REPLICAS

    check_arguments(chosen)
    least = check_least(chosen.least_replicas, MAX_REPLICAS)
    trace, is_rising = _trace(chosen)
    trace = trace.times(chosen.rate_times)
    check_requests([trace], str(chosen.trace or chosen.query), 1, is_rising)
    service = service_of(chosen, trace.mean_work_seconds())
    check_slots(service.slots, MAX_REPLICAS, 1)
    skip = skip_of(chosen, trace.seconds)
    print_notes("simulate", notes(chosen, [trace], skip))
    found = replay(trace, service, chosen.aim_percent / 100, skip, least)
    _show(found, chosen, trace.name)
    if chosen.json:
        _write(found, chosen)
    if chosen.plot:
        from modelfleet.simulate.plot import plot_run

        plot_run(found.rates, found.replicas, trace.name, chosen.plot)
    return 0


def _trace(chosen: argparse.Namespace) -> "tuple[Trace, bool]":
    """Of a file or of a query, and whether its values never fall; raises UsageError."""
    from modelfleet.simulate.trace import never_falls, read_trace

    if (chosen.trace is None) == (chosen.prometheus is None):
        raise UsageError("either --trace, or --prometheus with --query, is needed")
    if chosen.trace is not None:
        if chosen.query:
            raise UsageError("--query goes with --prometheus, not with --trace")
        read = read_trace(chosen.trace)
        return read, never_falls(read.counts)
    if not chosen.query:
        raise UsageError("--prometheus needs --query, which gives requests per second")
    from modelfleet.cli.support.trace_from_prometheus import traffic

    found = traffic(chosen.prometheus, chosen.query, chosen.days, chosen.step_seconds)
    sys.stderr.write(f"{found.told}\n")
    return found.trace, found.is_rising


def _show(found: "Replay", chosen: argparse.Namespace, name: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from modelfleet.simulate.world import MAX_REPLICAS

    score = found.score
    # As `Text`: a query is full of what looks like markup.
    title = Text(f"{name}: with modelfleet", "table.title")
    made = Table(title=title, show_header=False)
    made.add_column()
    made.add_column(justify="right")
    for head, text in (
        ("requests", f"{score.requests:,}"),
        (f"waited over {chosen.wait_seconds:g} s", f"{score.violations_percent:.3f} %"),
        ("replica-hours", f"{score.replica_hours:,.1f}"),
        ("mean replicas", f"{score.billed_seconds / max(score.scored_seconds, 1):.2f}"),
        ("most replicas", f"{score.peak_replicas}"),
        ("starts a day", f"{score.starts_per_day:.1f}"),
        ("requests that came at zero", f"{score.cold_requests:,}"),
    ):
        made.add_row(head, text)
    Console().print(made, _hours(found))
    if score.peak_replicas >= MAX_REPLICAS and score.violations_percent > chosen.aim_percent:
        sys.stderr.write(
            f"modelfleet simulate: it reached the {MAX_REPLICAS:,} replicas that are simulated at"
            " most; the promise could not be kept within them\n"
        )


def _hours(found: "Replay") -> Any:
    """Requests per second and replicas, by hour of the trace; at most the last two days."""
    from rich.table import Table

    made = Table("hour", "requests/s", "replicas", title="the last 48 hours")
    size = len(found.replicas)
    for first in range(0, size, HOUR_MINUTES):
        if first < size - 48 * HOUR_MINUTES:
            continue
        rates, replicas = (x[first : first + HOUR_MINUTES] for x in (found.rates, found.replicas))
        made.add_row(f"{first // HOUR_MINUTES}", f"{rates.mean():.2f}", f"{replicas.mean():.2f}")
    return made


def _write(found: "Replay", chosen: argparse.Namespace) -> None:
    import orjson

    score = found.score
    document = {
        "requests": score.requests,
        "violations_percent": score.violations_percent,
        "replica_hours": score.replica_hours,
        "peak_replicas": score.peak_replicas,
        "starts_per_day": score.starts_per_day,
        "requests_per_second_by_minute": [round(x, 4) for x in found.rates.tolist()],
        "replicas_by_minute": [round(x, 4) for x in found.replicas.tolist()],
    }
    chosen.json.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
