"""The scaling policy: forecasts, dials, their replay, the choice of a dial. Pure and vectorised.

The order of a step: `features`, then `quantiles`, then `dials`. Imports nothing else of `core`.
"""
