"""Reading from a Prometheus: the signals of specs, and the past arrivals of models."""
