"""The strategy catalogue. To add one: a file here, a line in STRATEGIES, a test beside it."""

from modelfleet.catalog.strategies.base import RolloutFacts, Step, Strategy
from modelfleet.catalog.strategies.rolling import RollingStrategy

STRATEGIES: tuple[Strategy, ...] = (RollingStrategy(),)

__all__ = ["STRATEGIES", "RolloutFacts", "Step", "Strategy", "strategy_named"]


def strategy_named(name: str) -> Strategy:
    """The strategy of that name; the schema admits no other."""
    return next(strategy for strategy in STRATEGIES if strategy.name == name)
