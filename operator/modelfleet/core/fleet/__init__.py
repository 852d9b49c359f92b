"""Grants for all models together."""
