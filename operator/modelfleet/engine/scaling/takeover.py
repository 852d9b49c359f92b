"""When a new leader may believe what it sees of a model that an earlier one left to it.

Called by `tick`. The start of a leader keeps its node busy, so that answers are slow and requests
pile up. A takeover ends when the answers are quick again, since a node may need long for a start;
by time only after five minutes. Must never hold a model that this leader has seen start itself.
"""

from modelfleet.engine.ledger import Entry

BEGIN_SECONDS = 20.0
"""So long after it began the answers that a leader sees may be slow with its own start."""
LONGEST_SECONDS = 300.0
"""Answers that have not become quick again by then are slow for another reason."""
RECENT_SECONDS = 5.0
AS_BEFORE = 1.5
"""Answers that take at most so many times what they took before are quick."""


def is_under_way(entry: Entry, age_seconds: float) -> bool:
    """Whether what is slow may be slow with the start of a leader of this age.

    By its own age, as a silent gateway makes no leader new again; then until the answers are as
    they were before it, where the gateways remember that.
    """
    if not entry.is_inherited or age_seconds < BEGIN_SECONDS:
        return entry.is_inherited
    is_known = entry.scaling.answered.answers > 0 and not entry.scaling.is_as_before
    return is_known and age_seconds < LONGEST_SECONDS


def is_over(entry: Entry, slots: float, now: float) -> bool:
    """Whether the answers of the last seconds took what they took before, and nothing queues.

    `slots` is how many requests all ready replicas work on at once.
    """
    recent = [b for b in entry.scaling.buckets if now - b.at < RECENT_SECONDS]
    answers = sum(b.completions for b in recent)
    before = entry.scaling.answered.service_seconds
    if before is None or answers == 0 or any(b.in_flight > max(slots, 1) for b in recent):
        return False
    return sum(b.service_seconds for b in recent) / answers <= AS_BEFORE * before
