"""Requests of a rollout are counted by version, and never mixed."""

import pytest

from modelfleet.engine.handover import LastTurn
from modelfleet.engine.scaling.rollout_evidence import after
from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from tests.doubles.scaled_model import KEY, PARAMS, Fleet


def sample(good: int, bad: int) -> VersionSample:
    return VersionSample(
        arrivals=good + bad,
        completions={"2xx": good, "5xx": bad},
        service_seconds=0.1 * (good + bad),
        latency={40: good, 60: bad},
        failed_attempts=bad,
    )


def turn(candidate: str) -> LastTurn:
    return LastTurn(PARAMS, 1, 1, 0, 4.0, stable="m-v1", candidate=candidate)


def test_versions_are_summed_apart_over_gateways_and_seconds():
    both = ModelSample({"m-v1": sample(9, 1), "m-v2": sample(0, 3)})
    found, of = after({}, ("", ""), turn("m-v2"), [both, both])
    found, of = after(found, of, turn("m-v2"), [ModelSample({"m-v2": sample(1, 0)})])
    assert of == ("m-v1", "m-v2")
    assert found["m-v1"].completions == {"2xx": 18, "5xx": 2}
    assert found["m-v2"].completions == {"2xx": 1, "5xx": 6}
    assert found["m-v2"].latency == {40: 1, 60: 6}
    assert found["m-v2"].failed_attempts == 6
    assert found["m-v1"].service_seconds == pytest.approx(2.0)


def test_another_candidate_begins_anew_and_none_leaves_nothing():
    first, of = after({}, ("", ""), turn("m-v2"), [ModelSample({"m-v2": sample(5, 5)})])
    again, of = after(first, of, turn("m-v3"), [ModelSample({"m-v3": sample(2, 0)})])
    assert set(again) == {"m-v3"}
    assert after(again, of, turn(""), [ModelSample({"m-v1": sample(1, 0)})])[0] == {}


def test_the_tick_hands_the_evidence_to_the_turn():
    fleet = Fleet()
    entry = fleet.ledger.entry(KEY)
    for candidate, arrivals in (("m-v2", 4), ("m-v2", 4), ("", 4)):
        entry.last_turn = turn(candidate)
        versions = {"m-v1": sample(arrivals, 0), "m-v2": sample(0, 1)}
        models = {str(KEY): ModelSample(versions)}
        fleet.gateways.samples.append(GatewaySample("gw-0", 1.0, models))
        fleet.now += 1.0
        fleet.ticker.tick()
        if candidate:
            assert entry.answer.evidence["m-v1"].completions["5xx"] == 0
    assert entry.answer.evidence == {}
