"""Gates between the strategy's step and the route: weight rises only after every gate passed.

`model.decide` applies it to each step. A `Fail` takes the candidate's weight away; an
`Inconclusive` keeps the present weights. A first version has no gate: nothing else could serve.
"""

from collections.abc import Mapping
from dataclasses import replace

from modelfleet.catalog import gates
from modelfleet.catalog.gates import Verdict
from modelfleet.catalog.strategies import RolloutFacts, Step


def gated(step: Step, facts: RolloutFacts) -> Step:
    """Return the step as the gates allow it.

    Worked example: the strategy raises the candidate from 10 to 50 %, a gate needs 40 more
    requests: the step keeps 10 %, and its `why` says so.
    """
    stable = facts.stable
    if stable is None:
        return step
    verdicts = {
        gate.name: verdict for gate in gates.GATES if (verdict := gate.judge(facts)) is not None
    }
    failed = _first(verdicts, "Fail")
    if failed is not None:
        weights = {stable: 100, facts.candidate: 0}
        why = f"gate {failed} rejects {facts.candidate}: {verdicts[failed].reason}"
        return replace(step, name="Rejected", weights=weights, is_complete=False, why=why)
    is_rising = step.weights.get(facts.candidate, 0) > facts.weights.get(facts.candidate, 0)
    waiting = _first(verdicts, "Inconclusive")
    if waiting is None or not (is_rising or step.is_complete):
        return step
    return _held(step, facts, stable, f"gate {waiting}: {verdicts[waiting].reason}", verdicts)


def _held(
    step: Step, facts: RolloutFacts, stable: str, why: str, verdicts: Mapping[str, Verdict]
) -> Step:
    """Return a step that keeps the present weights and the state that the strategy had."""
    present = facts.weights.get(facts.candidate, 0)
    delays = [v.look_again_seconds for v in verdicts.values() if v.look_again_seconds is not None]
    return replace(
        step,
        weights={stable: 100 - present, facts.candidate: present},
        is_complete=False,
        why=why,
        state=facts.state,
        look_again_seconds=min(delays, default=step.look_again_seconds),
    )


def _first(verdicts: Mapping[str, Verdict], kind: str) -> str | None:
    """Return the first gate, in the order of the catalogue, with this verdict."""
    return next((name for name, verdict in verdicts.items() if verdict.kind == kind), None)
