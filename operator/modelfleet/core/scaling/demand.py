"""The ask of one model: how many replicas its signals want, with the reasons.

`fleet.allocate` turns the asks of all models into grants. Must never lower an ask because data is
missing.
"""

import math
from collections.abc import Sequence

from modelfleet.catalog import signals
from modelfleet.facts.scaling import Ask, Demand, ScalingParams, Window, keep_alive_seconds

Needs = Sequence[tuple[float, float]]
"""(time, replicas): the largest demand at recent ticks, oldest first."""
Bounds = tuple[int, str]
"""Replicas, and the reason for the number."""


def demands(window: Window, params: ScalingParams) -> list[Demand]:
    """Return the demands of the signals, the largest first."""
    known = [d for s in signals.SIGNALS if (d := s.demand(window, params)) is not None]
    return sorted(known, key=lambda d: -d.replicas)


def ask(
    window: Window,
    params: ScalingParams,
    granted: int,
    signal_demands: Sequence[Demand],
    needs: Needs = (),
) -> Ask:
    """Return the ask of a model that has `granted` replicas granted now.

    `signal_demands` is the result of `demands`. The ask rises to the largest demand at once. It
    falls to the highest demand of the last `scale_down_seconds` (`needs`) and to the replicas that
    the forecast keeps. It falls only after that time was watched in full. While a gateway does not
    report or a signal has no value (`window.missing`), the present number holds. The other signals
    may then raise the number, never lower it.

    Worked example: demands of 4, 1, 1 within the last 60 s and 4 granted: stays at 4 until the 4 is
    60 s old.
    """
    low, high = params.min_replicas, params.max_replicas
    present = min(max(granted, low), high)
    want, why = _wanted(window, params, signal_demands)
    if window.missing is not None and want <= present:
        return Ask(present, present, high, (window.missing,))
    bounded = min(max(want, low), high)
    if bounded < granted:
        keep, text = max(
            _reasons_to_keep(window, params, signal_demands, (want, needs)), default=(0, "")
        )
        if min(keep, granted, high) > bounded:
            return Ask(min(keep, granted, high), low, high, (text, *why))
    if signal_demands and bounded != want:
        why = (_bound(want, params), *why)
    return Ask(bounded, low, high, why)


def _whole(replicas: float) -> int:
    return math.ceil(replicas - 1e-9)


def _wanted(
    window: Window, params: ScalingParams, signal_demands: Sequence[Demand]
) -> tuple[int, tuple[str, ...]]:
    """Return the replicas for the present demand; without one, 1 until the keep-alive is over."""
    if signal_demands:
        return max(_whole(signal_demands[0].replicas), 1), tuple(d.why for d in signal_demands)
    if params.min_replicas > 0:
        return 0, (f"{_minimum(params)}; no traffic",)
    seconds = keep_alive_seconds(window, params)
    if window.quiet_seconds >= seconds:
        return 0, (f"no request for {seconds:.0f} s",)
    return 0, (f"no traffic; one replica stays until {seconds:.0f} s without a request",)


def _reasons_to_keep(
    window: Window,
    params: ScalingParams,
    signal_demands: Sequence[Demand],
    want_and_needs: tuple[int, Needs],
) -> list[Bounds]:
    """Return the numbers below which no replica is taken away yet, with their reasons."""
    want, needs = want_and_needs
    window_seconds = params.scale_down_seconds
    reasons: list[Bounds] = []
    if window.observed_seconds < window_seconds:
        text = f"only {window.observed_seconds:.0f} s were watched without a gap"
        reasons.append((params.max_replicas, text))
    horizon = window.now - window_seconds
    recent = max((r for at, r in needs if at >= horizon), default=0.0)
    reasons.append((_whole(recent), f"highest demand of the last {window_seconds:.0f} s"))
    reasons += [(_whole(d.keep), d.why) for d in signal_demands if d.keep is not None]
    if want == 0 and window.quiet_seconds < (seconds := keep_alive_seconds(window, params)):
        text = f"one replica stays until {seconds:.0f} s without a request"
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
