"""Requests at the agent: counted from the access log, held while no replica is ready."""
