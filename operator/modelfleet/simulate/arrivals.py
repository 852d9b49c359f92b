"""Single requests drawn from a trace: the arrival time and the work of each.

`draw_arrivals` runs once for each seed. All policies share the draw, so that all meet the same
requests. `world` replays it. Must never depend on the actions of a policy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.simulated_service import DAY_SECONDS, SimulatedService
from modelfleet.simulate.trace import Floats, Trace

STARTUPS = 4096


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests of one seed, and the start-up times of replicas.

    `moments` are the arrival times in seconds, sorted. `work` is the service time of each request
    in seconds. `startups` are start-up times in seconds; the replicas that are created use them in
    turn. `seconds` is the length of the trace.
    """

    moments: Floats
    work: NDArray[np.float32]
    startups: Floats
    seconds: float


def draw_arrivals(trace: Trace, service: SimulatedService, seed: int) -> Arrivals:
    """Return the requests of a trace for one seed.

    Whole counts are measurements and stay as they are. Their requests are placed uniformly inside
    their bin, which is what a Poisson process does given its count. Fractional counts are means:
    each seed draws a Poisson number. Exact moments stay unchanged. Raises nothing.
    """
    chance = np.random.default_rng(np.random.SeedSequence([20_231, seed]))
    moments = trace.moments if trace.moments is not None else _placed(trace, chance)
    if trace.work_seconds is not None:
        work = np.maximum(trace.work_seconds, 1e-3).astype(np.float32)
    else:
        work = lognormal(chance, len(moments), service.service_cv)
        work *= np.float32(service.service_seconds)
        if service.drift:
            swing = np.sin(2 * np.pi * moments / DAY_SECONDS)
            work *= (1 + service.drift * swing).astype(np.float32)
    startups = service.startup_seconds * lognormal(chance, STARTUPS, service.startup_cv)
    return Arrivals(moments, work, startups.astype(np.float64), trace.seconds)


def lognormal(chance: np.random.Generator, size: int, cv: float) -> NDArray[np.float32]:
    """Return log-normal numbers of mean 1: sigma^2 = ln(1 + cv^2), mu = -sigma^2 / 2.

    Worked example: cv 0.7 gives sigma^2 = ln 1.49 = 0.399.
    """
    if cv == 0:
        return np.ones(size, dtype=np.float32)
    variance = np.float32(np.log1p(cv * cv))
    normal = chance.standard_normal(size, dtype=np.float32)
    return np.asarray(np.exp(np.sqrt(variance) * normal - variance / 2))


def _placed(trace: Trace, chance: np.random.Generator) -> Floats:
    counts = trace.counts
    whole = np.rint(counts)
    is_whole = not trace.is_mean and bool(
        (np.abs(counts - whole) < 1e-4 * np.maximum(1.0, counts)).all()
    )
    numbers = (whole if is_whole else chance.poisson(counts)).astype(np.int64)
    bins = np.repeat(np.arange(len(numbers)), numbers)
    moments = (bins + chance.random(len(bins))) * trace.bin_seconds
    moments.sort()
    return np.asarray(np.minimum(moments, trace.seconds))
