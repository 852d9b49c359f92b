"""What the demo believes of the cluster, from events in the order they come."""

import pytest

from tests.demo.cluster import DemoError
from tests.demo.watch import Seen, is_confirmed, weights


def seen():
    return Seen(None, "a")


def pod(name="p", version="v1", *, ready=False, leaves=False):
    metadata = {"name": name, "labels": {"modelfleet.dev/version": version}}
    if leaves:
        metadata["deletionTimestamp"] = "now"
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {"metadata": metadata, "status": {"conditions": [condition]}}


def test_a_start_is_timed_from_first_sight_to_ready():
    view = seen()
    view.take_pod("ADDED", pod())
    view.take_pod("MODIFIED", pod(ready=True))
    assert len(view.start_seconds()) == 1
    assert view.ready("v1") == 1


def test_a_pod_that_was_ready_before_has_no_start():
    view = seen()
    view.take_pod("ADDED", pod(ready=True))
    assert view.start_seconds() == []


def test_a_pod_that_leaves_is_not_counted_and_its_start_is_kept():
    view = seen()
    view.take_pod("ADDED", pod())
    view.take_pod("MODIFIED", pod(ready=True))
    view.take_pod("MODIFIED", pod(ready=True, leaves=True))
    assert view.ready() == 0
    view.take_pod("DELETED", pod())
    assert len(view.start_seconds()) == 1
    assert view.most_ready == 1


def test_the_most_is_that_of_one_version():
    view = seen()
    for name, version in (("a", "v1"), ("b", "v1"), ("c", "v2")):
        view.take_pod("ADDED", pod(name, version, ready=True))
    assert view.most_ready == 2


def model(**status):
    return {"metadata": {"name": "digits", "generation": 2}, "status": status}


def test_a_route_is_confirmed_only_for_the_present_spec():
    route = {"revision": 3, "confirmed": 3, "weights": [{"version": "v1", "weight": 100}]}
    assert is_confirmed(model(observedGeneration=2, route=route))
    assert not is_confirmed(model(observedGeneration=1, route=route))
    assert not is_confirmed(model(observedGeneration=2, route={**route, "confirmed": 2}))
    assert not is_confirmed(model(observedGeneration=2))
    assert weights(model(route=route)) == {"v1": 100}


def test_a_wait_that_ends_says_what_was_awaited_and_what_the_status_says():
    view = seen()
    condition = {"type": "Stalled", "status": "True", "reason": "FetchFailed", "message": "404"}
    view.take_model("ADDED", model(conditions=[condition]))
    with pytest.raises(DemoError, match=r"for a miracle; .*Stalled=True FetchFailed: 404"):
        view.wait("a miracle", lambda: False, 0, "digits")
