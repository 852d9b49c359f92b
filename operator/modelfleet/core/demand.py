"""Signals -> Ask: how many replicas one model wants, with the terms.

Called by `engine.tick` for each model that has traffic or is not at rest. Missing data never
lowers an ask.
"""

import math

from modelfleet import signals
from modelfleet.facts.scaling import Ask, ScalingParams, Window


def ask(window: Window, params: ScalingParams, held_grant: int) -> Ask:
    """The ask of a model that has `held_grant` replicas granted now.

    While a gateway does not report (`window.is_complete` is False) the present number is kept, or
    raised by what others report, never lowered.
    """
    low, high = params.min_replicas, params.max_replicas
    found = [d for s in signals.SIGNALS if (d := s.demand(window, params)) is not None]
    kept = min(max(held_grant, low), high)
    if not window.is_complete and (not found or math.ceil(max(d.replicas for d in found)) <= kept):
        return Ask(kept, kept, high, ("a gateway does not report; the last number is kept",))
    if not found:
        return _quiet(window, params, held_grant)
    found.sort(key=lambda d: -d.replicas)
    want = math.ceil(found[0].replicas - 1e-9)
    bounded = min(max(want, low, 1), high)
    why = [d.why for d in found]
    if bounded != want:
        why.insert(0, _bound(want, params))
    return Ask(bounded, low, high, tuple(why))


def _bound(want: int, params: ScalingParams) -> str:
    if want > params.max_replicas:
        return f"scaling.maxReplicas {params.max_replicas} (demand is {want})"
    return f"scaling.minReplicas {params.min_replicas} (demand is {want})"


def _quiet(window: Window, params: ScalingParams, held_grant: int) -> Ask:
    """No traffic. To zero only after the keep-alive, watched in full."""
    low, high = params.min_replicas, params.max_replicas
    if low > 0:
        return Ask(low, low, high, (f"scaling.minReplicas {low}; no traffic",))
    last = max((b.at for b in window.buckets if b.arrivals or b.in_flight or b.held), default=None)
    quiet = window.observed_seconds if last is None else window.now - last
    if quiet >= params.keep_alive_seconds:
        return Ask(0, 0, high, (f"no request for {params.keep_alive_seconds:.0f} s",))
    text = f"no traffic; kept until {params.keep_alive_seconds:.0f} s without a request"
    return Ask(min(1, held_grant), 0, high, (text,))


def settle(
    recent: tuple[tuple[float, Ask], ...], now: float, params: ScalingParams, held_grant: int
) -> Ask:
    """The newest ask, lowered only to the highest of the last `scale_down_seconds`.

    `recent` holds (time, ask), oldest first, the newest included. Worked example: asks of 4, 1, 1
    within the last 60 s and 4 granted: stays at 4 until the 4 is 60 s old.
    """
    newest = recent[-1][1]
    if newest.want >= held_grant:
        return newest
    horizon = now - params.scale_down_seconds
    if recent[0][0] > horizon:
        kept = min(held_grant, newest.ceiling)
        text = f"lower demand has not lasted {params.scale_down_seconds:.0f} s yet"
        return Ask(max(kept, newest.want), newest.floor, newest.ceiling, (text, *newest.why))
    highest = max((a for at, a in recent if at >= horizon), key=lambda a: a.want, default=newest)
    if highest.want > newest.want:
        want = min(highest.want, held_grant)
        text = f"highest demand of the last {params.scale_down_seconds:.0f} s"
        return Ask(max(want, newest.want), newest.floor, newest.ceiling, (text, *highest.why))
    return newest
