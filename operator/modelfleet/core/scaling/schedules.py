"""Schedules: the bounds of replicas that hold now, their reasons, and the time of the next change.

`replica_targets` keeps the grant within these bounds. Windows follow their own time zone. An hour
that a clock change skips happens at its end; an hour that comes twice happens once. Must never
bound by a window that cannot be parsed: `model.validation` refuses such a spec.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from modelfleet.api.scaling_spec import Scaling, ScalingSchedule

_CLOCK_CHANGE = timedelta(hours=3)
"""More than any change of clocks: the search starts this far away and then compares real time."""
_MINUTE_SECONDS = 60
_LONGEST_SECONDS = 600.0
"""Longest time between two looks: clocks of machines jump and sleep."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most replicas, with the fields that set them."""

    low: int
    high: int
    low_why: str | None = None
    """The window that sets the minimum; None where `scaling.minReplicas` sets it."""
    high_why: str | None = None
    conflict: str = ""
    """The two open windows that contradict each other, and what to do; empty without a conflict."""
    edge_seconds: float | None = None
    """Seconds until the next look; None without schedules."""


def bounds(scaling: Scaling, now: datetime) -> Bounds:
    """Return the bounds at `now`: the highest minimum and the lowest maximum of the open windows.

    Worked example: 1 to 10; open are `work` (at least 4) and `lunch` (at least 2, at most 3). The
    minimum of 4 wins over the maximum of 3, so 4 to 4, and `conflict` is set.
    """
    schedules = scaling.schedules or ()
    spans = [
        (schedule, span) for schedule in schedules if (span := _span(schedule, now)) is not None
    ]
    edge = min([_LONGEST_SECONDS, *(s.edge_seconds for _, s in spans)]) if schedules else None
    opened = [schedule for schedule, span in spans if span.is_open]
    if not opened:
        return Bounds(scaling.min_replicas, scaling.max_replicas, edge_seconds=edge)
    lowest = max(opened, key=lambda schedule: schedule.min_replicas)
    low, low_why = lowest.min_replicas, f"schedule '{lowest.name}': minReplicas"
    high, high_why, conflict = scaling.max_replicas, None, ""
    limited = [
        (schedule.max_replicas, schedule)
        for schedule in opened
        if schedule.max_replicas is not None
    ]
    if limited:
        high, limiting = min(limited, key=lambda pair: pair[0])
        high_why = f"schedule '{limiting.name}': maxReplicas"
        if high < low:
            conflict = _conflict(lowest, limiting)
            high, high_why = low, low_why
    return Bounds(low, max(high, low, 1), low_why, high_why, conflict, edge)


def _conflict(lowest: ScalingSchedule, limiting: ScalingSchedule) -> str:
    return (
        f"scaling.schedules '{lowest.name}' and '{limiting.name}' are open at the same time and"
        f" contradict each other: minReplicas {lowest.min_replicas} of '{lowest.name}' is above"
        f" maxReplicas {limiting.max_replicas} of '{limiting.name}'; the minimum is kept, change"
        " one of them"
    )


@lru_cache(maxsize=4096)
def fault(schedule: ScalingSchedule) -> str | None:
    """Return the fault of a window, with its field; None when the window can be parsed."""
    path = f"scaling.schedules '{schedule.name}'"
    if _zone(schedule.timezone) is None:
        return f"{path}: timezone '{schedule.timezone}' must be an IANA name like Europe/Berlin"
    parsed = {}
    for field, text in (("start", schedule.start), ("end", schedule.end)):
        if len(text.split()) != 5:  # noqa: PLR2004 - minute to day of week
            return f"{path}: {field} '{text}' must have five fields"
        try:
            parsed[field] = _moments(CronSim(text, datetime(2000, 1, 1)))  # noqa: DTZ001 - only parsed
        except CronSimError as error:
            return f"{path}: {field} '{text}' is no cron expression: {error}"
    if parsed["start"] == parsed["end"]:
        return f"{path}: end must differ from start: the window would never be open"
    return None


def _moments(cron: CronSim) -> tuple[object, ...]:
    """Return the moments of a cron expression, equal for equal expressions in any spelling."""
    days = {day % 7 if isinstance(day, int) else day for day in cron.weekdays}
    return (cron.minutes, cron.hours, cron.days, cron.months, days, cron.day_and)


@dataclass(frozen=True, slots=True)
class _OpenWindow:
    is_open: bool
    edge_seconds: float


def _span(schedule: ScalingSchedule, now: datetime) -> _OpenWindow | None:
    """Return whether a window is open, and when that changes; None when it cannot be parsed."""
    if fault(schedule) is not None:
        return None
    seconds = now.timestamp()
    minute = int(seconds // _MINUTE_SECONDS)
    start = _around(schedule.start, schedule.timezone, minute)
    end = _around(schedule.end, schedule.timezone, minute)
    is_open = start[0] > end[0]
    return _OpenWindow(is_open, max(1.0, min(start[1], end[1]) - seconds))


@lru_cache(maxsize=8192)
def _around(expression: str, timezone: str, minute: int) -> tuple[float, float]:
    """Return the last moment of a cron expression up to a minute, and the next one.

    Both are in Unix seconds. Nothing changes within a minute, so models with the same windows share
    the result.
    """
    zone = _zone(timezone) or ZoneInfo("UTC")
    at = datetime.fromtimestamp(minute * _MINUTE_SECONDS, UTC)
    before = CronSim(expression, (at + _CLOCK_CHANGE).astimezone(zone), reverse=True)
    after = CronSim(expression, (at - _CLOCK_CHANGE).astimezone(zone))
    last = next((m for m in _seconds(before) if m <= at.timestamp()), float("-inf"))
    following = next((m for m in _seconds(after) if m > at.timestamp()), float("inf"))
    return last, following


def _seconds(cron: CronSim) -> Iterator[float]:
    return (moment.timestamp() for moment in cron)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        # An unknown zone, a folder of zones, or a path outside the zone folder.
        return None
