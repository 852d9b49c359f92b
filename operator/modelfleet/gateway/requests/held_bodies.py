"""Bytes of the bodies of held requests: in Envoy's memory, which all models share.

`requests.holder` counts them as they arrive. Must never hold a body.
"""

from collections import Counter


class HeldBodies:
    """Bytes in all and by model; only models that have some."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds the bodies of all models; one may have half of what others leave."""
        self._max_bytes = max_bytes
        self.total_bytes = 0
        self.by_model: Counter[str] = Counter()

    def add(self, key: str, number: int) -> None:
        """Count bytes of a model; a negative number when they are gone."""
        self.total_bytes += number
        self.by_model[key] += number
        if self.by_model[key] <= 0:
            del self.by_model[key]

    def has_room(self, key: str, number: int = 0) -> bool:
        """Return whether a model may hold so many more bytes.

        It may have half of what the others leave: no model can take the place of all others.
        Worked example: of 8 MiB the first model may have 4, and then another one 2.
        """
        own = self.by_model[key]
        return own + number <= max(0, self._max_bytes - (self.total_bytes - own)) / 2
