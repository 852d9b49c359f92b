"""Policies against each other on the same requests: defaults, best settings in hindsight, ours.

Called by `modelfleet bench autoscale` and tests. Every policy meets the same draws; peers begin an
hour before the scored time (none of their windows is longer), the shipped policy at the begin of
the trace. Must never give one policy what another does not get.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.arrivals import Arrivals, draw_arrivals
from modelfleet.simulate.baselines.base import DEFAULT, Peer, Setting
from modelfleet.simulate.baselines.clairvoyant import Foresight, cheapest, plan
from modelfleet.simulate.baselines.static import Static
from modelfleet.simulate.run import follow, run, run_fleet
from modelfleet.simulate.scaler import FleetScaler, Scaler
from modelfleet.simulate.score import Score, scored_minutes, total
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Trace
from modelfleet.simulate.world import MAX_REPLICAS, World

WARM_UP_SECONDS = 3600.0
MAX_OF_SMALL = 100
"""Replicas of each model of a fleet at most, so that hundreds of worlds fit into memory."""
Note = Callable[[str], None]
"""Told what was just finished, for a progress bar."""


@dataclass(frozen=True, slots=True)
class Model:
    """One service of a case with its trace."""

    service: SimulatedService
    trace: Trace
    scored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: models, the promise, seeds.

    `aim` is the share of requests that may violate; `least` replicas are kept by every policy
    (the clairvoyant one, and those that know no zero, take 0 and 1 alike); `most` bounds each
    model.
    """

    name: str
    models: tuple[Model, ...]
    aim: float
    skip_seconds: float
    seeds: tuple[int, ...]
    least: int = 1
    most: int = MAX_REPLICAS

    def keeping(self, least: int) -> "Case":
        """The same with another number of replicas that are always kept."""
        return replace(self, least=least)


