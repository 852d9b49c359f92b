"""The agent of a gateway pod: configures Envoy, holds requests, counts traffic, probes replicas.

The pipeline of configuration is `watched`, then `admission`, then `xds`. `requests` counts and
holds requests, and `bounds` limits them. `modelfleet.link` reports all of it to the operator.
"""
