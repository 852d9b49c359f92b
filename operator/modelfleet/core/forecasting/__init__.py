"""The scaling policy: forecasts, settings, their replay, choice. Pure and vectorised.

The order of a step: `features`, then `quantiles`, then `dials`. Imports nothing else of `core`.
"""