@dataclass(frozen=True, slots=True)
class Draw:
    """The requests of one seed, and the clairvoyant reference for them."""

    seed: int
    arrivals: tuple[Arrivals, ...]
    beta: float
    reference: Score
    initial: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting on the first seed: a point of a policy's curve."""

    setting: str
    violations_percent: float
    cost_ratio: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy with one setting: a score for each seed. `kind` is default, best or shipped."""

    policy: str
    kind: str
    setting: str
    scores: tuple[Score, ...]
    curve: tuple[Point, ...] = ()


def one_model(
    trace: Trace, service: SimulatedService, aim: float, skip_seconds: float, seeds: Sequence[int]
) -> Case:
    """A case of a single service."""
    model = Model(service, trace, scored_minutes(trace, skip_seconds))
    return Case(trace.name, (model,), aim, skip_seconds, tuple(seeds))


def fleet(
    name: str,
    models: Sequence[tuple[Trace, SimulatedService]],
    aim: float,
    skip_seconds: float,
    seeds: Sequence[int],
) -> Case:
    """A case of many services, each from zero."""
    made = tuple(Model(s, t, scored_minutes(t, skip_seconds)) for t, s in models)
    return Case(name, made, aim, skip_seconds, tuple(seeds), least=0, most=MAX_OF_SMALL)


def default_skip_seconds(seconds: float) -> float:
    """History that is not scored: a week of ten days or more, else an eighth of the trace.

    Worked examples: 14 days: 7 days; 24 h: 3 h; 57 min: 7.1 min.
    """
    return 7 * 86_400.0 if seconds >= 10 * 86_400 else seconds / 8


def draws(case: Case, note: Note = lambda _: None) -> list[Draw]:
    """Requests and references of all seeds."""
    found = []
    for seed in case.seeds:
        found.append(_draw(case, seed))
        note(f"clairvoyant reference, seed {seed}")
    return found


def _begin(case: Case) -> float:
    return max(0.0, case.skip_seconds - WARM_UP_SECONDS)


def _draw(case: Case, seed: int) -> Draw:
    arrivals = tuple(draw_arrivals(m.trace, m.service, seed) for m in case.models)
    plans = [plan(m.service, a) for m, a in zip(case.models, arrivals, strict=True)]
    known: dict[float, Score] = {}

    def score_of(beta: float) -> Score:
        if beta not in known:
            known[beta] = _follow(case, arrivals, [make(beta) for make in plans])
        return known[beta]

    def is_kept(beta: float) -> bool:
        return score_of(beta).violations <= case.aim * score_of(beta).requests

    beta = cheapest(is_kept)
    initial = tuple(max(make(beta).at(_begin(case)), case.least) for make in plans)
    return Draw(seed, arrivals, beta, score_of(beta), initial)


def _follow(case: Case, arrivals: Sequence[Arrivals], schedules: Sequence[Foresight]) -> Score:
    # It may sleep where one is kept: what others are divided by stays the same for 0 and 1.
    least = case.least if case.least > 1 else 0
    schedules = [s.keeping(least) for s in schedules]
    initial = [s.at(_begin(case)) for s in schedules]
    worlds = _worlds(case, arrivals, initial)
    return total(
        [
            follow(world, made.wanted, made.step_seconds).result()
            for world, made in zip(worlds, schedules, strict=True)
        ]
    )


def _worlds(case: Case, arrivals: Sequence[Arrivals], initial: Sequence[int]) -> Iterator[World]:
    """One after the other, as fleets are large."""
    begin, most = _begin(case), case.most
    for model, drawn, size in zip(case.models, arrivals, initial, strict=True):
        yield World(model.service, drawn, model.scored, begin, initial=size, most=most)


def _simulate(
    case: Case,
    arrivals: Sequence[Arrivals],
    initial: Sequence[int],
    makers: Sequence[Callable[[], Scaler]],
) -> Score:
    worlds = _worlds(case, arrivals, initial)
    return total([run(world, make()).result() for world, make in zip(worlds, makers, strict=True)])


def measure(case: Case, drawn: Draw, makers: Sequence[Callable[[], Scaler]]) -> Score:
    """One seed under one scaler for each model."""
    return _simulate(case, drawn.arrivals, drawn.initial, makers)


def static(case: Case, drawn: Sequence[Draw], note: Note = lambda _: None) -> Outcome:
    """The smallest constant fleet that keeps the promise, the same for each model."""

    def scores_of(size: int) -> tuple[Score, ...]:
        makers = [lambda: Static(size)] * len(case.models)
        return tuple(_simulate(case, d.arrivals, [size] * len(case.models), makers) for d in drawn)

    low, high = max(1, case.least), case.most
    while low < high:
        middle = min((low + high) // 2, low * 2)
        if mean_violations(scores_of(middle)) <= case.aim:
            high = middle
        else:
            low = middle + 1
    note("static")
    return Outcome(Static.name, "best", f"{low} replicas", scores_of(low))


def mean_violations(scores: Sequence[Score]) -> float:
    """Mean share over the seeds."""
    return sum(s.violations_percent for s in scores) / len(scores) / 100


def default(case: Case, drawn: Sequence[Draw], peer: Peer, note: Note = lambda _: None) -> Outcome:
    """A peer as it comes."""
    chosen = [peer.default(m.service, case.least) for m in case.models]
    scores = tuple(measure(case, d, [s.make for s in chosen]) for d in drawn)
    note(f"{peer.name}, default")
    return Outcome(peer.name, "default", chosen[0].label, scores)


def best(case: Case, drawn: Sequence[Draw], peer: Peer, note: Note = lambda _: None) -> Outcome:
    """A peer at its cheapest setting that keeps the promise, chosen on the scored time itself.

    The grid, and the default where it is not in it, run on the first seed; what keeps the promise
    there runs on the others, the cheapest first, until one keeps it in the mean. If none does: the
    one that violates least.
    """
    grids = [peer.grid(m.service, case.least) for m in case.models]
    tried: list[tuple[Score, list[Setting]]] = []
    for settings in zip(*grids, strict=True):
        chosen = list(settings)
        tried.append((measure(case, drawn[0], [s.make for s in chosen]), chosen))
        note(f"{peer.name}, {chosen[0].label}")
    reference = drawn[0].reference
    curve = tuple(
        Point(s[0].label, one.violations_percent, one.cost_ratio(reference)) for one, s in tried
    )
    plain = [peer.default(m.service, case.least) for m in case.models]
    if plain[0].label.removeprefix(DEFAULT) not in {s[0].label for _, s in tried}:
        tried.append((measure(case, drawn[0], [s.make for s in plain]), plain))
    scores: tuple[Score, ...] = ()
    label = ""
    for first, chosen in _in_order(case, tried):
        rest = (measure(case, d, [s.make for s in chosen]) for d in drawn[1:])
        scores, label = (first, *rest), chosen[0].label
        if mean_violations(scores) <= case.aim:
            break
    return Outcome(peer.name, "best", label, scores, curve)


def _in_order(
    case: Case, tried: Sequence[tuple[Score, list[Setting]]]
) -> Iterator[tuple[Score, list[Setting]]]:
    kept = [t for t in tried if t[0].violations <= case.aim * t[0].requests]
    yield from sorted(kept, key=lambda t: t[0].billed_seconds)
    if not kept:
        yield min(tried, key=lambda t: t[0].violations)


def shipped(
    case: Case,
    drawn: Sequence[Draw],
    make: Callable[[Sequence[SimulatedService], float], FleetScaler],
) -> Outcome:
    """All seeds and models in one run of our own policy, from the begin of the trace.

    It learns from the time before the scored one, so it starts with the trace; where the peers
    do so too, with the replicas that they have.
    """
    is_same_start = _begin(case) == 0
    worlds = [
        World(model.service, arrivals, model.scored, initial=size * is_same_start, most=case.most)
        for one in drawn
        for model, arrivals, size in zip(case.models, one.arrivals, one.initial, strict=True)
    ]
    scaler = make([w.service for w in worlds], case.aim)
    run_fleet(worlds, scaler)
    size = len(case.models)
    scores = tuple(
        total([w.result() for w in worlds[first : first + size]])
        for first in range(0, len(worlds), size)
    )
    return Outcome("modelfleet", "shipped", "one configuration for all", scores)
