"""Builders of Kubernetes manifests, as plain dicts. Pure."""
