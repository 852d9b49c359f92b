"""A fair share of an overloaded model for each client, so that one cannot shut out the others.

Run by `agent` after `limits`, once a second. Envoy enforces a share by a token bucket for each
client address, in the model's virtual host, only while the model refuses requests. Pure but for
the clock it is given. Must never lower what the replicas answer: it decides who is refused.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from modelfleet.facts.traffic import GatewaySample

MAX_CLIENTS = 1000
"""Clients of one model that are told apart; the share of all others is the same."""
WINDOW_SECONDS = 5
CALM_SECONDS = 5.0
"""So long without a refusal ends the sharing."""
MAX_OF_NEWEST = 1.5
CHANGED = 0.1
"""A share is sent again when it moved by this part of it: each change is a new virtual host."""
USED = 0.97
"""Of what the replicas can answer, while requests wait: what waits is worked off."""
GROWTH = 1.02
"""In a second without waits: the replicas may be faster than they were."""
MAX_USED = 2.0


def fair_share(rates: Iterable[float], capacity: float) -> float | None:
    """The most that one client may take so that all together take `capacity`; None: all fit.

    Max-min fairness: who asks for less gets all of it, the others share the rest evenly.
    Worked example: 10, 100 and 400 a second for 100: (100 - 10) / 2 = 45 each for the larger two.
    """
    left, waiting = capacity, sorted(rates)
    for place, rate in enumerate(waiting):
        share = left / (len(waiting) - place)
        if rate > share:
            return share
        left -= rate
    return None


@dataclass(slots=True)
class _Crowd:
    """The clients of a model that refuses requests."""

    seconds: deque[Counter[str]] = field(default_factory=lambda: deque(maxlen=WINDOW_SECONDS))
    refused_at: float = 0.0
    used: float = USED
    share: float | None = None

    def rates(self) -> list[float]:
        """Requests per second by client: the mean, but who stops asking is believed at once."""
        newest, sums = self.seconds[-1], Counter[str]()
        for second in self.seconds:
            sums.update(second)
        count = len(self.seconds)
        return [min(number / count, MAX_OF_NEWEST * newest[c]) for c, number in sums.items()]


class Shares:
    """The shares of all models at one gateway, in requests per second and client."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._crowds: dict[str, _Crowd] = {}

    def share(self, model: str) -> float | None:
        """What one client of a model may take; None while nothing is shared."""
        crowd = self._crowds.get(model)
        return None if crowd is None else crowd.share

    def forget(self, model: str) -> None:
        """The model is gone."""
        self._crowds.pop(model, None)

    @property
    def watched(self) -> frozenset[str]:
        """Models whose clients have to be counted."""
        return frozenset(self._crowds)

    def after(
        self,
        sample: GatewaySample,
        clients: Mapping[str, Mapping[str, int]],
        capacity: Callable[[str], tuple[float, bool] | None],
    ) -> list[str]:
        """One more second; returns the models whose share changed.

        `clients` are the requests of watched models by client. `capacity(model)` is what the
        replicas answer a second and whether requests wait; None while that is not known.
        """
        now = self._clock()
        for model, seen in sample.models.items():
            if any(version.refused for version in seen.versions.values()):
                self._crowds.setdefault(model, _Crowd()).refused_at = now
        changed = []
        for model, crowd in list(self._crowds.items()):
            before = crowd.share
            if now - crowd.refused_at > CALM_SECONDS:
                del self._crowds[model]
                crowd.share = None
            elif model in clients:
                crowd.seconds.append(Counter(clients[model]))
                self._judge(crowd, capacity(model))
            if crowd.share != before:
                changed.append(model)
        return changed

    @staticmethod
    def _judge(crowd: _Crowd, known: tuple[float, bool] | None) -> None:
        rates = crowd.rates()
        if known is None or len(rates) < 2:  # noqa: PLR2004 - with oneself there is nothing to share
            crowd.share = None
            return
        answered, is_waiting = known
        crowd.used = USED if is_waiting else min(MAX_USED, crowd.used * GROWTH)
        found = fair_share(rates, crowd.used * answered)
        if found is None or crowd.share is None or abs(found - crowd.share) > CHANGED * crowd.share:
            crowd.share = found
