"""Fixtures of the tests with a real Envoy."""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.gateway.envoy_process import find_envoy
from tests.gateway.rig import Rig

_numbers = itertools.count(os.getpid())


@pytest.fixture(scope="session")
def envoy_binary() -> str:
    """Path of Envoy."""
    return find_envoy()


@pytest_asyncio.fixture
async def rig(envoy_binary: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """An empty data plane."""
    made = Rig(envoy_binary, tmp_path, 2 + next(_numbers) % 250)
    try:
        yield made
    finally:
        await made.close()
