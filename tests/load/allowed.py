"""Which versions may answer, over time. Pure.

Written by ``control`` when the driver says that a rollout begins or was confirmed, read by
``answers``. A request may be answered by any version that was allowed at some moment between its
sending and its end: nobody can know at which of them the route was looked up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping


class Allowed:
    """The sets that were in force. A set maps a version to the labels that it must give."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._sets: list[Mapping[str, str]] = []

    def set(self, at: float, versions: Mapping[str, str]) -> None:
        """From ``at`` on these versions may answer; ``at`` never goes back."""
        if self._times and at < self._times[-1]:
            msg = f"an allow-list of {at} cannot follow one of {self._times[-1]}"
            raise ValueError(msg)
        self._times.append(at)
        self._sets.append(dict(versions))

    def between(self, sent: float, ended: float) -> dict[str, str]:
        """All versions that were allowed at some moment from ``sent`` to ``ended``."""
        first = max(0, bisect_right(self._times, sent) - 1)
        last = bisect_right(self._times, ended)
        found: dict[str, str] = {}
        for versions in self._sets[first:last]:
            found.update(versions)
        return found
