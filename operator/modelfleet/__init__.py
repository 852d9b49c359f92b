"""modelfleet: an operator that serves, scales and updates machine-learning models on Kubernetes."""

__version__ = "0.1.0"
