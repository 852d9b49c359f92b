"""Virtual cluster and virtual traffic: replays an autoscaler request by request.

`modelfleet bench autoscale` and `modelfleet simulate` drive this package. The extra 'simulate'
(numba and numpy) is required. `shipped_scaler` drives the operator's own tick; `baselines` holds
the peers. Must never hold a scaling policy of modelfleet.
"""
