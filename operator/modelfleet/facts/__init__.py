"""Frozen values that the decisions take and return. No behaviour beyond small properties."""
