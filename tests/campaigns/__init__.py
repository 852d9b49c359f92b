"""Campaigns that take longer than `make test`; each has a target of its own."""
