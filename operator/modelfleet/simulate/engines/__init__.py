"""The inner loops of the simulator, compiled by numba."""
