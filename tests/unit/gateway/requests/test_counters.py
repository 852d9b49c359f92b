"""Counting: buckets, histogram, in flight, drift, requests that kill."""

import math

import pytest

from modelfleet.facts.traffic import LATENCY_BASE_MILLISECONDS, LATENCY_BUCKETS, LATENCY_GROWTH
from modelfleet.gateway.bounds.fairness import MAX_CLIENTS
from modelfleet.gateway.envoy_admin import parse_active, parse_in_flight
from modelfleet.gateway.requests.counters import TrafficCounters, latency_bucket

KEY = "team-a/churn"


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (1.0, 54), (1e9, LATENCY_BUCKETS - 1)],
)
def test_bucket_of_a_latency(seconds: float, bucket: int) -> None:
    assert latency_bucket(seconds) == bucket


@pytest.mark.parametrize("bucket", range(1, LATENCY_BUCKETS - 1))
def test_a_buckets_upper_edge_belongs_to_it(bucket: int) -> None:
    edge = LATENCY_BASE_MILLISECONDS * LATENCY_GROWTH**bucket / 1000
    assert latency_bucket(edge) == bucket
    assert latency_bucket(edge * 1.0001) == bucket + 1 or bucket == LATENCY_BUCKETS - 2


def test_a_bucket_is_taken_once_and_totals_stay() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    counter = traffic.counter(KEY, "churn-v1")
    counter.arrivals = 2
    counter.begin("10.0.0.1:80")
    counter.complete("2xx", 0.1, 0.5)
    first = traffic.take("g", 1.0, {})
    assert first.models[KEY].versions["churn-v1"].completions == {"2xx": 1}
    assert first.models[KEY].pods_in_flight == {"10.0.0.1:80": 1}
    counter.end("10.0.0.1:80")
    second = traffic.take("g", 1.0, {KEY: 3})
    assert second.models[KEY].versions == {}
    assert (second.models[KEY].held, second.models[KEY].pods_in_flight) == (3, {"10.0.0.1:80": 0})
    assert traffic.take("g", 1.0, {}).models == {}
    ((_, _, totals, _),) = traffic.totals()
    assert (totals.arrivals, totals.completions) == (2, {"2xx": 1})


def test_an_end_without_a_beginning_is_not_counted() -> None:
    counter = TrafficCounters(lambda: 0.0).counter(KEY, "churn-v1")
    counter.end("10.0.0.1:80")
    assert counter.in_flight == {}


def test_drift_is_what_differs_twice_by_the_same() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    counter = traffic.counter(KEY, "churn-v1")
    counter.begin("a:1")
    traffic.reconcile({})
    assert counter.in_flight == {"a:1": 1}
    traffic.reconcile({})
    assert counter.in_flight == {}
    traffic.reconcile({(KEY, "churn-v1", "b:1"): 2})
    traffic.reconcile({(KEY, "churn-v1", "b:1"): 3})
    assert counter.in_flight == {}
    traffic.reconcile({(KEY, "churn-v1", "b:1"): 3})
    assert counter.in_flight == {"b:1": 3}


def test_envoys_gauges_are_read() -> None:
    text = (
        "holder::127.0.0.1:9444::rq_active::3\n"
        "team-a/churn-v1/pods::10.0.0.1:8000::rq_active::2\n"
        "team-a/churn-v1/pods::10.0.0.2:8000::rq_active::0\n"
        "team-a/churn-v1/pods::[fd00::1]:8000::rq_active::1\n"
    )
    assert parse_in_flight(text) == {
        ("team-a", "churn-v1", "10.0.0.1:8000"): 2,
        ("team-a", "churn-v1", "[fd00::1]:8000"): 1,
    }
    stats = (
        "http.admin.downstream_rq_active: 1\n"
        "http.cluster.downstream_rq_active: 4\nhttp.external.downstream_rq_active: 2\n"
    )
    assert parse_active(stats) == 6


def test_what_answers_took_is_remembered_until_the_model_is_gone() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    for _ in range(600):
        for _ in range(10):
            traffic.counter(KEY, "churn-v1").complete("2xx", 0.1, 0.0)
        traffic.counter(KEY, "churn-v2").complete("reset", None, 0.0)
        traffic.add_answers(traffic.take("g", 1.0, {}))
    found = traffic.answered[KEY]
    assert found.seconds / found.answers == pytest.approx(0.1), "who got no answer does not count"
    assert found.answers == pytest.approx(10 * 600 * (1 - math.exp(-1)), rel=0.01)
    traffic.add_answers(traffic.take("g", 3600.0, {}))
    assert traffic.answered[KEY] == found, "silence forgets nothing"
    traffic.forget(KEY, frozenset({"churn-v1"}))
    assert KEY in traffic.answered
    traffic.forget(KEY)
    assert KEY not in traffic.answered


def test_clients_are_counted_of_watched_models_only() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    assert traffic.watch_clients([KEY]) == {}
    traffic.count_client(KEY, "10.0.0.1")
    traffic.count_client(KEY, "10.0.0.1")
    traffic.count_client(KEY, "10.0.0.2")
    assert traffic.watch_clients([]) == {KEY: {"10.0.0.1": 2, "10.0.0.2": 1}}
    assert KEY not in traffic.watched


def test_clients_of_a_model_are_bounded() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    traffic.watch_clients([KEY])
    for number in range(2 * MAX_CLIENTS):
        traffic.count_client(KEY, f"10.0.{number}")
    assert len(traffic.watched[KEY]) == MAX_CLIENTS


def test_a_request_beyond_a_share_is_an_arrival_of_the_busiest_version() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    traffic.count_early_refusal(KEY)
    assert traffic.unknown == 1, "no version is known"
    traffic.counter(KEY, "churn-v1").arrivals = 1
    traffic.counter(KEY, "churn-v2").arrivals = 9
    traffic.count_early_refusal(KEY)
    seen = traffic.take("g", 1.0, {}).models[KEY].versions
    assert (seen["churn-v2"].arrivals, seen["churn-v2"].refused) == (10, 1)
    assert seen["churn-v1"].refused == 0


def test_what_is_counted_after_a_model_is_gone_is_dropped_by_the_next_sweep() -> None:
    traffic = TrafficCounters(lambda: 0.0)
    traffic.uncounted["team-a/bots"] += 1
    traffic.deadly["team-a/broken"] += 1
    traffic.refused["team-a/gone", "the model was deleted"] += 1
    traffic.refused["", "the model is not known here"] += 1
    for key in traffic.models:
        traffic.forget(key)
    assert not traffic.uncounted
    assert not traffic.deadly
    assert list(traffic.refused) == [("", "the model is not known here")]


def test_a_model_stays_known_until_each_of_its_counts_is_forgotten() -> None:
    """A held request is refused after its model was deleted, and is counted once more then."""
    traffic = TrafficCounters(lambda: 0.0)
    traffic.counter(KEY, "churn-v1")
    traffic.forget(KEY)
    traffic.refused[KEY, "the model was deleted"] += 1
    traffic.deadly[f"{KEY}-2"] += 1
    traffic.uncounted[f"{KEY}-3"] += 1
    assert traffic.models == {KEY, f"{KEY}-2", f"{KEY}-3"}
    for model in traffic.models:
        traffic.forget(model)
    assert (traffic.models, traffic.refused, traffic.deadly) == (frozenset(), {}, {})
