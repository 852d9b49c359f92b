"""Fair share of an overloaded model for each client, so that one client cannot shut out the others.

`agent` updates it once a second, after `bounds.limits`. Envoy enforces a share by a token bucket
for each client address, in the model's virtual host. It does so only while the model refuses
requests. Pure: the clock is an argument. Must never lower the number of answers of the replicas: a
share decides only which requests are refused.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from modelfleet.facts.traffic import GatewaySample

MAX_CLIENTS = 1000
"""Clients of one model that are counted apart; all others have the same share."""
WINDOW_SECONDS = 5
CALM_SECONDS = 5.0
"""Seconds without a refusal after which the sharing ends."""
MAX_OF_NEWEST = 1.5
CHANGED_SHARE = 0.1
"""A share is sent again when it changed by this part of it, as each change is a new virtual
host."""
USED = 0.97
"""Part of the throughput that is shared out while requests wait: the rest works off the waits."""
GROWTH = 1.02
"""Factor in a second without waits: the replicas may have become faster."""
MAX_USED = 2.0


def fair_share(rates: Iterable[float], capacity: float) -> float | None:
    """Return the most that one client may take so that all take `capacity`; None: all fit.

    Max-min fairness: a client that asks for less gets all of it, the others share the rest evenly.
    Worked example: 10, 100 and 400 a second for 100: (100 - 10) / 2 = 45 each for the larger two.
    """
    unshared, ascending = capacity, sorted(rates)
    for served, rate in enumerate(ascending):
        share = unshared / (len(ascending) - served)
        if rate > share:
            return share
        unshared -= rate
    return None


@dataclass(slots=True)
class _Sharing:
    """Requests by client of a model that refuses requests."""

    seconds: deque[Counter[str]] = field(default_factory=lambda: deque(maxlen=WINDOW_SECONDS))
    refused_at: float = 0.0
    used: float = USED
    share: float | None = None

    def rates(self) -> list[float]:
        """Return requests per second by client.

        The mean of the window, but at most 1.5 times the newest second: a client that stops counts
        less at once.
        """
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
        self._overloaded: dict[str, _Sharing] = {}

    def share(self, model: str) -> float | None:
        """Return the requests per second that one client of a model may send; None: no limit."""
        sharing = self._overloaded.get(model)
        return None if sharing is None else sharing.share

    def forget(self, model: str) -> None:
        """Drop a model that was deleted."""
        self._overloaded.pop(model, None)

    @property
    def watched(self) -> frozenset[str]:
        """Models whose clients have to be counted."""
        return frozenset(self._overloaded)

    def after(
        self,
        sample: GatewaySample,
        clients: Mapping[str, Mapping[str, int]],
        capacity: Callable[[str], tuple[float, bool] | None],
    ) -> list[str]:
        """Add one second; return the models whose share changed.

        `clients` are the requests of watched models by client. `capacity(model)` returns the
        replicas' answers per second, and whether requests wait. It returns None before that was
        measured.
        """
        now = self._clock()
        for model, traffic in sample.models.items():
            if any(version.refused for version in traffic.versions.values()):
                self._overloaded.setdefault(model, _Sharing()).refused_at = now
        changed = []
        for model, sharing in list(self._overloaded.items()):
            old_share = sharing.share
            if now - sharing.refused_at > CALM_SECONDS:
                del self._overloaded[model]
                sharing.share = None
            elif model in clients:
                sharing.seconds.append(Counter(clients[model]))
                self._judge(sharing, capacity(model))
            if sharing.share != old_share:
                changed.append(model)
        return changed

    @staticmethod
    def _judge(sharing: _Sharing, capacity: tuple[float, bool] | None) -> None:
        rates = sharing.rates()
        if capacity is None or len(rates) < 2:  # noqa: PLR2004 - with oneself there is nothing to share
            sharing.share = None
            return
        answered, is_waiting = capacity
        sharing.used = USED if is_waiting else min(MAX_USED, sharing.used * GROWTH)
        share = fair_share(rates, sharing.used * answered)
        if (
            share is None
            or sharing.share is None
            or abs(share - sharing.share) > CHANGED_SHARE * sharing.share
        ):
            sharing.share = share
