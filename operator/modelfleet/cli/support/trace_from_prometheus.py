"""Trace of requests from a query to a Prometheus, for `simulate`.

The query gives the mean rate of each step. Requests at even distances within a minute would flatter
every autoscaler. A step therefore gets the texture of public traces (`features.upsample`). Must
never count an unknown time as silence without a note.
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
"""Highest rate; at a higher one the counts of a step are not exact whole numbers."""
MAX_NAMED = 3
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class QueriedTrace:
    """Trace of a query, with a summary in one sentence.

    `is_rising`: whether the values never fall, like those of a counter.
    """

    trace: Trace
    summary: str
    is_rising: bool


def traffic(url: str, query: str, days: float, step_seconds: int) -> QueriedTrace:
    """Return the traffic of the last days; raises `UsageError` with advice."""
    if not 0 < days <= MAX_DAYS:
        message = f"--days must be above 0 and at most {MAX_DAYS}"
        raise UsageError(message)
    if not 1 <= step_seconds <= MAX_STEP_SECONDS:
        message = f"--step-seconds must be from 1 to {MAX_STEP_SECONDS}"
        raise UsageError(message)
    span = span_until_now(days * DAY_SECONDS, step_seconds)
    series = read_series(server_at(url), query, span)
    if not series:
        message = f"the query gives nothing in the last {days:g} days; try it in Prometheus first"
        raise UsageError(message)
    if len(series) > 1:
        names = ["{" + ", ".join(f"{k}={v}" for k, v in labels) + "}" for labels in series]
        shown = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
        message = f"the query gives {len(series)} series ({shown}); wrap it in sum(...)"
        raise UsageError(message)
    return _traffic(next(iter(series.values())), span, query)


def _traffic(rates: "Column", span: TimeSpan, query: str) -> QueriedTrace:
    rates = np.where(np.isfinite(rates), rates, np.nan)
    if np.nanmax(rates, initial=0.0) > MAX_RATE:
        message = f"the query gives {np.nanmax(rates):.3g}; it must give requests per second"
        raise UsageError(message)
    if (rates < 0).any():
        raise UsageError("the query gives negative rates; it must give requests per second")
    recorded = np.flatnonzero(~np.isnan(rates))
    if len(recorded) < MIN_VALUES:
        message = (
            f"the query gives only {len(recorded)} values; ask for more days, or smaller steps"
        )
        raise UsageError(message)
    rates = rates[recorded[0] : recorded[-1] + 1]
    unknown = float(np.isnan(rates).mean())
    counts = np.nan_to_num(rates) * span.step
    name = query if len(query) <= MAX_NAME else query[: MAX_NAME - 3] + "..."
    trace = _trace(name, counts, span.step)
    summary = (
        f"{trace.seconds / DAY_SECONDS:.2f} days of traffic, {counts.sum():,.0f} requests,"
        f" {counts.sum() / trace.seconds:.2f} a second"
    )
    if trace.is_mean:
        summary += f"; within a step of {span.step} s their moments are drawn by chance"
    else:
        summary += f"; within a step of {span.step} s they come as unevenly as in public traces"
    is_rising = never_falls(rates[~np.isnan(rates)])
    if is_rising:
        summary += (
            "; the values never fall, like those of a counter: should the query be in rate(...)?"
        )
    if unknown:
        summary += f"; {100 * unknown:.1f} % of the time is not known and counts as no traffic"
    return QueriedTrace(trace, summary, is_rising)


def _trace(name: str, counts: "Column", step_seconds: int) -> Trace:
    seconds = float(len(counts) * step_seconds)
    bins, rest = divmod(step_seconds, BIN_SECONDS)
    if rest or bins == 1:
        # Without rounding: requests are drawn from the mean.
        return Trace(name, seconds, float(step_seconds), counts, is_mean=True)
    whole = np.diff(np.floor(np.cumsum(counts) + 0.5), prepend=0.0)
    drawn = upsample.drawn(whole, upsample.textures(public_traces.traces(), bins), seed=1)
    return Trace(name, seconds, float(BIN_SECONDS), drawn.astype(np.float64))
