"""Notes on everything that `bench autoscale` and `simulate` change in a trace, each in one line.

Both verbs print the notes before they run. Must never leave out a change that makes the figures
differ from the file's.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.simulate.trace import Trace

DAY_SECONDS = 86_400.0
FINE_SECONDS = 5.0
"""Seconds of a bin of the forecasts; shorter rows make no difference."""


def print_notes(verb: str, lines: Iterator[str]) -> None:
    """Print the notes to stderr, as the result goes to stdout."""
    for line in lines:
        sys.stderr.write(f"modelfleet {verb}: {line}\n")


def notes(chosen: argparse.Namespace, traces: "Sequence[Trace]", skip: float) -> Iterator[str]:
    """Yield the notes: time that is not scored, random moments, options without effect."""
    yield from _not_scored(traces, skip)
    width = traces[0].bin_seconds
    if chosen.trace is not None and width > FINE_SECONDS:
        yield (
            f"a row is {width:g} s long: the requests within a row get random moments; real"
            " requests are less even"
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

    history_requests, silent_minutes = 0.0, 0
    for trace in traces:
        counted = scored_minutes(trace, skip)
        history_minutes = -int(-(skip - 1e-6) // MINUTE)
        history_requests += float(trace.binned(MINUTE)[:history_minutes].sum())
        silent_minutes += int((~counted[history_minutes:]).sum())
    if skip:
        every = sum(trace.requests() for trace in traces)
        yield (
            f"the first {_span(skip)} of {_span(traces[0].seconds)} are history and not"
            f" scored ({history_requests:,.0f} of {every:,.0f} requests; --skip-days changes that)"
        )
    if silent_minutes:
        yield (
            f"{silent_minutes:,} silent minutes look like gaps of the collection and are not scored"
        )


def _span(seconds: float) -> str:
    if seconds < DAY_SECONDS:
        return f"{seconds / 60:.3g} min"
    days = f"{seconds / DAY_SECONDS:.3g}"
    return f"{days} day" if days == "1" else f"{days} days"
