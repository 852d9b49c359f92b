"""Rows of the policy as values: for a restart, a file, a status, a backfill."""
