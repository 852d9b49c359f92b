"""Grants for all models together, from their asks.

`scaling.tick` gives the asks of the whole fleet, also of models that did not move. The key orders
the models, so the order of input never matters. Without a budget every ask is granted.
"""

from collections.abc import Mapping

from modelfleet.facts.identity import Key
from modelfleet.facts.scaling import Ask, Grant


def allocate(
    asks: Mapping[Key, Ask], budget: int | None, granted: Mapping[Key, int]
) -> Mapping[Key, Grant]:
    """Return grants for all asks; `budget` in replicas (None: no bound), `granted` are granted now.

    Floors first, then one replica at a time to the model with the least grant for its want. Worked
    example: budget 3, asks a: 3 (floor 1), b: 3 (floor 0): a 2, b 1.
    """
    if budget is None:
        return {key: Grant(asks[key].want, asks[key].why) for key in sorted(asks)}
    grants = {key: min(asks[key].floor, asks[key].want) for key in sorted(asks)}
    left = budget - sum(grants.values())
    while left > 0:
        open_keys = [key for key in sorted(asks) if grants[key] < asks[key].want]
        if not open_keys:
            break
        least = min(
            open_keys,
            key=lambda key: (grants[key] / asks[key].want, -granted.get(key, 0), key),
        )
        grants[least] += 1
        left -= 1
    return {key: _granted(asks[key], count) for key, count in grants.items()}


def _granted(ask: Ask, count: int) -> Grant:
    if count < ask.want:
        return Grant(count, (f"the budget gives {count} of {ask.want}", *ask.why))
    return Grant(count, ask.why)
