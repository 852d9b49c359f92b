"""Frozen values that the decisions take and give. No behaviour beyond small properties."""
