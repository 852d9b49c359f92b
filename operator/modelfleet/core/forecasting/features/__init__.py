"""Features of the arrivals, from which the forecasts are computed."""
