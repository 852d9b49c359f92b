"""Inner loops of the simulator, compiled by numba."""
