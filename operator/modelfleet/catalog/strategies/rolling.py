"""Strategy `Rolling`: the weight of the candidate follows its replicas in effect.

* Preparing: no replica of the candidate is in effect, so all traffic stays.
* Shifting: some are in effect, so the candidate gets their share of the needed replicas.
* Promoting: all are in effect, so it gets 100 %; then every gateway has to confirm.
"""

from modelfleet.catalog.strategies.base import RolloutFacts, Step


class RollingStrategy:
    """Replicas first, then weight; promotion only after confirmation."""

    name = "Rolling"

    def step(self, facts: RolloutFacts) -> Step:
        """Return the next weights.

        Worked example: 4 replicas needed, 1 of the candidate in effect: 25 % for the candidate.
        """
        floors = {facts.candidate: facts.needed}
        if facts.stable is None:
            return self._first(facts, floors)
        if not facts.is_known:
            return self._unchanged(facts, floors)
        carried = facts.in_effect.get(facts.candidate, 0)
        if carried == 0:
            weights = {facts.stable: 100, facts.candidate: 0}
            why = f"waits for the first replica of {facts.candidate}"
            return Step("Preparing", weights, is_complete=False, why=why, floors=floors)
        if carried < facts.needed:
            share = 100 * carried // facts.needed
            weights = {facts.stable: 100 - share, facts.candidate: share}
            why = f"{carried} of {facts.needed} replicas of {facts.candidate} can serve"
            return Step("Shifting", weights, is_complete=False, why=why, floors=floors)
        return self._promoting(facts, floors)

    def _unchanged(self, facts: RolloutFacts, floors: dict[str, int]) -> Step:
        """Keep all weights: a silent gateway may still use any weights that it ever had."""
        involved = {facts.stable, facts.candidate}
        present = {name: w for name, w in facts.weights.items() if name in involved}
        if sum(present.values()) != 100 or facts.candidate not in present:  # noqa: PLR2004 - percent
            present = {str(facts.stable): 100, facts.candidate: 0}
        why = "waits for every gateway to report"
        name = "Shifting" if present.get(facts.candidate) else "Preparing"
        return Step(
            name,
            present,
            is_complete=False,
            why=why,
            floors=floors,
            waits_for_gateways=True,
        )

    def _promoting(self, facts: RolloutFacts, floors: dict[str, int]) -> Step:
        weights = {str(facts.stable): 0, facts.candidate: 100}
        is_set = facts.weights.get(facts.candidate, 0) == 100  # noqa: PLR2004 - percent
        if is_set and facts.is_confirmed:
            why = f"every gateway sends all traffic to {facts.candidate}"
            return Step("Promoting", weights, is_complete=True, why=why, floors=floors)
        why = f"waits for every gateway to send all traffic to {facts.candidate}"
        return Step(
            "Promoting",
            weights,
            is_complete=False,
            why=why,
            floors=floors,
            waits_for_gateways=True,
        )

    def _first(self, facts: RolloutFacts, floors: dict[str, int]) -> Step:
        """Route to the candidate at once while no version serves, so that requests are held."""
        weights = {facts.candidate: 100}
        others = {n: w for n, w in facts.weights.items() if n != facts.candidate and w > 0}
        if others and facts.in_effect.get(facts.candidate, 0) == 0:
            # A user deleted the MLModelVersion that serves: its weights stay until a replica of
            # the candidate is in effect.
            weights = {**facts.weights, facts.candidate: facts.weights.get(facts.candidate, 0)}
        is_ready = facts.in_effect.get(facts.candidate, 0) > 0 and facts.is_confirmed
        why = (
            f"{facts.candidate} serves"
            if is_ready
            else f"waits for the first replica of {facts.candidate}"
        )
        return Step("Preparing", weights, is_complete=is_ready, why=why, floors=floors)
