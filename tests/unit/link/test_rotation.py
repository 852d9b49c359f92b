"""A rotated Secret reaches both ends of the link without a restart, the one before or after."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelfleet.link import link_client
from modelfleet.link.feed import LeaderFeed
from modelfleet.link.link_client import GatewayLinks
from modelfleet.link.link_server import LinkServer
from modelfleet.link.link_trust import PREVIOUS_SECONDS, LinkTrust
from tests.gateway.certificate import write_link


class Ends:
    """A gateway's end, which looks at its files when the test says so, and the operator's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.feed = folder, LeaderFeed("gw", "1")
        self.server = LinkServer(self.feed, folder, "127.0.0.1", 0)
        self.trust = LinkTrust.of(write_link(folder, "token 1"), "token 1")
        self.links: GatewayLinks

    async def begin(self) -> None:
        await self.server._look()
        port = self.server._runner.addresses[0][1]
        self.links = GatewayLinks(trust=self.trust, on_change=lambda *_: None, port=port)
        self.links.update({"gw": "127.0.0.1"})

    @property
    def reader(self) -> object:
        """The stream that is open now."""
        return next(iter(self.feed._readers), None)

    async def streaming(self, other_than: object = None) -> object:
        """Wait until another stream than that one delivers; returns it."""
        async with asyncio.timeout(10):
            while self.reader in {None, other_than} or not self.links.connected()["gw"]:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0)
        return self.reader


@pytest.fixture
def ends(tmp_path, monkeypatch) -> Ends:
    monkeypatch.setattr(link_client, "FIRST_WAIT_SECONDS", 0.0)
    return Ends(tmp_path / "link")


@asynccontextmanager
async def connected(ends: Ends) -> AsyncIterator[object]:
    await ends.begin()
    running = asyncio.ensure_future(ends.links.run())
    try:
        yield await ends.streaming()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ends.server._runner.cleanup()


async def test_gateway_that_gets_the_new_content_ends_the_old_stream(ends):
    async with connected(ends) as first:
        ends.trust.use(write_link(ends.folder, "token 2"), "token 2")
        assert ends.reader is first, "the stream goes on while only one end has it"
        await ends.server._look()
        assert first.why == "certificate or token changed"
        assert await ends.streaming(first) is not first


async def test_gateway_that_is_late_is_reached_with_the_content_before(ends, tmp_path):
    async with connected(ends) as first:
        ends.trust.use(write_link(tmp_path / "new", "token 2"), "token 2")
        ends.feed.end_readers("cut")
        assert await ends.streaming(first) is not first


async def test_files_that_go_away_change_nothing(ends):
    async with connected(ends) as first:
        for file in ends.folder.iterdir():
            file.unlink()
        await ends.server._look()
        ends.feed.end_readers("cut")
        await ends.streaming(first)


async def test_operator_without_a_content_waits_for_it():
    links = GatewayLinks(trust=LinkTrust(), on_change=lambda *_: None)
    links.update({"gw": "127.0.0.1"})
    running = asyncio.ensure_future(links.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    assert links.connected() == {"gw": False}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_content_from_before_is_trusted_for_some_minutes_only(tmp_path):
    now = 0.0
    trust = LinkTrust(lambda: now)
    assert trust.accesses() == []
    trust.use(write_link(tmp_path, "token 1"), "token 1")
    trust.use(write_link(tmp_path, "token 2"), "token 2")
    assert [access.token for access in trust.accesses()] == ["token 2", "token 1"]
    now = PREVIOUS_SECONDS + 1
    assert [access.token for access in trust.accesses()] == ["token 2"]


def test_certificate_that_cannot_be_used_leaves_the_trust_as_it_was(tmp_path):
    trust = LinkTrust.of(write_link(tmp_path, "token 1"), "token 1")
    with pytest.raises((ValueError, ssl.SSLError)):
        trust.use("nonsense", "token 2")
    assert [access.token for access in trust.accesses()] == ["token 1"]
