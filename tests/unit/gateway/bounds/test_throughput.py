"""How many requests may be under way: by what the replicas were seen to answer."""

import math

import pytest

from modelfleet.gateway.bounds.throughput import VALID_SECONDS, Replicas, Second, Throughput, Waits

STRICT = Waits(5.0, 5.0)
TWO = Replicas(2)


def about(number: float) -> object:
    """With what a few requests more or less make."""
    return pytest.approx(number + 0.5 * math.sqrt(number), rel=0.02)


def lived(
    throughput: Throughput, seconds: int, begin: float = 0.0, waits: Waits = STRICT, **seen: float
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
        throughput.after(second, waits, now)
    return now


def overloaded(waits: Waits = STRICT) -> tuple[Throughput, float]:
    """Two replicas that answer 50/s each of 0.1 s, then so many requests that they wait 2 s."""
    throughput = Throughput()
    now = lived(throughput, 30, waits=waits, answers=80, latency=0.1, in_flight=8)
    return throughput, lived(throughput, 10, now, waits, answers=100, latency=2.1, in_flight=210)


def test_requests_under_way_are_throughput_times_the_allowed_time():
    throughput, now = overloaded()
    assert throughput.alone_seconds == pytest.approx(0.1, rel=0.1)
    assert throughput.bound(STRICT, now, TWO) == about(0.85 * 100 * 5.1)


def test_a_longer_wait_lets_more_in():
    throughput, now = overloaded(Waits(20.0, 5.0))
    assert throughput.bound(Waits(20.0, 5.0), now, TWO) == about(0.85 * 100 * 20.1)


def test_replicas_that_are_more_carry_more_and_those_that_start_half():
    throughput, now = overloaded()
    assert throughput.bound(STRICT, now, Replicas(4)) == about(2 * 0.85 * 100 * 5.1)
    assert throughput.bound(STRICT, now, Replicas(2, starting=2)) == about(1.5 * 0.85 * 100 * 5.1)


def test_without_a_queue_nothing_is_known_however_much_is_answered():
    throughput = Throughput()
    now = lived(throughput, 60, answers=200, latency=0.1, in_flight=20)
    assert throughput.bound(STRICT, now, TWO) is None


@pytest.mark.parametrize(
    ("latencies", "name"),
    [
        ([0.1] * 30 + [0.19] * 10, "twice as slow, as on a busy node"),
        ([20.0] * 60, "slow by nature"),
        ([0.1] * 30 + [0.5] * 10, "waits far below the bound"),
    ],
)
def test_slow_answers_alone_bound_nothing(latencies, name):
    throughput, now = Throughput(), 0.0
    for latency in latencies:
        now = lived(throughput, 1, now, answers=50, latency=latency, in_flight=int(50 * latency))
    assert throughput.bound(STRICT, now, TWO) is None, name


def test_few_answers_are_no_evidence():
    throughput = Throughput()
    now = lived(throughput, 100, answers=0, latency=0.0, in_flight=40)
    assert throughput.bound(STRICT, now, TWO) is None


def test_a_slow_model_is_read_over_a_longer_window():
    """One answer in 2 s: the window reaches back until there are enough of them."""
    throughput, now = Throughput(), 0.0
    for latency in (4.0, 30.0):
        for second in range(120):
            now = lived(throughput, 1, now, answers=second % 2, latency=latency, in_flight=20)
    assert throughput.rate == pytest.approx(0.25, rel=0.15)


def test_what_was_said_bounds_a_model_whose_throughput_is_not_known_yet():
    throughput = Throughput()
    now = lived(throughput, 30, answers=30, latency=0.1, in_flight=3)
    said = Replicas(2, slots=4)
    assert throughput.bound(STRICT, now, said) == about(0.85 * 4 / 0.1 * 2 * 5.1)
    half = Replicas(2, slots=4, gateways=2)
    assert throughput.bound(STRICT, now, half) == about(0.85 * 2 / 0.1 * 2 * 5.1)


def test_what_was_seen_counts_more_than_what_was_said():
    throughput = Throughput()
    now = lived(throughput, 30, answers=80, latency=0.1, in_flight=8)
    said = Replicas(2, slots=1, gateways=2)
    assert throughput.bound(STRICT, now, said) == about(0.85 * 40 * 2 * 5.1)


@pytest.mark.parametrize(
    "latencies", [[0.3, 0.8, 1.4, 2.0, 2.6, 3.2, 3.8, 4.4, 5.0], [3.0] * 4 + [4.0, 5.0, 6.0, 7.0]]
)
def test_a_model_that_starts_into_an_overload_is_not_taken_for_slow(latencies):
    """Its first answers did not wait, or were slow with the start: the replica does 3/s."""
    throughput, now, waits = Throughput(), 0.0, Waits(50.0, 10.0)
    for latency in latencies:
        now = lived(throughput, 1, now, waits, answers=3, latency=latency, replicas=1)
    found = throughput.bound(waits, now, Replicas(1, slots=2, gateways=2))
    assert found is not None
    assert found >= 0.85 * 3 * 50


def test_what_was_said_leaves_every_slot_usable_through_one_gateway():
    throughput = Throughput()
    now = lived(throughput, 60, answers=2, latency=20.0, in_flight=40)
    found = throughput.bound(Waits(1.0, 1.0), now, Replicas(2, slots=16, gateways=4))
    assert found is not None
    assert found >= 32


def test_a_lasting_overload_has_the_shorter_bound_until_it_ends():
    waits = Waits(20.0, 2.0)
    throughput = Throughput()
    now = lived(throughput, 30, waits=waits, answers=80, latency=0.1, in_flight=8)
    now = lived(throughput, 19, now, waits, answers=100, latency=5.0, in_flight=500)
    assert throughput.bound_seconds(waits, now) == 20.0
    now = lived(throughput, 10, now, waits, answers=100, latency=5.0, in_flight=500)
    assert throughput.bound_seconds(waits, now) == 2.0
    now = lived(throughput, 3, now, waits, answers=100, latency=0.1, in_flight=10)
    assert throughput.bound_seconds(waits, now) == 20.0


def test_a_pace_is_forgotten_after_a_while():
    throughput, now = overloaded()
    now = lived(throughput, int(VALID_SECONDS) + 1, now, answers=80, latency=0.1, in_flight=8)
    assert throughput.bound(STRICT, now, TWO) is None


def test_who_answers_faster_than_ever_is_believed():
    throughput, now = overloaded()
    now = lived(throughput, 10, now, answers=300, latency=0.1, in_flight=30)
    assert throughput.rate == pytest.approx(150, rel=0.05)


def test_fewer_requests_are_no_slower_replicas():
    throughput, now = overloaded()
    for latency in (1.5, 0.7, 0.2):
        now = lived(throughput, 1, now, answers=100, latency=latency, in_flight=int(100 * latency))
    now = lived(throughput, 60, now, answers=30, latency=0.1, in_flight=3)
    assert throughput.rate == pytest.approx(50, rel=0.05)


def test_a_node_that_stands_still_is_no_slow_replica():
    """Twenty seconds without an answer, then all go on as before with what has piled up."""
    throughput, now = overloaded()
    now = lived(throughput, 20, now, answers=0, latency=0.0, in_flight=500)
    now = lived(throughput, 1, now, answers=100, latency=21.0, in_flight=500)
    assert throughput.rate == pytest.approx(50, rel=0.05)
