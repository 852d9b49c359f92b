"""When requests are sent: rates over time, and the arrivals that follow from them. Pure.

Called by ``generator``, which steers it while it runs. Times are seconds on one clock that the
caller chooses. An arrival is a point where the area under the rate has grown by the next unit:
by 1 for uniform pacing, by an exponential variate for Poisson. So ramps are exact, and a change of
rate in the middle neither loses nor invents an arrival.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Pacing = Literal["poisson", "uniform"]
MAX_RATE = 5_000.0
MAX_SECONDS = 7_200.0
ROUNDING = 1e-9
"""In requests: an arrival on the very end of a step must not be lost to binary fractions."""


class PlanError(ValueError):
    """A plan or a command is wrong; the text names the field."""


@dataclass(frozen=True, slots=True)
class Step:
    """A rate in requests/s that goes from ``first`` to ``last`` in a straight line."""

    seconds: float
    first: float
    last: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MAX_SECONDS:
            msg = f"steps: seconds must be in (0, {MAX_SECONDS:.0f}]"
            raise PlanError(msg)
        for rate in (self.first, self.last):
            if not 0 <= rate <= MAX_RATE:
                msg = f"steps: a rate must be in [0, {MAX_RATE:.0f}] requests/s"
                raise PlanError(msg)

    @property
    def requests(self) -> float:
        """Expected number: 10 s from 5 to 15 requests/s are 100."""
        return self.seconds * (self.first + self.last) / 2

    def rate(self, at: float) -> float:
        """Rate ``at`` seconds after its start."""
        return self.first + (self.last - self.first) * at / self.seconds

    def requests_until(self, at: float) -> float:
        """Expected number in the first ``at`` seconds."""
        return at * (self.first + self.rate(at)) / 2

    def time_of(self, number: float) -> float:
        """Seconds after which ``number`` requests are expected: inverse of ``requests_until``.

        0 to 10 requests/s in 10 s: the 5th is due when x*x/2 = 5, after 3.16 s.
        """
        slope = (self.last - self.first) / self.seconds
        root = math.sqrt(max(0.0, self.first * self.first + 2 * slope * number))
        return min(self.seconds, 2 * number / (self.first + root)) if number else 0.0


def read_steps(value: object) -> tuple[Step, ...]:
    """Steps from JSON: ``[seconds, rate]`` or ``[seconds, from, to]`` each."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise PlanError("steps must be a list of [seconds, rate] or [seconds, from, to]")
    return tuple(_read_step(each) for each in value)


def _read_step(value: object) -> Step:
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(numbers) not in {2, 3} or not all(type(n) in {int, float} for n in numbers):
        msg = f"steps: {value!r} must be [seconds, rate] or [seconds, from, to]"
        raise PlanError(msg)
    return Step(float(numbers[0]), float(numbers[1]), float(numbers[-1]))


class Arrivals:
    """The times of the requests, one after the other."""

    def __init__(self, steps: Iterable[Step], start: float, draw: Callable[[], float]) -> None:
        """The first step begins at ``start``; ``draw`` gives the area to the next arrival."""
        self._draw = draw
        self._steps = list(steps)
        self._begins = start
        self._at = 0.0
        self._missing = draw()

    def next(self) -> float | None:
        """Time of the next arrival; None when the steps are over. Does not go on to the one after.

        Call ``taken`` once it is sent: until then a new rate may still move it.
        """
        self._pass_steps()
        if not self._steps:
            return None
        step = self._steps[0]
        return self._begins + step.time_of(step.requests_until(self._at) + self._missing)

    def taken(self) -> None:
        """The arrival that ``next`` gave was sent."""
        at = self.next()
        if at is not None:
            self._at = at - self._begins
            self._missing = self._draw()

    def steer(self, now: float, steps: Iterable[Step]) -> None:
        """Replace all steps from ``now`` on."""
        self._pass_steps(until=now)
        if self._steps and now > self._begins + self._at:
            step = self._steps[0]
            passed = step.requests_until(now - self._begins) - step.requests_until(self._at)
            self._missing = max(0.0, self._missing - passed)
        self._steps, self._begins, self._at = list(steps), now, 0.0

    def _pass_steps(self, until: float = math.inf) -> None:
        """Go over the steps that end before the next arrival, keeping the area that they give."""
        while self._steps:
            step = self._steps[0]
            left = step.requests - step.requests_until(self._at)
            if left >= self._missing - ROUNDING or self._begins + step.seconds > until:
                return
            self._missing -= left
            self._begins, self._at = self._begins + step.seconds, 0.0
            self._steps.pop(0)


def drawer(pacing: Pacing, seed: int) -> Callable[[], float]:
    """Area between two arrivals."""
    if pacing == "uniform":
        return lambda: 1.0
    chance = random.Random(seed)
    return lambda: chance.expovariate(1.0)
