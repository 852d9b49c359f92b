"""Diagnosis of an installation: what is wrong with it, and the command that mends it."""
