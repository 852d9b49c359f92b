"""Pure builders of Kubernetes manifests, as plain dicts."""
