"""The operator asks a Prometheus: for the signals of specs, and for the past of models."""
