"""`modelfleet simulate`: replicas, violations and cost that modelfleet would have had.

`simulate.replay` runs the reader's own traffic, from a file or a Prometheus. Must never compare
policies: that is the task of `bench autoscale`.
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
    arguments_parser = parser("simulate", __doc__.split("\n", maxsplit=1)[0])
    arguments_parser.add_argument(
        "--least-replicas",
        type=int,
        default=1,
        metavar="N",
        help="minReplicas (1, as in the API; 0 allows scale to zero); there is no maxReplicas",
    )
    source = arguments_parser.add_argument_group("instead of --trace: traffic from a Prometheus")
    source.add_argument("--prometheus", metavar="URL", help="address, such as http://HOST:9090")
    source.add_argument(
        "--query",
        metavar="PROMQL",
        help="requests per second of one service, such as 'sum(rate(http_requests_total[1m]))'",
    )
    source.add_argument("--days", type=float, default=7.0, metavar="N", help="days up to now (7)")
    source.add_argument(
        "--step-seconds", type=int, default=60, metavar="S", help="time between two values (60)"
    )
    chosen = arguments_parser.parse_args(arguments)
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
    result = replay(trace, service, chosen.aim_percent / 100, skip, least)
    _show(result, chosen, trace.name)
    if chosen.json:
        _write(result, chosen)
    if chosen.plot:
        from modelfleet.simulate.plot import plot_run

        plot_run(result.rates, result.replicas, trace.name, chosen.plot)
    return 0


def _trace(chosen: argparse.Namespace) -> "tuple[Trace, bool]":
    """Return the trace of a file or of a query, and whether its values never fall.

    Raises `UsageError`.
    """
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

    queried = traffic(chosen.prometheus, chosen.query, chosen.days, chosen.step_seconds)
    sys.stderr.write(f"{queried.summary}\n")
    return queried.trace, queried.is_rising


def _show(result: "Replay", chosen: argparse.Namespace, name: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from modelfleet.simulate.world import MAX_REPLICAS

    score = result.score
    # As `Text`: a query may look like markup.
    title = Text(f"{name}: with modelfleet", "table.title")
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for head, text in (
        ("requests", f"{score.requests:,}"),
        (f"waited over {chosen.wait_seconds:g} s", f"{score.violations_percent:.3f} %"),
        ("replica-hours", f"{score.replica_hours:,.1f}"),
        ("mean replicas", f"{score.billed_seconds / max(score.scored_seconds, 1):.2f}"),
        ("most replicas", f"{score.peak_replicas}"),
        ("starts a day", f"{score.starts_per_day:.1f}"),
        ("requests at zero replicas", f"{score.cold_requests:,}"),
    ):
        table.add_row(head, text)
    Console().print(table, _hours(result))
    if score.peak_replicas >= MAX_REPLICAS and score.violations_percent > chosen.aim_percent:
        sys.stderr.write(
            f"modelfleet simulate: the run reached the {MAX_REPLICAS:,} replicas that are simulated"
            " at most; the aim needs more replicas\n"
        )


def _hours(result: "Replay") -> Any:
    """Return a table of requests per second and replicas by hour of the trace.

    The table has at most the last two days.
    """
    from rich.table import Table

    table = Table("hour", "requests/s", "replicas", title="the last 48 hours")
    size = len(result.replicas)
    for first in range(0, size, HOUR_MINUTES):
        if first < size - 48 * HOUR_MINUTES:
            continue
        rates, replicas = (x[first : first + HOUR_MINUTES] for x in (result.rates, result.replicas))
        table.add_row(f"{first // HOUR_MINUTES}", f"{rates.mean():.2f}", f"{replicas.mean():.2f}")
    return table


def _write(result: "Replay", chosen: argparse.Namespace) -> None:
    import orjson

    score = result.score
    document = {
        "requests": score.requests,
        "violations_percent": score.violations_percent,
        "replica_hours": score.replica_hours,
        "peak_replicas": score.peak_replicas,
        "starts_per_day": score.starts_per_day,
        "requests_per_second_by_minute": [round(x, 4) for x in result.rates.tolist()],
        "replicas_by_minute": [round(x, 4) for x in result.replicas.tolist()],
    }
    chosen.json.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
