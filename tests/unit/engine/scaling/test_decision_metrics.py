"""The terms of decisions as metrics: few series, cheap, and gone with their model."""

import numpy as np
from prometheus_client import REGISTRY

from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.regression import uninformed
from modelfleet.core.forecasting.rows.transfer import unseen
from modelfleet.engine.scaling.decision_metrics import DecisionMetrics, ReplicasNow
from modelfleet.facts.identity import Key

KEY = Key("team-terms", "digits")
SERVICE = ModelFigures(60, 5, 8, 2, 0.01)
MAX_SERIES = 15


def series() -> dict:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.labels.get("namespace") == KEY.namespace
    }


def value(name: str, **labels: str) -> float | None:
    whole = {"namespace": KEY.namespace, "model": KEY.name, **labels}
    return REGISTRY.get_sample_value(f"modelfleet_{name}", whole)


def test_a_model_has_fifteen_series_and_leaves_none():
    fleet, terms = Policy(1, SHIPPED), DecisionMetrics()
    fleet.adopt(0, SERVICE, uninformed())
    wanted = fleet.step(unseen(np.full(1, 20, dtype=np.float32)))
    terms.put(KEY, fleet, wanted, 0, ReplicasNow(SERVICE, 2, 1, 5.0, granted=3, bounds=(1, 10)))
    assert len(series()) <= MAX_SERIES
    assert value("scaling_replicas", state="granted") == 3
    assert value("scaling_replicas", state="ready") == 2
    assert value("scaling_replicas", state="most") == 10
    assert value("model_replica_slots") == 8
    assert value("scaling_risk_ratio") == np.float32(0.009)
    assert value("scaling_slots", term="load") == wanted.load[0]
    terms.forget(KEY)
    terms.forget(KEY)
    assert series() == {}


def test_a_model_whose_replicas_nobody_has_seen_yet_has_its_terms():
    fleet, terms = Policy(1, SHIPPED), DecisionMetrics()
    fleet.adopt(0, SERVICE, uninformed())
    terms.put(KEY, fleet, fleet.step(unseen(np.zeros(1, dtype=np.float32))), 0, None)
    assert value("scaling_slots", term="load") == 0
    terms.forget(KEY)
