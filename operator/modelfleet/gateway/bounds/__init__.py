"""How many requests may be under way: learned throughput, limits in Envoy, fair shares."""
