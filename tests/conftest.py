"""What all tests share: the marker by which a test says that it needs the cluster for itself."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Markers are strict: each is made known here."""
    config.addinivalue_line("markers", "alone: must have the cluster for itself (tests.lanes)")
