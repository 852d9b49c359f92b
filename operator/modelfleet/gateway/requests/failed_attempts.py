"""Failed attempts of requests, by the request's own id: what each replica did to it.

`requests.access_log` records them, `requests.holder` asks before it sends a request to a replica
again. Pure: the clock is an argument. Must never grow without bound: requests are forgotten by
number and by age.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_REQUESTS = 20_000
KEPT_SECONDS = 120.0
ONE_DEATH_SECONDS = 0.25
"""Breaks of one request by one replica within this time count as one death of the replica. Envoy's
threads learn of the death one by one, so a retry may meet the same replica again. A request that
had to be held comes back later than this."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts of one request.

    `attempt`: the highest attempt whose end is known. `broken`: endpoints whose connection broke
    after the request was sent, once for each death. `reset`: endpoints that refused the request on
    a connection that lives. `silent`: endpoints that were silent for too long.
    """

    attempt: int = 0
    broken: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    at: float = 0.0

    @property
    def cut_off(self) -> int:
        """How often a replica cut the request off."""
        return len(self.broken) + len(self.reset)


class FailedAttempts:
    """Failed attempts of all recent requests at one gateway; times in monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._requests: OrderedDict[str, Failures] = OrderedDict()
        self.on_end: Callable[[str], None] = lambda _: None
        """Called with the request's id whenever the end of an attempt becomes known."""

    def of(self, stream: str) -> Failures:
        """Return the failed attempts of a request."""
        return self._requests.get(stream, Failures())

    def broke(self, stream: str, attempt: int, endpoint: str) -> None:
        """Record that the connection to a replica broke after the request was sent."""
        before = self.of(stream)
        is_same = before.broken[-1:] == (endpoint,) and (
            self._clock() - before.at < ONE_DEATH_SECONDS
        )
        broken = before.broken if is_same else (*before.broken, endpoint)
        self._put(stream, attempt, Failures(0, broken, before.reset, before.silent))

    def was_reset(self, stream: str, attempt: int, endpoint: str) -> None:
        """Record that a replica that lives refused the request after it was sent."""
        before = self.of(stream)
        reset = (*before.reset, endpoint)
        self._put(stream, attempt, Failures(0, before.broken, reset, before.silent))

    def was_silent(self, stream: str, attempt: int, endpoint: str) -> None:
        """Record that a replica was silent for too long with this request."""
        before = self.of(stream)
        silent = (*before.silent, endpoint)
        self._put(stream, attempt, Failures(0, before.broken, before.reset, silent))

    def never_arrived(self, stream: str, attempt: int) -> None:
        """Record an attempt that reached no replica: it says nothing against the request."""
        before = self.of(stream)
        self._put(stream, attempt, Failures(0, before.broken, before.reset, before.silent))

    def _put(self, stream: str, attempt: int, failures: Failures) -> None:
        before, now = self._requests.pop(stream, Failures()), self._clock()
        self._requests[stream] = Failures(
            max(attempt, before.attempt), failures.broken, failures.reset, failures.silent, now
        )
        while self._requests:
            oldest = next(iter(self._requests.values()))
            if len(self._requests) <= MAX_REQUESTS and now - oldest.at < KEPT_SECONDS:
                break
            self._requests.popitem(last=False)
        self.on_end(stream)
