"""The benchmark on small generated traces."""

import numpy as np
import pytest

from modelfleet.simulate import report
from modelfleet.simulate.baselines import PEERS
from modelfleet.simulate.baselines.base import Peer, Setting
from modelfleet.simulate.baselines.static import Static
from modelfleet.simulate.comparison import (
    best,
    default,
    default_skip_seconds,
    draws,
    fleet,
    measure,
    one_model,
    static,
)
from modelfleet.simulate.generate import idle_fleet, seasons
from modelfleet.simulate.simulated_service import SimulatedService
from modelfleet.simulate.trace import Trace

pytestmark = pytest.mark.long

SERVICE = SimulatedService(60, 5, 8, 4)
KEDA = next(p for p in PEERS if p.name == "keda-rate")


@pytest.fixture(scope="module")
def case():
    return one_model(seasons(days=0.25), SERVICE, 0.01, 3600, (1, 2))


@pytest.fixture(scope="module")
def drawn(case):
    return draws(case)


def test_reference_keeps_the_promise_tightly(case, drawn):
    for one in drawn:
        assert one.reference.violations <= case.aim * one.reference.requests
        assert one.reference.scored_seconds == 5 * 3600


def test_best_setting_is_the_cheapest_that_keeps_the_promise(case, drawn):
    found = best(case, drawn, KEDA)
    kept = [p for p in found.curve if p.violations_percent <= 1]
    assert found.setting in {p.setting for p in kept}
    assert len(found.scores) == 2
    cheapest = min(p.cost_ratio for p in kept)
    chosen = next(p for p in found.curve if p.setting == found.setting)
    assert chosen.cost_ratio == pytest.approx(cheapest, rel=0.15)


def test_static_is_the_smallest_that_keeps_the_promise(case, drawn):
    found = static(case, drawn)
    size = int(found.setting.split()[0])
    assert all(s.peak_replicas == size for s in found.scores)
    assert sum(s.violations_percent for s in found.scores) / 2 <= 1


def test_document_has_mean_and_spread(case, drawn):
    outcome = default(case, drawn, KEDA)
    row = report.document(case, drawn, [outcome])["policies"][1]
    values = [seed["cost_ratio"] for seed in row["seeds"]]
    assert row["name"] == "keda-rate"
    assert row["cost_ratio"] == pytest.approx(sum(values) / 2)
    assert (row["cost_ratio_min"], row["cost_ratio_max"]) == (min(values), max(values))
    assert {"violations_percent", "replica_hours", "starts_per_day", "peak_replicas"} <= set(row)


def test_fleet_is_summed_and_goes_to_zero():
    traces = idle_fleet(models=4, days=0.25)
    models = [(t, SimulatedService(30, 5, 4, t.mean_work_seconds() or 1)) for t in traces.values()]
    case = fleet("idle", models, 0.2, 3600, (1,))
    drawn = draws(case)
    found = default(case, drawn, KEDA)
    hours = found.scores[0].replica_hours
    assert drawn[0].reference.replica_hours < hours < 4 * 5
    assert found.scores[0].requests == drawn[0].reference.requests


@pytest.mark.parametrize("peer", PEERS, ids=lambda p: p.name)
def test_peers_keep_the_floor_in_silence(peer):
    """HPA and KEDA fell to one whatever they were asked to keep."""
    nothing = Trace("nothing", 7200, 5.0, np.zeros(1440))
    case = one_model(nothing, SERVICE, 0.01, 3600, (1,)).keeping(3)
    drawn = draws(case)
    for setting in (peer.default(SERVICE, 3), *peer.grid(SERVICE, 3)[:1]):
        found = measure(case, drawn[0], [setting.make])
        assert (found.replica_hours, found.peak_replicas) == (3, 3)


def test_static_and_reference_keep_the_floor():
    nothing = Trace("nothing", 7200, 5.0, np.zeros(1440))
    hours = {}
    for least in (0, 1, 3):
        case = one_model(nothing, SERVICE, 0.01, 3600, (1,)).keeping(least)
        drawn = draws(case)
        hours[least] = drawn[0].reference.replica_hours, static(case, drawn).setting
    assert hours == {0: (0, "1 replicas"), 1: (0, "1 replicas"), 3: (3, "3 replicas")}


def test_reference_that_costs_nothing_has_no_ratio():
    nothing = Trace("nothing", 7200, 5.0, np.zeros(1440))
    case = one_model(nothing, SERVICE, 0.01, 3600, (1,))
    drawn = draws(case)
    found = report.document(case, drawn, [static(case, drawn), best(case, drawn, KEDA)])
    assert [p["cost_ratio"] for p in found["policies"]] == [None] * 3
    assert found["policies"][2]["curve"][0]["cost_ratio"] is None


def test_default_is_among_the_candidates(case, drawn):
    """Ray's two requests for each replica are no share of the slots that the grid has."""
    ray = next(p for p in PEERS if p.name == "ray-serve")
    only = Peer(ray.name, ray.default, lambda *_: [Setting("one", lambda: Static(1))], 1)
    found = best(case, drawn, only)
    assert found.setting == "default: 2 ongoing, down 600 s"
    assert [p.setting for p in found.curve] == ["one"]


def test_peers_have_names_and_grids():
    assert len({p.name for p in PEERS}) == len(PEERS)
    for peer in PEERS:
        grid = peer.grid(SERVICE, 1)
        assert len(grid) == peer.size
        assert len({s.label for s in grid}) == len(grid)
        assert peer.default(SERVICE, 1).make().name == peer.name


@pytest.mark.parametrize(("seconds", "expected"), [(14 * 86_400, 7 * 86_400), (86_400, 10_800)])
def test_default_history(seconds, expected):
    assert default_skip_seconds(seconds) == expected
