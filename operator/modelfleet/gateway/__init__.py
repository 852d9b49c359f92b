"""The agent of a gateway pod: gives Envoy its configuration, holds requests, observes traffic."""
