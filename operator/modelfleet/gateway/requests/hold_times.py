"""Times of a hold at one attempt: shortest, longest, and how late the access log may be.

`requests.holder` keeps them, `xds.builders` allows as many attempts as they need. Pure.
"""

MIN_HOLD_SECONDS = 0.5
LONGEST_MIN_HOLD_SECONDS = 4.0
ATTEMPTS_WITHOUT_HOLD = 2
"""Up to this attempt a request need not be held. The first failure on a replica leads here as the
second attempt, and most likely another replica can serve it at once."""
ATTEMPTS_AT_MIN_HOLD = 3
"""Up to this attempt the shortest hold keeps its least value."""
MARGIN_SECONDS = 0.5
"""Time by which the holder answers before Envoy would end the attempt as silent."""
FLUSH_SECONDS = 0.1
"""Time between two messages of access log entries of one of Envoy's threads."""
LOG_SECONDS = 0.25
"""Longest delay of an access log entry."""


def min_hold_seconds(attempt: int) -> float:
    """Return the shortest hold by attempt: none for two, then 0.5 s, doubling to 4 s.

    It doubles from the fourth attempt on. Ten retries last 13 s when every other one meets a dead
    replica, and longer when all come here. That is enough for a killed agent of the calling Envoy
    to return.
    """
    if attempt <= ATTEMPTS_WITHOUT_HOLD:
        return 0.0
    doublings = max(0, attempt - ATTEMPTS_AT_MIN_HOLD)
    return min(MIN_HOLD_SECONDS * 2.0**doublings, LONGEST_MIN_HOLD_SECONDS)


def longest_hold_seconds(request_timeout_seconds: float) -> float:
    """Return the longest hold of one attempt: Envoy ends an attempt that is silent for longer.

    Worked example: with a time-out of 5 s a hold of 12 s takes three attempts of 4.5 s at most.
    """
    return max(MIN_HOLD_SECONDS, request_timeout_seconds - MARGIN_SECONDS)
