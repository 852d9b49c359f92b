"""Tables with a row for each model: empty one row, make room for more.

The stateful parts of the policy build on it, so that each lists once which of its arrays have a
model axis. Must never depend on the meaning of the numbers.
"""

from typing import ClassVar

import numpy as np


class Rows:
    """Arrays with rows; AXES maps each array's name to its model axis."""

    AXES: ClassVar[dict[str, int]] = {}
    EMPTY: ClassVar[dict[str, float]] = {}
    """Value of an unused row, where that is not 0."""

    size: int

    def clear(self, row: int) -> None:
        """Empty a row, so that another model can use it."""
        for name, axis in self.AXES.items():
            np.moveaxis(getattr(self, name), axis, 0)[row] = self.EMPTY.get(name, 0)

    def grow(self, size: int) -> None:
        """Make room for `size` rows; existing rows keep their numbers."""
        for name, axis in self.AXES.items():
            table = getattr(self, name)
            shape = list(table.shape)
            shape[axis] = size
            larger = np.full(shape, self.EMPTY.get(name, 0), dtype=table.dtype)
            np.moveaxis(larger, axis, 0)[: self.size] = np.moveaxis(table, axis, 0)
            setattr(self, name, larger)
        self.size = size
