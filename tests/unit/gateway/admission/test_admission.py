"""Admission: which replicas are kept out, and for how long."""

import asyncio
from collections.abc import Iterator

import pytest

from modelfleet.catalog.probes import ProbeOutcome, ProbeSpec
from modelfleet.facts.traffic import ProbeResult
from modelfleet.gateway.admission.admission import Admission

NAME = ("team-a", "churn-v1")
SPEC = ProbeSpec("OpenInferenceV2", "churn")


class Script:
    """Answers in order; reports into lists."""

    def __init__(self, *verdicts: str) -> None:
        self.verdicts: Iterator[str] = iter(verdicts)
        self.results: list[ProbeResult] = []
        self.left: list[str] = []
        self.slept: list[float] = []

    async def ask(self, _endpoint: str, _spec: ProbeSpec) -> ProbeOutcome:
        return ProbeOutcome(next(self.verdicts), "")  # type: ignore[arg-type] # from the table above

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def record_probe(self, result: ProbeResult) -> None:
        self.results.append(result)

    def withdraw_probe(self, _model: str, endpoint: str) -> None:
        self.left.append(endpoint)


async def _admitted(script: Script, *others: str) -> tuple[str, ...]:
    """Endpoints that are in after a while, beside others that were there before."""
    admission = Admission(script, script, script.sleep)
    before = dict.fromkeys(others, "pod-before")
    admission.update(NAME, "churn", SPEC, before)
    admission.begin()
    admission.update(NAME, "churn", SPEC, {**before, "a:1": "pod"})
    assert "a:1" not in admission.admitted(NAME)
    for _ in range(40):
        await asyncio.sleep(0)
    return admission.admitted(NAME)


@pytest.mark.parametrize(
    ("verdicts", "passed", "slept"),
    [
        (["Right"], [True], []),
        (["Unfit"], [True], []),
        (["Wrong", "Wrong", "Right"], [False, False, True], [2.0, 4.0]),
        (["Late", "Late", "Late"], [True], [0.5, 0.5]),
        (["Late", "Wrong", "Late", "Late", "Late"], [False, True], [0.5, 2.0, 0.5, 0.5]),
    ],
)
def test_only_a_wrong_answer_beside_a_right_one_keeps_out(
    monkeypatch: pytest.MonkeyPatch, verdicts: list[str], passed: list[bool], slept: list[float]
) -> None:
    script = Script(*verdicts)
    single = script.ask

    async def ask(endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        return ProbeOutcome("Right") if endpoint == "b:1" else await single(endpoint, spec)

    monkeypatch.setattr(script, "ask", ask)
    assert asyncio.run(_admitted(script, "b:1")) == ("a:1", "b:1")
    assert [result.passed for result in script.results] == passed
    assert script.slept == slept


def test_a_server_that_says_it_loads_is_asked_until_it_serves() -> None:
    script = Script(*["Loading"] * 5, "Right")
    assert asyncio.run(_admitted(script)) == ("a:1",)
    assert script.slept == [1.0] * 5
    assert [result.passed for result in script.results] == [True], "a start is no fault"


def test_a_server_that_never_serves_is_said_once_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{__name__}.SPEC", ProbeSpec("GrpcHealth", "churn", startup_seconds=3))
    script = Script(*["Loading"] * 60)
    assert asyncio.run(_admitted(script)) == ()
    assert [result.passed for result in script.results] == [False]
    assert len(script.slept) > 3, "it is asked on"


def test_a_wrong_answer_keeps_none_out_where_no_other_replica_answers() -> None:
    script = Script("Wrong")
    assert asyncio.run(_admitted(script)) == ("a:1",)
    [result] = script.results
    assert result.passed
    assert "admitted, as no other replica" in result.reason


def test_two_replicas_that_both_answer_wrongly_are_in() -> None:
    script = Script("Wrong", "Wrong")
    assert asyncio.run(_admitted(script, "b:1")) == ("a:1", "b:1")


def test_who_was_there_before_is_in_and_stays() -> None:
    script = Script()
    admission = Admission(script, script)
    admission.update(NAME, "churn", SPEC, {"a:1": "pod"})
    admission.begin()
    admission.update(NAME, "churn", SPEC, {"a:1": "pod"})
    assert admission.admitted(NAME) == ("a:1",)
    admission.update(NAME, "churn", SPEC, {})
    assert (admission.admitted(NAME), script.left) == ((), ["a:1"])


def test_without_a_probe_in_at_once() -> None:
    script = Script()
    admission = Admission(script, script)
    admission.begin()
    admission.update(NAME, "churn", None, {"a:1": "pod"})
    assert admission.admitted(NAME) == ("a:1",)
