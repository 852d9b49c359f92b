"""Second step: features become quantiles of future load."""
