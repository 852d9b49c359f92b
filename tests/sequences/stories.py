"""Whole runs as text: each line is one change that an onlooker could see.

`make golden` writes them to `tests/sequences/golden`; `test_golden` compares. A change of behaviour
shows there as a difference that a person can read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.given import spec_of
from tests.sequences import scaling_stories
from tests.sequences.world import World

GOLDEN = Path(__file__).parent / "golden"


class Story:
    """A world, and a line for each step in which something visible changed."""

    def __init__(self, world: World) -> None:
        self.world, self.lines = world, []
        self._last, self._step = "", 0

    def note(self, text: str) -> None:
        """A heading: what the user or the world does now."""
        self.lines.append(f"      -- {text}")

    def run(self, steps: int) -> None:
        """Turn and step; a line where routes, replicas or conditions moved."""
        for _ in range(steps):
            self.world.turn()
            self.world.step()
            self._step += 1
            line = self._line()
            if line != self._last:
                self.lines.append(f"{self._step:4d}  {line}")
                self._last = line

    def _line(self) -> str:
        world, status = self.world, self.world.status
        route = status.route
        weights = _pairs({w.version: w.weight for w in route.weights} if route else {})
        sizes = _pairs({name: number for name, number in world.replicas.items() if number})
        said = {c.type: c for c in status.conditions}
        state = " ".join(
            f"{kind}={said[kind].status}/{said[kind].reason}"
            for kind in ("Ready", "RolledOut", "Stalled")
            if kind in said and not (kind == "Stalled" and said[kind].status == "False")
        )
        stable = (status.stable or "none").removeprefix("digits-")
        return f"stable {stable:<4} | weights {weights:<14} | replicas {sizes:<12} | {state}"


def _pairs(values: Mapping[str, int]) -> str:
    return " ".join(f"{name.removeprefix('digits-')}:{n}" for name, n in sorted(values.items()))


def _served(**fields: object) -> Story:
    story = Story(World(**{"lag": 0.0, **fields}))  # type: ignore[arg-type] # fields of World
    story.note("two replicas are granted")
    story.world.grant = 2
    story.run(30)
    return story


def rolling_update() -> Story:
    """A new version takes over; the old one is kept warm, drained, gone."""
    story = _served()
    story.note("the user names another model")
    story.world.edit("next")
    story.run(50)
    return story


def newer_spec_during_a_rollout() -> Story:
    """The candidate is replaced by the next one."""
    story = _served(start_steps=6)
    story.note("the user names another model")
    story.world.edit("next")
    story.run(7)
    story.note("the user names yet another model")
    story.world.edit("newest")
    story.run(60)
    return story


def silent_gateway() -> Story:
    """No weight moves while a gateway does not report."""
    story = _served()
    story.note("gateway gw-1 is silent; the user names another model")
    story.world.gateways["gw-1"].is_silent = True
    story.world.edit("next")
    story.run(20)
    story.note("gateway gw-1 reports again")
    story.world.gateways["gw-1"].is_silent = False
    story.run(50)
    return story


def refused_route() -> Story:
    """Envoy refuses what the candidate needs; the next spec gets through."""
    story = _served()
    story.note("gateway gw-1 refuses digits-v2; the user names it")
    story.world.gateways["gw-1"].refuses = "digits-v2"
    story.world.edit("bad")
    story.run(20)
    story.note("the user names another model")
    story.world.edit("good")
    story.run(60)
    return story


def down_to_zero_and_back() -> Story:
    """Replicas drain one after the other; a held request wakes the model."""
    spec = spec_of(scaling={"minReplicas": 0, "maxReplicas": 5})
    story = Story(World(lag=0.0, spec=spec))
    story.note("four replicas are granted")
    story.world.grant = 4
    story.run(20)
    story.note("one replica is granted")
    story.world.grant = 1
    story.run(20)
    story.note("none is granted")
    story.world.grant = 0
    story.run(20)
    story.note("a request is held, one replica is granted")
    story.world.held, story.world.grant = 1, 1
    story.run(12)
    return story


def paused_rollout() -> Story:
    """`spec.paused` stops the weights where they are; replicas still follow the grant."""
    story = _served(start_steps=6)
    story.note("the user names another model")
    story.world.edit("next")
    story.run(4)
    story.note("the user pauses; three replicas are granted")
    story.world.spec = story.world.spec.model_copy(update={"paused": True})
    story.world.generation += 1
    story.world.grant = 3
    story.run(20)
    story.note("the user lets it go on")
    story.world.spec = story.world.spec.model_copy(update={"paused": False})
    story.world.generation += 1
    story.run(60)
    return story


def return_by_name() -> Story:
    """`spec.version` brings a former version back."""
    story = _served()
    story.note("the user names another model")
    story.world.edit("next")
    story.run(40)
    story.note("spec.version: digits-v1")
    story.world.spec = story.world.spec.model_copy(update={"version": "digits-v1"})
    story.world.generation += 1
    story.run(50)
    return story


STORIES: tuple[Callable[[], Story], ...] = (
    rolling_update,
    newer_spec_during_a_rollout,
    silent_gateway,
    refused_route,
    down_to_zero_and_back,
    paused_rollout,
    return_by_name,
)


def text_of(tell: Callable[[], Any]) -> str:
    """The file of one story."""
    return "\n".join([f"{tell.__doc__}", "", *tell().lines, ""])


def files() -> dict[str, Callable[[], Any]]:
    """All stories by the name of their file."""
    rollouts = {f"rollout_{tell.__name__}.txt": tell for tell in STORIES}
    return rollouts | {f"scaling_{tell.__name__}.txt": tell for tell in scaling_stories.STORIES}


def main() -> None:
    """Write all golden files anew."""
    for old in GOLDEN.glob("*.txt"):
        old.unlink()
    for name, tell in files().items():
        (GOLDEN / name).write_text(text_of(tell))


if __name__ == "__main__":
    main()
