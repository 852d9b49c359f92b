"""Comparison of policies on the same requests: defaults, best settings in hindsight, modelfleet.

`report` turns the outcomes into tables. Every policy meets the same draws. Peers begin an hour
before the scored time; none of their windows is longer. The shipped policy begins with the trace.
Must never give one policy an input that another policy does not get.
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
"""Most replicas of each model of a fleet: hundreds of worlds then fit into memory."""
Note = Callable[[str], None]
"""Callback for a progress bar: takes the name of the step that was just finished."""


@dataclass(frozen=True, slots=True)
class Model:
    """One service of a case with its trace; `scored` marks the minutes that count."""

    service: SimulatedService
    trace: Trace
    scored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """Models that are measured together, with the aim and the seeds.

    `aim` is the share of requests that may wait longer than the service allows. The first
    `skip_seconds` of a trace are history and not scored. Every policy keeps at least `least`
    replicas. Of 0 and 1, the clairvoyant reference always takes 0, and a policy that cannot scale
    to zero takes 1. `most` bounds the replicas of each model.
    """

    name: str
    models: tuple[Model, ...]
    aim: float
    skip_seconds: float
    seeds: tuple[int, ...]
    least: int = 1
    most: int = MAX_REPLICAS

    def keeping(self, least: int) -> "Case":
        """Return this case with another least number of replicas."""
        return replace(self, least=least)


@dataclass(frozen=True, slots=True)
class Draw:
    """Requests of one seed, and their clairvoyant reference.

    `beta` is the margin of the reference. `initial` are the replicas of each model when the peers
    begin.
    """

    seed: int
    arrivals: tuple[Arrivals, ...]
    beta: float
    reference: Score
    initial: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting on the first seed: one point of a policy's curve."""

    setting: str
    violations_percent: float
    cost_ratio: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy with one setting: a score for each seed.

    `kind` is default, best, shipped or reference.
    """

    policy: str
    kind: str
    setting: str
    scores: tuple[Score, ...]
    curve: tuple[Point, ...] = ()


def one_model(
    trace: Trace, service: SimulatedService, aim: float, skip_seconds: float, seeds: Sequence[int]
) -> Case:
    """Return a case of a single service."""
    model = Model(service, trace, scored_minutes(trace, skip_seconds))
    return Case(trace.name, (model,), aim, skip_seconds, tuple(seeds))


def fleet(
    name: str,
    models: Sequence[tuple[Trace, SimulatedService]],
    aim: float,
    skip_seconds: float,
    seeds: Sequence[int],
) -> Case:
    """Return a case of many services that may all scale to zero."""
    case_models = tuple(Model(s, t, scored_minutes(t, skip_seconds)) for t, s in models)
    return Case(name, case_models, aim, skip_seconds, tuple(seeds), least=0, most=MAX_OF_SMALL)


def default_skip_seconds(seconds: float) -> float:
    """Return the seconds of history at the begin of a trace that are not scored.

    A trace of ten days or more has a week of history. A shorter trace has an eighth of its length.

    Worked examples: 14 days: 7 days; 24 h: 3 h; 57 min: 7.1 min.
    """
    return 7 * 86_400.0 if seconds >= 10 * 86_400 else seconds / 8


def draws(case: Case, note: Note = lambda _: None) -> list[Draw]:
    """Return the requests and the references of all seeds."""
    drawn = []
    for seed in case.seeds:
        drawn.append(_draw(case, seed))
        note(f"clairvoyant reference, seed {seed}")
    return drawn


def _begin(case: Case) -> float:
    return max(0.0, case.skip_seconds - WARM_UP_SECONDS)


def _draw(case: Case, seed: int) -> Draw:
    arrivals = tuple(draw_arrivals(m.trace, m.service, seed) for m in case.models)
    plans = [plan(m.service, a) for m, a in zip(case.models, arrivals, strict=True)]
    scores: dict[float, Score] = {}

    def score_of(beta: float) -> Score:
        if beta not in scores:
            scores[beta] = _follow(case, arrivals, [make(beta) for make in plans])
        return scores[beta]

    def meets_aim(beta: float) -> bool:
        return score_of(beta).violations <= case.aim * score_of(beta).requests

    beta = cheapest(meets_aim)
    initial = tuple(max(make(beta).at(_begin(case)), case.least) for make in plans)
    return Draw(seed, arrivals, beta, score_of(beta), initial)


def _follow(case: Case, arrivals: Sequence[Arrivals], schedules: Sequence[Foresight]) -> Score:
    # The reference may scale to zero where others keep one replica. Costs with `least` 0 and 1
    # are then divided by the same number.
    least = case.least if case.least > 1 else 0
    schedules = [s.keeping(least) for s in schedules]
    initial = [s.at(_begin(case)) for s in schedules]
    worlds = _worlds(case, arrivals, initial)
    return total(
        [
            follow(world, foresight.wanted, foresight.step_seconds).result()
            for world, foresight in zip(worlds, schedules, strict=True)
        ]
    )


def _worlds(case: Case, arrivals: Sequence[Arrivals], initial: Sequence[int]) -> Iterator[World]:
    """Yield the worlds one after the other, as fleets are large."""
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
    """Return the score of one seed under one scaler for each model."""
    return _simulate(case, drawn.arrivals, drawn.initial, makers)


def static(case: Case, drawn: Sequence[Draw], note: Note = lambda _: None) -> Outcome:
    """Return the outcome of the least constant number of replicas that meets the aim.

    Each model has the same number.
    """

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
    """Return the mean share of violating requests over the seeds."""
    return sum(s.violations_percent for s in scores) / len(scores) / 100


def default(case: Case, drawn: Sequence[Draw], peer: Peer, note: Note = lambda _: None) -> Outcome:
    """Return the outcome of a peer with its default setting."""
    chosen = [peer.default(m.service, case.least) for m in case.models]
    scores = tuple(measure(case, d, [s.make for s in chosen]) for d in drawn)
    note(f"{peer.name}, default")
    return Outcome(peer.name, "default", chosen[0].label, scores)


def best(case: Case, drawn: Sequence[Draw], peer: Peer, note: Note = lambda _: None) -> Outcome:
    """Return the outcome of a peer's cheapest setting that meets the aim.

    The setting is chosen in hindsight, on the scored time itself. All settings of the grid run on
    the first seed, and the default where the grid lacks it. Settings that meet the aim there run on
    the other seeds, the cheapest first. The first one that meets the aim in the mean is the result.
    If none does so in the mean, the dearest of them is the result. If no setting meets the aim on
    the first seed, the one that violates least is the result.
    """
    grids = [peer.grid(m.service, case.least) for m in case.models]
    tried: list[tuple[Score, list[Setting]]] = []
    for settings in zip(*grids, strict=True):
        chosen = list(settings)
        tried.append((measure(case, drawn[0], [s.make for s in chosen]), chosen))
        note(f"{peer.name}, {chosen[0].label}")
    reference = drawn[0].reference
    curve = tuple(
        Point(s[0].label, first.violations_percent, first.cost_ratio(reference))
        for first, s in tried
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
    within_aim = [t for t in tried if t[0].violations <= case.aim * t[0].requests]
    yield from sorted(within_aim, key=lambda t: t[0].billed_seconds)
    if not within_aim:
        yield min(tried, key=lambda t: t[0].violations)


def shipped(
    case: Case,
    drawn: Sequence[Draw],
    make: Callable[[Sequence[SimulatedService], float], FleetScaler],
) -> Outcome:
    """Return the outcome of modelfleet: all seeds and models in one run.

    The policy learns from the time before the scored time, so its run begins with the trace. Where
    the peers begin with the trace too, the policy has the same initial replicas as the peers.
    Elsewhere the policy begins with none.
    """
    is_same_start = _begin(case) == 0
    worlds = [
        World(model.service, arrivals, model.scored, initial=size * is_same_start, most=case.most)
        for draw in drawn
        for model, arrivals, size in zip(case.models, draw.arrivals, draw.initial, strict=True)
    ]
    scaler = make([w.service for w in worlds], case.aim)
    run_fleet(worlds, scaler)
    size = len(case.models)
    scores = tuple(
        total([w.result() for w in worlds[first : first + size]])
        for first in range(0, len(worlds), size)
    )
    return Outcome("modelfleet", "shipped", "one configuration for all", scores)
