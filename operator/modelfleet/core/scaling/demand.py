"""Signals -> Ask: how many replicas one model wants, with the terms.

Called by `scaling.tick` for each model that has traffic or is not at rest. Missing data never
lowers an ask.
"""

import math
from collections.abc import Sequence

from modelfleet.catalog import signals
from modelfleet.facts.scaling import Ask, Demand, ScalingParams, Window, keep_alive_seconds

Needs = Sequence[tuple[float, float]]
"""(time, replicas): the largest demand at recent ticks, oldest first."""
Bounds = tuple[int, str]
"""Replicas, and why so many."""


def demands(window: Window, params: ScalingParams) -> list[Demand]:
    """What the signals ask for, the largest first."""
    found = [d for s in signals.SIGNALS if (d := s.demand(window, params)) is not None]
    return sorted(found, key=lambda d: -d.replicas)


def ask(
    window: Window,
    params: ScalingParams,
    held_grant: int,
    found: Sequence[Demand],
    needs: Needs = (),
) -> Ask:
    """The ask of a model that has `held_grant` replicas granted now and `found` as its `demands`.

    Raised to the largest demand at once. Lowered to the highest demand of the last
    `scale_down_seconds` (`needs`) and to what the forecast keeps, after that time was watched in
    full. While a gateway does not report or a signal has no value (`window.missing`) the
    present number is kept, or raised by what others report, never lowered.

    Worked example: demands of 4, 1, 1 within the last 60 s and 4 granted: stays at 4 until the 4
    is 60 s old.
    """
    low, high = params.min_replicas, params.max_replicas
    kept = min(max(held_grant, low), high)
    want, why = _wanted(window, params, found)
    if window.missing is not None and want <= kept:
        return Ask(kept, kept, high, (window.missing,))
    bounded = min(max(want, low), high)
    if bounded < held_grant:
        most, text = max(_reasons_to_keep(window, params, found, (want, needs)), default=(0, ""))
        if min(most, held_grant, high) > bounded:
            return Ask(min(most, held_grant, high), low, high, (text, *why))
    if found and bounded != want:
        why = (_bound(want, params), *why)
    return Ask(bounded, low, high, why)


def _whole(replicas: float) -> int:
    return math.ceil(replicas - 1e-9)


def _wanted(
    window: Window, params: ScalingParams, found: Sequence[Demand]
) -> tuple[int, tuple[str, ...]]:
    """Replicas for the demand of now; without one, one until the keep-alive has passed."""
    if found:
        return max(_whole(found[0].replicas), 1), tuple(d.why for d in found)
    if params.min_replicas > 0:
        return 0, (f"{_minimum(params)}; no traffic",)
    seconds = keep_alive_seconds(window, params)
    if window.quiet_seconds >= seconds:
        return 0, (f"no request for {seconds:.0f} s",)
    return 0, (f"no traffic; one is kept until {seconds:.0f} s without a request",)


def _reasons_to_keep(
    window: Window,
    params: ScalingParams,
    found: Sequence[Demand],
    wanted: tuple[int, Needs],
) -> list[Bounds]:
    """Numbers below which nothing is taken away yet, with their reasons."""
    want, needs = wanted
    window_seconds = params.scale_down_seconds
    reasons: list[Bounds] = []
    if window.observed_seconds < window_seconds:
        text = f"watched for {window.observed_seconds:.0f} s only without a gap"
        reasons.append((params.max_replicas, text))
    horizon = window.now - window_seconds
    recent = max((r for at, r in needs if at >= horizon), default=0.0)
    reasons.append((_whole(recent), f"highest demand of the last {window_seconds:.0f} s"))
    reasons += [(_whole(d.keep), d.why) for d in found if d.keep is not None]
    if want == 0 and window.quiet_seconds < (seconds := keep_alive_seconds(window, params)):
        text = f"kept until {seconds:.0f} s without a request"
        reasons.append((1, text))
    return reasons


def _bound(want: int, params: ScalingParams) -> str:
    if want > params.max_replicas:
        return f"{_maximum(params)} (demand is {want})"
    return f"{_minimum(params)} (demand is {want})"


def _minimum(params: ScalingParams) -> str:
    return f"{params.bounds_why[0] or 'scaling.minReplicas'} {params.min_replicas}"


def _maximum(params: ScalingParams) -> str:
    return f"{params.bounds_why[1] or 'scaling.maxReplicas'} {params.max_replicas}"
