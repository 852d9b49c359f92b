"""A model's state in one word and one sentence, from the conditions that the operator wrote.

The verbs show it, and Argo CD's health script follows the same order. Must never judge anything
that the operator has not said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Health = Literal["Healthy", "Progressing", "Suspended", "Degraded"]


@dataclass(frozen=True, slots=True)
class ModelState:
    """`reason` is a word of the reference page, `message` the operator's sentence."""

    health: Health
    reason: str
    message: str


def state_of(model: Mapping[str, Any]) -> ModelState:
    """Return the state of an MLModel object: its worst condition, or that it serves."""
    status = model.get("status") or {}
    claims = {claim["type"]: claim for claim in status.get("conditions") or []}
    if not claims or status.get("observedGeneration") != model["metadata"].get("generation"):
        return ModelState("Progressing", "Unseen", "the operator has not seen this spec yet")
    for kind in ("Stalled", "Degraded"):
        if claims.get(kind, {}).get("status") == "True":
            return _state("Degraded", claims[kind])
    rolled_out = claims.get("RolledOut", {})
    if rolled_out.get("reason") == "Paused":
        return _state("Suspended", rolled_out)
    if claims.get("Reconciling", {}).get("status") == "True":
        return _state("Progressing", claims["Reconciling"])
    if rolled_out.get("status") != "True":
        return _state("Progressing", rolled_out)
    is_available = claims.get("Available", {}).get("status") == "True"
    return _state("Healthy" if is_available else "Progressing", claims.get("Ready", {}))


def _state(health: Health, claim: Mapping[str, Any]) -> ModelState:
    return ModelState(health, str(claim.get("reason", "")), str(claim.get("message", "")))


def age(model: Mapping[str, Any], now: float) -> str:
    """Return the age of an object as kubectl shows it: `45s`, `12m`, `5h`, `3d`.

    `now` is in seconds since 1970.
    """
    from datetime import datetime

    created = datetime.fromisoformat(model["metadata"]["creationTimestamp"]).timestamp()
    seconds = max(0, int(now - created))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
