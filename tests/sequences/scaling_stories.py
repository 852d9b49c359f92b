"""Runs of the scaling pass as text: seconds, traffic, replicas, and the deciding reason.

Digits of a reason are left out: the tests of the policy measure them, and the last of them may
differ between machines. `make golden` writes the files, `test_golden` compares.
"""

import re
from collections.abc import Callable

from tests.doubles.scaled_model import KEY, Fleet


class ScalingStory:
    """One model on a virtual clock, and a line for each second in which its replicas changed."""

    def __init__(self, granted: int = 1) -> None:
        self.fleet = Fleet(granted)
        self.lines: list[str] = []
        self._second = 0
        self._last = ""

    def note(self, text: str) -> None:
        """A heading: what changes in the world now."""
        self.lines.append(f"       -- {text}")

    def run(self, seconds: int, rate: float) -> None:
        """So many seconds of traffic at this rate."""
        for _ in range(seconds):
            self.fleet.run(1, rate)
            self._second += 1
            grant = self.fleet.ledger.entry(KEY).answer.grant
            why = (
                re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", grant.why[0]) if grant and grant.why else ""
            )
            state = f"replicas {self.fleet.granted:2d}"
            if state != self._last:
                self.lines.append(f"{self._second:5d}  {rate:5.0f}/s  {state}  {why}")
                self._last = state


def rise_and_fall() -> ScalingStory:
    """Traffic rises at once and falls at once; replicas stay for a while after it."""
    story = ScalingStory()
    story.note("20 requests/s of 50 ms: one busy slot")
    story.run(60, 20)
    story.note("120 requests/s")
    story.run(120, 120)
    story.note("20 requests/s")
    story.run(400, 20)
    return story


def silence_and_sleep() -> ScalingStory:
    """Without a request the model goes to zero after its keep-alive, and a request wakes it."""
    story = ScalingStory()
    story.run(60, 20)
    story.note("no request")
    story.run(400, 0)
    story.note("20 requests/s")
    story.run(20, 20)
    return story


def silent_gateway() -> ScalingStory:
    """While a gateway does not report no replica is taken away."""
    story = ScalingStory()
    story.run(60, 120)
    story.note("gateway gw-1 is silent; the other one reports its half of nothing")
    story.fleet.gateways.alive["gw-1"] = False
    story.run(300, 0)
    story.note("gateway gw-1 reports again")
    story.fleet.gateways.alive["gw-1"] = True
    story.run(400, 0)
    return story


STORIES: tuple[Callable[[], ScalingStory], ...] = (
    rise_and_fall,
    silence_and_sleep,
    silent_gateway,
)
