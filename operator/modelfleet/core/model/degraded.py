"""The condition Degraded: the model serves, but something about it is not as it should be.

The first warning of WARNINGS that applies is shown; an obstacle of the serving version comes before
them all.
"""

import math
from collections.abc import Callable

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.build.pod import image_of
from modelfleet.core.model.decision import Decision
from modelfleet.core.model.obstacles import BUDGET
from modelfleet.core.scaling import overload
from modelfleet.facts.model import ModelFacts, VersionFacts

ROUNDED_SECONDS = 10


def degraded(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> tuple[bool, Reason, str]:
    """Return the value, reason and message of the condition."""
    obstacle, stable = decision.obstacle, decision.roles.stable
    if obstacle is not None and stable is not None and obstacle.version == stable.name:
        return (True, obstacle.reason, obstacle.message)
    unprotected = [fault for name, fault in facts.refused.items() if name.startswith(BUDGET)]
    if unprotected:
        return (True, Reason(unprotected[0].reason), unprotected[0].message)
    for reason, warning in WARNINGS:
        text = warning(facts, spec, decision)
        if text:
            return (True, reason, text)
    return (False, Reason.HEALTHY, "")


def _mixed_images(_: ModelFacts, __: MLModelSpec, decision: Decision) -> str:
    """Return the warning that the replicas of one version run two images: its tag was moved."""
    for version in (decision.roles.stable, decision.roles.candidate):
        text = "" if version is None else _mixed(version)
        if text:
            return text
    return ""


def _mixed(version: VersionFacts) -> str:
    first = version.first_image
    others = [pod for pod in version.running if pod.image_id not in {None, first}]
    if first is None or not others or "@" in image_of(version.template):
        # An image with a digest is fixed; nodes may name it by the digest of their platform.
        return ""
    pod = others[0]
    return (
        f"{pod.name} runs image {pod.image_id}, but {version.name} began with {first}: the tag of"
        " the image was moved; set runtime.image to the image with one of these digests (@sha256:)"
    )


def _hold_too_short(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> str:
    """Return the warning that requests cannot be held for as long as a replica needs to start.

    Empty for a model that cannot sleep or starts in time.

    Worked example: a start of 72 s and a hold of 50 s give "about 80 s". Each start takes another
    time, and each other text would be a write, so the time is rounded up.
    """
    stable, hold = decision.roles.stable, spec.scaling.hold.max_seconds
    can_sleep = facts.gateways.is_used and decision.allowed.low == 0 and spec.replicas is None
    startup = stable.startup_seconds if stable is not None and can_sleep else None
    if startup is None or startup <= hold:
        return ""
    seconds = math.ceil(startup / ROUNDED_SECONDS) * ROUNDED_SECONDS
    return (
        f"a replica needs about {seconds} s to start, but scaling.hold.maxSeconds is {hold}: the"
        " first requests after sleep get 503; raise it, or set scaling.minReplicas to 1"
    )


def _overloaded(facts: ModelFacts, spec: MLModelSpec, decision: Decision) -> str:
    return overload.message(facts, spec, decision.grant, decision.allowed.high)


FindWarning = Callable[[ModelFacts, MLModelSpec, Decision], str]
WARNINGS: tuple[tuple[Reason, FindWarning], ...] = (
    (Reason.IMAGE_MOVED, _mixed_images),  # wrong answers come before slow ones
    (Reason.HOLD_TOO_SHORT, _hold_too_short),
    (Reason.OVERLOADED, _overloaded),
)
