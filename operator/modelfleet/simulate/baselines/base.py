"""What the benchmark must know of a peer: its name, its default and the settings of its grid.

Made by each baseline's file, listed in `baselines/__init__`. Values only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelfleet.simulate.scaler import Scaler
from modelfleet.simulate.simulated_service import SimulatedService

TARGETS = (*(round(0.1 * tenths, 1) for tenths in range(2, 10)), 0.95, 1.0)
"""Targets of every peer's grid, shares of what a replica can do; some peers' default is all."""
DEFAULT = "default: "
"""Begins the label of a default; what follows is that of the same setting in the grid."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration of a peer; `make` builds a fresh scaler with it."""

    label: str
    make: Callable[[], Scaler]


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer; `default` and `grid` (`size` settings) take a service and the least replicas."""

    name: str
    default: Callable[[SimulatedService, int], Setting]
    grid: Callable[[SimulatedService, int], Sequence[Setting]]
    size: int = 2 * len(TARGETS)


def settings(
    windows: Sequence[float], make: Callable[[float, float], Scaler], word: str
) -> list[Setting]:
    """The grid: all targets with each window (seconds), whose name is `word`."""
    return [
        Setting(f"target {target:g}, {word} {window:g} s", _maker(make, target, window))
        for window in windows
        for target in TARGETS
    ]


def _maker(
    make: Callable[[float, float], Scaler], target: float, window: float
) -> Callable[[], Scaler]:
    return lambda: make(target, window)
