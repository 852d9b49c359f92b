"""Generated traces with one property each: calendar bursts, seasons, steps, flash crowds, sleep.

Tests and benchmarks use them beside the recorded traces. All are seeded. Rates are Poisson means;
this module draws whole counts from them.
"""

from collections.abc import Mapping

import numpy as np

from modelfleet.simulate.trace import Floats, Trace

BIN_SECONDS = 5.0
DAY_SECONDS = 86_400.0
WEEK_DAYS, WORK_DAYS = 7, 5
BURST_HOURS = (8, 10, 13, 17)
BURST_MINUTES = (0, 30)
RISE_SECONDS = 120.0
BURST_SECONDS = 600.0
FLASH_HEIGHT, FLASH_SECONDS = 12.0, 1800.0


def calendar_bursts(days: float = 14, rate: float = 6.0, seed: int = 1) -> Trace:
    """Return jumps of 3 to 5 times within two minutes, at fixed times of each day.

    Each begins at minute 0 or 30 of hour 8, 10, 13 or 17 and lasts ten minutes. Each has a random
    height of its own.
    """
    chance = np.random.default_rng([seed, 1])
    at = _times(days)
    rates = rate * (1 + 0.2 * _daily(at))
    for day in range(int(np.ceil(days))):
        for hour in BURST_HOURS:
            for minute in BURST_MINUTES:
                begin = day * DAY_SECONDS + hour * 3600 + minute * 60
                height = chance.uniform(3.0, 5.0)
                rates *= 1 + (height - 1) * _pulse(at - begin)
    return _drawn("calendar", rates, chance)


def _pulse(since: Floats) -> Floats:
    """Return a rise from 0 to 1 in two minutes, then a fall back in two minutes.

    The fall begins ten minutes after the rise began.
    """
    up = np.clip(since / RISE_SECONDS, 0, 1)
    down = np.clip((BURST_SECONDS + RISE_SECONDS - since) / RISE_SECONDS, 0, 1)
    return np.asarray(np.minimum(up, down))


def seasons(days: float = 14, rate: float = 12.0, seed: int = 1) -> Trace:
    """Return a trace with a strong day, a strong week and slow noise.

    Nights have a tenth of the rate of noon; weekends have 40 % of a working day.
    """
    chance = np.random.default_rng([seed, 2])
    at = _times(days)
    is_weekend = (at // DAY_SECONDS).astype(int) % WEEK_DAYS >= WORK_DAYS
    level = (1 + 0.82 * _daily(at)) * np.where(is_weekend, 0.4, 1.0)
    return _drawn("seasons", rate * level * _slow_noise(len(at), chance), chance)


def steps(days: float = 14, rate: float = 10.0, seed: int = 1) -> Trace:
    """Return levels that change at once, each held for 2 to 12 hours.

    The levels lie between a third of the rate and twice the rate.
    """
    chance = np.random.default_rng([seed, 3])
    size = len(_times(days))
    rates = np.ones(size)
    begin = 0
    while begin < size:
        length = int(chance.uniform(2, 12) * 3600 / BIN_SECONDS)
        rates[begin : begin + length] = rate * np.exp(chance.uniform(np.log(1 / 3), np.log(2)))
        begin += length
    return _drawn("steps", rates, chance)


def steady(days: float = 2, rate: float = 5.0, seed: int = 1) -> Trace:
    """Return a trace of one constant rate: all variation is chance."""
    chance = np.random.default_rng([seed, 5])
    return _drawn("steady", np.full(len(_times(days)), rate), chance)


def flash_crowd(days: float = 2, rate: float = 5.0, seed: int = 1) -> Trace:
    """Return a steady trace that jumps to twelve times the rate after three quarters of its time.

    The excess falls to about a third (1/e) within each half hour.
    """
    chance = np.random.default_rng([seed, 6])
    since = _times(days) - 0.75 * days * DAY_SECONDS
    more = (FLASH_HEIGHT - 1) * np.exp(-np.maximum(since, 0.0) / FLASH_SECONDS)
    return _drawn("flash crowd", rate * (1 + np.where(since >= 0, more, 0.0)), chance)


def idle_fleet(models: int = 200, days: float = 2, seed: int = 1) -> Mapping[str, Trace]:
    """Return small models that are idle most of the time: sessions of a few requests, hours apart.

    The gaps between sessions are heavy-tailed; their means range from 20 min to a day. A third of
    the models has sessions only at fixed times of the day. A request takes 0.05 to 3 s, depending
    on the model.
    """
    chance = np.random.default_rng([seed, 4])
    return {f"model-{number:03d}": _sleeper(number, days, chance) for number in range(models)}


def _sleeper(number: int, days: float, chance: np.random.Generator) -> Trace:
    seconds = days * DAY_SECONDS
    mean_gap = 1200 * 72 ** chance.random()
    begins = np.cumsum(mean_gap * chance.lognormal(-0.5, 1.0, int(4 * seconds / mean_gap) + 8))
    if number % 3 == 0:
        times = np.sort(chance.uniform(0, DAY_SECONDS, int(chance.integers(1, 6))))
        begins = np.concatenate([d * DAY_SECONDS + times for d in range(int(np.ceil(days)))])
    begins = begins[begins < seconds]
    sizes = chance.geometric(1 / chance.uniform(3, 40), len(begins))
    pause = chance.uniform(0.2, 8.0)
    offsets = [np.cumsum(chance.exponential(pause, size)) for size in sizes]
    moments = np.concatenate(
        [begin + offset for begin, offset in zip(begins, offsets, strict=True)] or [np.zeros(0)]
    )
    moments = np.sort(moments[moments < seconds])
    work = np.exp(chance.uniform(np.log(0.05), np.log(3.0)))
    spread = np.exp(0.5 * chance.standard_normal(len(moments)) - 0.125)
    return Trace(f"model-{number:03d}", seconds, moments=moments, work_seconds=work * spread)


def _times(days: float) -> Floats:
    return np.arange(round(days * DAY_SECONDS / BIN_SECONDS), dtype=np.float64) * BIN_SECONDS


def _daily(at: Floats) -> Floats:
    """Return the daily swing: -1 at 3 h, 1 at 15 h."""
    return np.asarray(np.sin(2 * np.pi * (at / DAY_SECONDS - 9 / 24)))


def _slow_noise(size: int, chance: np.random.Generator) -> Floats:
    """Return log-normal noise of +-10 % that changes over half an hour."""
    knots = np.arange(0, size + 360, 360)
    values = chance.normal(0, 0.1, len(knots))
    wander: Floats = np.asarray(np.interp(np.arange(size), knots, values), dtype=np.float64)
    return np.asarray(np.exp(wander))


def _drawn(name: str, rates: Floats, chance: np.random.Generator) -> Trace:
    counts = chance.poisson(rates * BIN_SECONDS).astype(float)
    return Trace(name, len(counts) * BIN_SECONDS, BIN_SECONDS, counts)
