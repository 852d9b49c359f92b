"""Bounds on the requests under way: learned throughput, limits in Envoy, fair shares."""
