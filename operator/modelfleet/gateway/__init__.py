"""The agent of a gateway pod: gives Envoy its configuration, holds requests, observes traffic.

The pipeline of configuration is `watched`, then `admission`, then `xds`. Traffic is counted and
held in `requests`, bounded in `bounds`, and reported to the operator through `modelfleet.link`.
"""
