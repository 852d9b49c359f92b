"""Replicas that one model asks for: signals, learned service time and concurrency, bounds."""
