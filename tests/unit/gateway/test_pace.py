"""How many requests may be under way: by what the replicas were seen to answer."""

import pytest

from modelfleet.gateway.pace import KNOWN_SECONDS, Pace, Replicas, Second, Waits

STRICT = Waits(5.0, 5.0)
TWO = Replicas(2)


def lived(
    pace: Pace, seconds: int, begin: float = 0.0, waits: Waits = STRICT, **seen: float
) -> float:
    """So many equal seconds; returns the time at their end."""
    now = begin
    for _ in range(seconds):
        now += 1.0
        answers = int(seen["answers"])
        second = Second(
            1.0,
            answers,
            answers * seen["latency"],
            int(seen.get("in_flight", 0)),
            int(seen.get("replicas", 2)),
        )
        pace.after(second, waits, now)
    return now


def overloaded(waits: Waits = STRICT) -> tuple[Pace, float]:
    """Two replicas that answer 50/s each of 0.1 s, then so many requests that they wait 2 s."""
    pace = Pace()
    now = lived(pace, 30, waits=waits, answers=80, latency=0.1, in_flight=8)
    return pace, lived(pace, 10, now, waits, answers=100, latency=2.1, in_flight=210)


def test_requests_under_way_are_throughput_times_the_allowed_time():
    pace, now = overloaded()
    assert pace.alone_seconds == pytest.approx(0.1, rel=0.1)
    assert pace.most(STRICT, now, TWO) == pytest.approx(0.9 * 100 * 5.1, rel=0.02)


def test_a_longer_wait_lets_more_in():
    pace, now = overloaded(Waits(20.0, 5.0))
    assert pace.most(Waits(20.0, 5.0), now, TWO) == pytest.approx(0.9 * 100 * 20.1, rel=0.02)


def test_replicas_that_are_more_carry_more_and_those_that_start_half():
    pace, now = overloaded()
    base = pace.most(STRICT, now, TWO)
    assert base is not None
    assert pace.most(STRICT, now, Replicas(4)) == pytest.approx(2 * base, abs=2)
    assert pace.most(STRICT, now, Replicas(2, starting=2)) == pytest.approx(1.5 * base, abs=2)


def test_without_a_queue_nothing_is_known_however_much_is_answered():
    pace = Pace()
    now = lived(pace, 60, answers=200, latency=0.1, in_flight=20)
    assert pace.most(STRICT, now, TWO) is None


@pytest.mark.parametrize(
    ("latencies", "name"),
    [
        ([0.1] * 30 + [0.19] * 10, "twice as slow, as on a busy node"),
        ([20.0] * 60, "slow by nature"),
        ([0.1] * 30 + [0.5] * 10, "waits far below the bound"),
    ],
)
def test_slow_answers_alone_bound_nothing(latencies, name):
    pace, now = Pace(), 0.0
    for latency in latencies:
        now = lived(pace, 1, now, answers=50, latency=latency, in_flight=int(50 * latency))
    assert pace.most(STRICT, now, TWO) is None, name


def test_few_answers_are_no_evidence():
    pace = Pace()
    now = lived(pace, 100, answers=0, latency=0.0, in_flight=40)
    assert pace.most(STRICT, now, TWO) is None


def test_a_slow_model_is_read_over_a_longer_window():
    """One answer in 2 s: the window reaches back until there are enough of them."""
    pace, now = Pace(), 0.0
    for latency in (4.0, 30.0):
        for second in range(120):
            now = lived(pace, 1, now, answers=second % 2, latency=latency, in_flight=20)
    assert pace.rate == pytest.approx(0.25, rel=0.15)


def test_what_was_said_bounds_a_model_whose_pace_is_not_known_yet():
    pace = Pace()
    now = lived(pace, 30, answers=80, latency=0.1, in_flight=8)
    said = Replicas(2, slots=4)
    assert pace.most(STRICT, now, said) == pytest.approx(0.9 * 4 / 0.1 * 2 * 5.1, rel=0.02)
    half = Replicas(2, slots=4, gateways=2)
    assert pace.most(STRICT, now, half) == pytest.approx(0.9 * 2 / 0.1 * 2 * 5.1, rel=0.02)


def test_what_was_said_leaves_every_slot_usable_through_one_gateway():
    pace = Pace()
    now = lived(pace, 60, answers=2, latency=20.0, in_flight=40)
    found = pace.most(Waits(1.0, 1.0), now, Replicas(2, slots=16, gateways=4))
    assert found is not None
    assert found >= 32


def test_a_lasting_overload_has_the_shorter_bound_until_it_ends():
    waits = Waits(20.0, 2.0)
    pace = Pace()
    now = lived(pace, 30, waits=waits, answers=80, latency=0.1, in_flight=8)
    now = lived(pace, 19, now, waits, answers=100, latency=5.0, in_flight=500)
    assert pace.bound_seconds(waits, now) == 20.0
    now = lived(pace, 10, now, waits, answers=100, latency=5.0, in_flight=500)
    assert pace.bound_seconds(waits, now) == 2.0
    now = lived(pace, 3, now, waits, answers=100, latency=0.1, in_flight=10)
    assert pace.bound_seconds(waits, now) == 20.0


def test_a_pace_is_forgotten_after_a_while():
    pace, now = overloaded()
    now = lived(pace, int(KNOWN_SECONDS) + 1, now, answers=80, latency=0.1, in_flight=8)
    assert pace.most(STRICT, now, TWO) is None


def test_who_answers_faster_than_ever_is_believed():
    pace, now = overloaded()
    now = lived(pace, 10, now, answers=300, latency=0.1, in_flight=30)
    assert pace.rate == pytest.approx(150, rel=0.05)


def test_fewer_requests_are_no_slower_replicas():
    pace, now = overloaded()
    for latency in (1.5, 0.7, 0.2):
        now = lived(pace, 1, now, answers=100, latency=latency, in_flight=int(100 * latency))
    now = lived(pace, 60, now, answers=30, latency=0.1, in_flight=3)
    assert pace.rate == pytest.approx(50, rel=0.05)
