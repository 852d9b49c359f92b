"""The two long-running processes, put together. Only wiring."""
