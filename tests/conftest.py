"""What all tests share: the marker `alone`, and properties that are not timed."""

import pytest
from hypothesis import HealthCheck, settings

# The machines are shared and noisy: a slow draw says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Markers are strict: each is made known here."""
    config.addinivalue_line("markers", "alone: must have the cluster for itself (tests.lanes)")
