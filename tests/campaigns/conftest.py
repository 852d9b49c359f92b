"""The campaigns stand on the same ground as the fault campaigns."""

from tests.faults.conftest import *  # noqa: F403 - fixtures and hooks, all of them
