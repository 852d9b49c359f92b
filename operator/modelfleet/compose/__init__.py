"""Composition of the two long-running processes. Only wiring."""
