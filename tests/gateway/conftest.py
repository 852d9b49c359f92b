"""Fixtures of the tests with a real Envoy."""

import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.gateway.envoy_process import find_envoy
from tests.gateway.rig import Rig

NETWORKS = range(2, 252)
_numbers = itertools.cycle(NETWORKS)


@contextlib.contextmanager
def a_network() -> Iterator[int]:
    """A loopback network for one test; several processes never take the same.

    The mark is a socket without a file: it goes with the process, however that ends.
    """
    for number in itertools.islice(_numbers, len(NETWORKS)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
            try:
                mark.bind(f"\0modelfleet-tests-127.{number}")
            except OSError:
                continue
            yield number
            return
    pytest.fail("no loopback network is free")


@pytest.fixture(scope="session")
def envoy_binary() -> str:
    """Path of Envoy."""
    return find_envoy()


@pytest_asyncio.fixture
async def rig(envoy_binary: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """An empty data plane."""
    with a_network() as number:
        made = Rig(envoy_binary, tmp_path, number)
        try:
            yield made
        finally:
            await made.close()
