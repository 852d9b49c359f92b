"""Virtual cluster and traffic: what an autoscaler would have done, request by request.

Used by `modelfleet bench autoscale` and `modelfleet simulate`. Needs the extra 'simulate' (numba
and numpy). Must never hold policy of ours: `shipped_scaler` drives the engine's own tick, and
`baselines` are the peers.
"""
