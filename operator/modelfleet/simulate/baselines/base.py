"""Description of a peer: its name, its default setting and the settings of its grid.

Each baseline's file makes one; `comparison` reads it. Values only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelfleet.simulate.scaler import Scaler
from modelfleet.simulate.simulated_service import SimulatedService

TARGETS = (*(round(0.1 * tenths, 1) for tenths in range(2, 10)), 0.95, 1.0)
"""Targets of every peer's grid, as shares of a replica's capacity; some defaults are 1."""
DEFAULT = "default: "
"""Prefix of the label of a default; the rest is the label of the same setting in the grid."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration of a peer; `make` returns a fresh scaler with it."""

    label: str
    make: Callable[[], Scaler]


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer; `default` and `grid` take a service and the least number of replicas.

    `size` is the number of settings in the grid.
    """

    name: str
    default: Callable[[SimulatedService, int], Setting]
    grid: Callable[[SimulatedService, int], Sequence[Setting]]
    size: int = 2 * len(TARGETS)


def settings(
    windows: Sequence[float], make: Callable[[float, float], Scaler], word: str
) -> list[Setting]:
    """Return the grid: all targets with each window (seconds); labels call the window `word`."""
    return [
        Setting(f"target {target:g}, {word} {window:g} s", _maker(make, target, window))
        for window in windows
        for target in TARGETS
    ]


def _maker(
    make: Callable[[float, float], Scaler], target: float, window: float
) -> Callable[[], Scaler]:
    return lambda: make(target, window)
