"""Telemetry of the processes: metrics, logs, health, and the last words of a container."""
