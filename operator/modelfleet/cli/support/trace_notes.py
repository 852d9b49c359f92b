"""What `bench autoscale` and `simulate` do with a trace of their own accord, each in one line.

Called by both before they run. Must never leave out what makes the figures differ from the file's.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.simulate.trace import Trace

DAY_SECONDS = 86_400.0
FINE_SECONDS = 5.0
"""Bins of the forecasts: what is finer than they are makes no difference."""


def print_notes(verb: str, lines: Iterator[str]) -> None:
    """To stderr, as the result goes to stdout."""
    for line in lines:
        sys.stderr.write(f"modelfleet {verb}: {line}\n")


def notes(chosen: argparse.Namespace, traces: "Sequence[Trace]", skip: float) -> Iterator[str]:
    """What is not scored, what is drawn by chance, which options change nothing."""
    yield from _not_scored(traces, skip)
    width = traces[0].bin_seconds
    if chosen.trace is not None and width > FINE_SECONDS:
        yield (
            f"a row is {width:g} s long: requests within it come at moments drawn by chance, real"
            " ones are less even"
        )
    measured = traces[0].mean_work_seconds()
    if measured and chosen.service_seconds is not None:
        yield (
            f"--service-seconds {chosen.service_seconds:g} is not used: the file has"
            " execution_seconds of each request"
        )


def _not_scored(traces: "Sequence[Trace]", skip: float) -> Iterator[str]:
    from modelfleet.simulate.score import scored_minutes
    from modelfleet.simulate.trace import MINUTE

    past, silent = 0.0, 0
    for trace in traces:
        counted = scored_minutes(trace, skip)
        history = -int(-(skip - 1e-6) // MINUTE)
        past += float(trace.binned(MINUTE)[:history].sum())
        silent += int((~counted[history:]).sum())
    if skip:
        every = sum(trace.requests() for trace in traces)
        yield (
            f"the first {_span(skip)} of {_span(traces[0].seconds)} are history and not scored"
            f" ({past:,.0f} of {every:,.0f} requests; --skip-days changes that)"
        )
    if silent:
        yield f"{silent:,} silent minutes look like gaps of the collection and are not scored"


def _span(seconds: float) -> str:
    if seconds < DAY_SECONDS:
        return f"{seconds / 60:.3g} min"
    days = f"{seconds / DAY_SECONDS:.3g}"
    return f"{days} day" if days == "1" else f"{days} days"
