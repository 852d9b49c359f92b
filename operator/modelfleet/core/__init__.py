"""Decisions. Pure: facts and time in, values out; no clock, network, chance or log."""
