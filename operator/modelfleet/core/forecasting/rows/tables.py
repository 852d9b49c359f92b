"""Tables with a row for each model: clearing one row, making room for more.

The base of the policy's stateful parts, so that each says once which of its arrays have a model
axis. Must never know what the numbers mean.
"""

from typing import ClassVar

import numpy as np


class Rows:
    """Arrays named in AXES have their model axis at the given place."""

    AXES: ClassVar[dict[str, int]] = {}
    EMPTY: ClassVar[dict[str, float]] = {}
    """What an unused row holds, where that is not 0."""

    size: int

    def clear(self, row: int) -> None:
        """Forget a row: another model will use it."""
        for name, axis in self.AXES.items():
            np.moveaxis(getattr(self, name), axis, 0)[row] = self.EMPTY.get(name, 0)

    def grow(self, size: int) -> None:
        """Room for `size` rows; those that are there keep their numbers."""
        for name, axis in self.AXES.items():
            table = getattr(self, name)
            shape = list(table.shape)
            shape[axis] = size
            larger = np.full(shape, self.EMPTY.get(name, 0), dtype=table.dtype)
            np.moveaxis(larger, axis, 0)[: self.size] = np.moveaxis(table, axis, 0)
            setattr(self, name, larger)
        self.size = size
