"""A trace of requests from a query to a Prometheus, for `simulate`.

What the query gives are mean rates of steps. Requests that are laid out evenly in a minute would
flatter every autoscaler, so a step gets the texture of public traces (`features.upsample`). Must
never take a time that nobody knows for a silence without saying so.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.cli.support.arguments import UsageError
from modelfleet.cli.support.prometheus_series import (
    TimeSpan,
    read_series,
    server_at,
    span_until_now,
)
from modelfleet.core.forecasting.constants import BIN_SECONDS
from modelfleet.core.forecasting.features import upsample
from modelfleet.engine.memory import public_traces
from modelfleet.simulate.trace import Trace, never_falls

if TYPE_CHECKING:
    from modelfleet.cli.support.prometheus_series import Column

DAY_SECONDS = 86_400.0
MAX_DAYS, MAX_STEP_SECONDS = 60, 3600
MIN_VALUES = 10
MAX_RATE = 1e14
"""More in a step are no whole numbers any more."""
MAX_NAMED = 3
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class QueriedTrace:
    """The trace, in a sentence what was found, and whether the values never fall."""

    trace: Trace
    told: str
    is_rising: bool


def traffic(url: str, query: str, days: float, step_seconds: int) -> QueriedTrace:
    """Ask for the last days; raises UsageError with what to do."""
    if not 0 < days <= MAX_DAYS:
        message = f"--days must be above 0 and at most {MAX_DAYS}"
        raise UsageError(message)
    if not 1 <= step_seconds <= MAX_STEP_SECONDS:
        message = f"--step-seconds must be from 1 to {MAX_STEP_SECONDS}"
        raise UsageError(message)
    span = span_until_now(days * DAY_SECONDS, step_seconds)
    found = read_series(server_at(url), query, span)
    if not found:
        message = f"the query gives nothing in the last {days:g} days; try it in Prometheus first"
        raise UsageError(message)
    if len(found) > 1:
        names = ["{" + ", ".join(f"{k}={v}" for k, v in one) + "}" for one in list(found)]
        shown = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
        message = f"the query gives {len(found)} series ({shown}); wrap it in sum(...)"
        raise UsageError(message)
    return _traffic(next(iter(found.values())), span, query)


def _traffic(rates: "Column", span: TimeSpan, query: str) -> QueriedTrace:
    rates = np.where(np.isfinite(rates), rates, np.nan)
    if np.nanmax(rates, initial=0.0) > MAX_RATE:
        message = f"the query gives {np.nanmax(rates):.3g}; it must give requests per second"
        raise UsageError(message)
    if (rates < 0).any():
        raise UsageError("the query gives negative rates; it must give requests per second")
    known = np.flatnonzero(~np.isnan(rates))
    if len(known) < MIN_VALUES:
        message = f"the query gives only {len(known)} values; ask for more days, or smaller steps"
        raise UsageError(message)
    rates = rates[known[0] : known[-1] + 1]
    unknown = float(np.isnan(rates).mean())
    counts = np.nan_to_num(rates) * span.step
    name = query if len(query) <= MAX_NAME else query[: MAX_NAME - 3] + "..."
    trace = _trace(name, counts, span.step)
    told = (
        f"{trace.seconds / DAY_SECONDS:.2f} days of traffic, {counts.sum():,.0f} requests,"
        f" {counts.sum() / trace.seconds:.2f} a second"
    )
    if trace.is_mean:
        told += f"; within a step of {span.step} s their moments are drawn by chance"
    else:
        told += f"; within a step of {span.step} s they come as unevenly as in public traces"
    is_rising = never_falls(rates[~np.isnan(rates)])
    if is_rising:
        told += "; its values never fall, as those of a counter: should it be in rate(...)?"
    if unknown:
        told += f"; {100 * unknown:.1f} % of the time is not known and counts as no traffic"
    return QueriedTrace(trace, told, is_rising)


def _trace(name: str, counts: "Column", step_seconds: int) -> Trace:
    seconds = float(len(counts) * step_seconds)
    bins, rest = divmod(step_seconds, BIN_SECONDS)
    if rest or bins == 1:
        # Not rounded: requests are drawn from the mean.
        return Trace(name, seconds, float(step_seconds), counts, is_mean=True)
    whole = np.diff(np.floor(np.cumsum(counts) + 0.5), prepend=0.0)
    drawn = upsample.drawn(whole, upsample.textures(public_traces.traces(), bins), seed=1)
    return Trace(name, seconds, float(BIN_SECONDS), drawn.astype(np.float64))
