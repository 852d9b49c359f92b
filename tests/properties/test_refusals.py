"""Nobody is refused who would have been answered in time, whatever the model and its traffic are.

A queue of requests that gateways send to replicas, second by second. The bound of each gateway is
held against what is under way there whenever a newcomer's true wait is well within the bound.
"""

import heapq
import math
import random
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelfleet.gateway.bounds.limits import UNKNOWN_THROUGHPUT
from modelfleet.gateway.bounds.throughput import Replicas, Second, Throughput, Waits

SECONDS = 150
WELL_WITHIN = 0.4
"""Of the bound: between this and the bound itself either answer is right."""
RESUMED_SECONDS = 3
"""While nothing is answered, and until it is seen that it is again, nobody knows the wait."""
MAX_REQUESTS = 12_000


@dataclass(frozen=True)
class Case:
    """A model and its traffic; times in seconds, `spread` is the service time's CV."""

    service: float
    spread: float
    slots: int
    replicas: int
    used: float
    waits: Waits
    gateways: int
    is_said: bool
    first: int = 0
    """Requests that come at once at the begin."""
    stall: int = 0
    """So long nobody works, after a minute."""
    seed: int = 0

    @property
    def rate(self) -> float:
        """Arrivals per second, in the mean."""
        return self.used * self.replicas * self.slots / self.service


@dataclass
class World:
    """The queue: free times of all slots; what is under way by gateway."""

    case: Case
    chance: random.Random
    free: list[float] = field(default_factory=list)
    under_way: list[tuple[float, float, int]] = field(default_factory=list)
    stalled_until: float = 0.0

    def arrive(self, at: float) -> None:
        """One request takes the slot that is free first."""
        case = self.case
        sigma = math.sqrt(math.log(1 + case.spread**2))
        work = case.service * math.exp(self.chance.gauss(-(sigma**2) / 2, sigma))
        begin = max(at, heapq.heappop(self.free), self.stalled_until)
        heapq.heappush(self.free, begin + work)
        heapq.heappush(self.under_way, (begin + work, at, self.chance.randrange(case.gateways)))

    def wait(self, now: float) -> float:
        """How long one who comes now would wait."""
        return max(0.0, min(self.free) - now, self.stalled_until - now)

    def ended(self, now: float) -> list[list[float]]:
        """Latencies by gateway of those that ended."""
        found: list[list[float]] = [[] for _ in range(self.case.gateways)]
        while self.under_way and self.under_way[0][0] <= now:
            end, at, gateway = heapq.heappop(self.under_way)
            found[gateway].append(end - at)
        return found


def refusals(case: Case) -> list[str]:
    """Seconds in which a gateway would have refused somebody without need."""
    world = World(case, random.Random(case.seed))
    world.free = [0.0] * (case.replicas * case.slots)
    known = [Throughput() for _ in range(case.gateways)]
    said = Replicas(case.replicas, 0, case.slots if case.is_said else None, case.gateways)
    wrong: list[str] = []
    due = 0.0
    for _ in range(case.first):
        world.arrive(0.0)
    for second in range(1, SECONDS + 1):
        if case.stall and second == 60:
            world.stalled_until = second + case.stall
        while due < second:
            world.arrive(due)
            due += world.chance.expovariate(case.rate)
        wait = world.wait(second)
        for number, latencies in enumerate(world.ended(second)):
            flight = sum(one[2] == number for one in world.under_way)
            one = Second(1.0, len(latencies), sum(latencies), flight, case.replicas)
            known[number].after(one, case.waits, second)
            most = known[number].bound(case.waits, second, said)
            if most is None:
                sure = known[number].certain_requests(case.waits, case.replicas)
                most = max(UNKNOWN_THROUGHPUT * case.replicas, sure)
            allowed = known[number].bound_seconds(case.waits, second)
            is_stalled = world.stalled_until and second < world.stalled_until + RESUMED_SECONDS
            if flight > most and wait < WELL_WITHIN * allowed and not is_stalled:
                wrong.append(
                    f"second {second}: {flight} under way, {most} allowed, wait {wait:.2f}"
                )
    return wrong


def cases() -> st.SearchStrategy[Case]:
    """Models of all kinds; the bound is at least four times that of one request."""
    bounds = st.sampled_from([Waits(50, 10), Waits(50, 50), Waits(10, 10), Waits(3, 3)])
    return st.builds(
        Case,
        service=st.sampled_from([0.02, 0.1, 0.3, 1.0, 5.0, 20.0]),
        spread=st.sampled_from([0.0, 0.5, 1.0, 1.5]),
        slots=st.integers(1, 8),
        replicas=st.integers(1, 4),
        used=st.sampled_from([0.05, 0.3, 0.7, 0.9]),
        waits=bounds,
        gateways=st.integers(1, 3),
        is_said=st.booleans(),
        first=st.sampled_from([0, 0, 20, 100]),
        stall=st.sampled_from([0, 0, 5, 20]),
        seed=st.integers(0, 10**6),
    ).filter(
        lambda case: case.rate * SECONDS < MAX_REQUESTS and case.waits.lasting >= 4 * case.service
    )


IN_A_BURST = Case(0.3, 0.0, 2, 1, 0.9, Waits(50, 10), 2, is_said=True, first=100)
"""A model that starts into an overload: its first seconds look like slow answers."""


@example(IN_A_BURST)
@given(cases())
@settings(max_examples=150, derandomize=True)
def test_nobody_is_refused_who_would_be_answered_well_within_the_bound(case):
    assert refusals(case) == []
