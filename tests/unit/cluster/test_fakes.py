"""Fake nodes and accelerators: only workloads that ask for them may land there."""

import json

import pytest

from tests.cluster import kwok
from tests.cluster.accelerators import patch
from tests.cluster.cycles import Traces, difference

EMPTY = Traces(*(frozenset[str]() for _ in range(5)))


def test_a_fake_node_is_tainted_labelled_and_managed():
    made = kwok.node(7, accelerators=8)
    assert made["metadata"]["name"] == "fake-0007"
    assert made["metadata"]["labels"][kwok.SELECTOR] == "true"
    assert made["spec"]["taints"][0]["key"] == kwok.SELECTOR
    assert made["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def test_kwok_never_manages_the_real_node(tmp_path):
    argv = kwok.command(tmp_path, tmp_path / "kubeconfig")
    assert "--manage-all-nodes=false" in argv
    assert "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake" in argv


@pytest.mark.parametrize(("expected", "count"), [("2", 2), (None, 0)])
def test_accelerators_are_set_and_taken_away(expected, count):
    status = json.loads(patch(count))["status"]
    assert status["capacity"] == status["allocatable"] == {"nvidia.com/gpu": expected}


@pytest.mark.parametrize(
    ("expected", "mounts"),
    [({}, frozenset()), ({"mounts": ["/run/x"]}, frozenset({"/run/x"}))],
)
def test_what_is_new_after_a_cycle_is_a_fault(expected, mounts):
    after = Traces(frozenset(), mounts, frozenset(), frozenset(), frozenset())
    assert difference(EMPTY, after) == expected
