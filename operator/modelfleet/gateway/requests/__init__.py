"""Requests as the agent meets them: counted from the access log, held while no replica is ready."""
