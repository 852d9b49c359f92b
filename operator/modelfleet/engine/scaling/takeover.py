"""The takeover: the time in which a new leader cannot yet trust the latencies that it sees.

It applies to models that an earlier leader left behind. The start of a leader keeps its node busy,
so answers are slow and requests pile up. A takeover ends when the answers are quick again, since a
node may need long for a start. Otherwise it ends five minutes after the leader began. Must never
apply to a model that this leader has seen start.
"""

from modelfleet.engine.ledger import Entry

BEGIN_SECONDS = 20.0
"""For so many seconds after a leader began, answers may be slow because of its start."""
LONGEST_SECONDS = 300.0
"""Answers that are still slow after so many seconds are slow for another reason."""
RECENT_SECONDS = 5.0
AS_BEFORE = 1.5
"""Answers are quick when they take at most so many times what they took before this leader."""


def is_under_way(entry: Entry, age_seconds: float) -> bool:
    """Return whether slow answers may come from the start of a leader of this age.

    Up to 20 s the leader's own age decides, because a gateway that falls silent makes no leader new
    again. After that the takeover lasts until answers are as quick as before this leader, where the
    gateways have recorded that.
    """
    if not entry.is_inherited or age_seconds < BEGIN_SECONDS:
        return entry.is_inherited
    is_known = entry.scaling.answered.answers > 0 and not entry.scaling.is_as_before
    return is_known and age_seconds < LONGEST_SECONDS


def is_over(entry: Entry, slots: float, now: float) -> bool:
    """Return whether the last answers took as long as before this leader, and nothing queues.

    `slots` is the number of requests that all ready replicas work on at once.
    """
    recent = [b for b in entry.scaling.buckets if now - b.at < RECENT_SECONDS]
    answers = sum(b.completions for b in recent)
    before = entry.scaling.answered.service_seconds
    if before is None or answers == 0 or any(b.in_flight > max(slots, 1) for b in recent):
        return False
    return sum(b.service_seconds for b in recent) / answers <= AS_BEFORE * before
