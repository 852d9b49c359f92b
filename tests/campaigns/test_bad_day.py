"""The bad day: everything that happens to a cluster, under constant load with answers checked.

`make bad-day`; MODELFLEET_BAD_DAY_SEED chooses the order. The table is in `build/bad-day.json`.
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from tests import stack
from tests.campaigns.bad_days import EVENTS, BadEvent, Stage, settled
from tests.e2e.conftest import Load, ready

pytestmark = pytest.mark.alone

RATE = 20
SEED = int(os.environ.get("MODELFLEET_BAD_DAY_SEED", str(time.time_ns() % 10_000)))
ONLY = os.environ.get("MODELFLEET_BAD_DAY_ONLY", "")


def played(event: BadEvent, stage: Stage, load: Load) -> stack.Json:
    """Play one event; returns its figures."""
    before = dict(load.seconds[-1]["totals"])
    reasons = dict(load.seconds[-1]["reasons"])
    began, seen = time.monotonic(), len(load.seconds)
    end = event.act(stage)
    broken = ""
    try:
        event.promise(stage)
        time.sleep(max(0.0, event.seconds - (time.monotonic() - began)))
    except (AssertionError, TimeoutError, RuntimeError) as error:
        broken = f"{type(error).__name__}: {error}"[:300]
    finally:
        end()
    lasted = time.monotonic()
    try:
        settled(stage)
    except TimeoutError as error:
        broken = f"{broken} not healed: {error}; {stack.reasons(stage.namespace)[-500:]}"
    healed = time.monotonic() - lasted
    time.sleep(3)
    after, worst = load.seconds[-1]["totals"], 0.0
    for second in load.seconds[seen:]:
        worst = max(worst, (second.get("latency_ms") or {}).get("max") or 0.0)
    new = {
        reason: number - reasons.get(reason, 0)
        for reason, number in load.seconds[-1]["reasons"].items()
        if number != reasons.get(reason, 0)
    }
    return {
        "event": event.name,
        "sent": after["sent"] - before["sent"],
        "failed": after["failed"] - before["failed"],
        "reasons": new,
        "worst_ms": round(worst),
        "healed_seconds": round(healed, 1),
        "broken": broken,
    }


@pytest.mark.timeout(3600)
def test_a_bad_day_loses_no_request(namespace, store, load):
    stage = Stage(namespace, store)
    stack.apply(stage.model())
    ready(namespace, seconds=120)
    settled(stage)
    numbers = range(1, 200)
    load.say(allow={f"digits-v{n}": "one" if n % 2 else "two" for n in numbers})
    load.rate(RATE, 3600)
    time.sleep(10)
    events = [event for event in EVENTS if ONLY in event.name]
    random.Random(SEED).shuffle(events)
    print(f"\nseed {SEED}; {len(events)} events at {RATE} requests/s")
    figures = []
    for event in events:
        figures.append(played(event, stage, load))
        row = figures[-1]
        print(
            f"{row['event']:<36} sent {row['sent']:>5} failed {row['failed']:>3}"
            f" worst {row['worst_ms']:>6} ms healed after {row['healed_seconds']:>5} s"
            f" {row['reasons'] or ''} {row['broken']}",
            flush=True,
        )
    total = load.end()["total"]
    file = stack.ROOT / "build" / "bad-day.json"
    file.write_text(json.dumps({"seed": SEED, "events": figures, "total": total}, indent=2))
    print(total)
    assert [row for row in figures if row["failed"] or row["broken"]] == []
    assert total["failed"] == 0
