"""Catalogue of strategies. A new one needs a file here, a line in STRATEGIES, and a test."""

from modelfleet.catalog.strategies.base import RolloutFacts, Step, Strategy
from modelfleet.catalog.strategies.rolling import RollingStrategy

STRATEGIES: tuple[Strategy, ...] = (RollingStrategy(),)

__all__ = ["STRATEGIES", "RolloutFacts", "Step", "Strategy", "strategy_named"]


def strategy_named(name: str) -> Strategy | None:
    """Return the strategy of that name, or None."""
    return next((strategy for strategy in STRATEGIES if strategy.name == name), None)
