"""Schedules -> the bounds of replicas that hold now, why, and until when.

Called by `decide`, `status` and `model.turn`. Windows are read in their own time zone: an hour
that is skipped by a change of the clocks happens at its end, one that comes twice happens once.
Must never bound by a window that cannot be read: `model.validation` says what is wrong with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from modelfleet.api.scaling_spec import Scaling, ScalingSchedule

_CLOCK_CHANGE = timedelta(hours=3)
"""More than clocks are ever moved: the search begins so far off, and looks at real time."""
_MINUTE_SECONDS = 60
_LONGEST_SECONDS = 600.0
"""Clocks of machines jump and sleep, so even a far edge is looked for this often."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Replicas at least and at most, with the fields that say so."""

    low: int
    high: int
    low_why: str | None = None
    """The window that sets the minimum; None where `scaling.minReplicas` does."""
    high_why: str | None = None
    conflict: str = ""
    """Which two open windows contradict each other, and what to do."""
    edge_seconds: float | None = None
    """When to look again; None without schedules."""


def bounds(scaling: Scaling, now: datetime) -> Bounds:
    """Bounds at `now`: the highest minimum and the lowest maximum of the windows that are open.

    Worked example: 1 to 10; open are `work` (at least 4) and `lunch` (at least 2, at most 3): the
    minimum of 4 wins over the maximum of 3, so 4 to 4, and the conflict says so.
    """
    schedules = scaling.schedules or ()
    spans = [(one, span) for one in schedules if (span := _span(one, now)) is not None]
    edge = min([_LONGEST_SECONDS, *(s.edge_seconds for _, s in spans)]) if schedules else None
    opened = [one for one, span in spans if span.is_open]
    if not opened:
        return Bounds(scaling.min_replicas, scaling.max_replicas, edge_seconds=edge)
    lowest = max(opened, key=lambda one: one.min_replicas)
    low, low_why = lowest.min_replicas, f"schedule '{lowest.name}': minReplicas"
    high, high_why, conflict = scaling.max_replicas, None, ""
    limited = [(one.max_replicas, one) for one in opened if one.max_replicas is not None]
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
    """What is wrong with a window, by its field; None when it can be read."""
    place = f"scaling.schedules '{schedule.name}'"
    if _zone(schedule.timezone) is None:
        return f"{place}: timezone '{schedule.timezone}' must be an IANA name like Europe/Berlin"
    parsed = {}
    for field, text in (("start", schedule.start), ("end", schedule.end)):
        if len(text.split()) != 5:  # noqa: PLR2004 - minute to day of week
            return f"{place}: {field} '{text}' must have five fields"
        try:
            parsed[field] = _moments(CronSim(text, datetime(2000, 1, 1)))  # noqa: DTZ001 - only parsed
        except CronSimError as error:
            return f"{place}: {field} '{text}' is no cron expression: {error}"
    if parsed["start"] == parsed["end"]:
        return f"{place}: end must differ from start: the window would never be open"
    return None


def _moments(cron: CronSim) -> tuple[object, ...]:
    """What a cron expression says, however it is written."""
    days = {day % 7 if isinstance(day, int) else day for day in cron.weekdays}
    return (cron.minutes, cron.hours, cron.days, cron.months, days, cron.day_and)


@dataclass(frozen=True, slots=True)
class _OpenWindow:
    is_open: bool
    edge_seconds: float


def _span(schedule: ScalingSchedule, now: datetime) -> _OpenWindow | None:
    """Whether a window is open, and when that changes; None when it cannot be read."""
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
    """The last moment of a cron expression up to a minute, and the next one; seconds of Unix time.

    Nothing changes within a minute, so models with the same windows share the work.
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
        # No such zone, a folder of zones, or a path that leaves them.
        return None
