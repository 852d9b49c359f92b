"""Quantile forecasts of the demand, and the priors of models without history."""
