"""A real Kubernetes from upstream's own programs, for Linux machines without a Docker engine.

Chosen by ``tests.cluster.choose``; ``cluster.NativeCluster`` is the only name to use from outside.
All of it lives in its own network, mount and process namespaces: nothing outside is changed, and
ending the first process inside ends everything.
"""
