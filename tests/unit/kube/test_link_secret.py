"""The link's Secret is looked at again: made again when lost, passed on when rotated."""

import asyncio
import base64

from structlog.testing import capture_logs

from modelfleet.api import names
from modelfleet.kube.link_secret import LinkSecret
from tests.doubles.api_double import ApiDouble
from tests.doubles.virtual_time import VirtualTime

NAME = ("Secret", names.GATEWAY_LINK_SECRET)


class World:
    """An operator that follows the Secret; `contents` are those that it was given."""

    def __init__(self) -> None:
        self.api, self.time, self.is_held = ApiDouble(), VirtualTime(), True
        self.contents: list[tuple[str, str]] = []
        self.secret = LinkSecret(
            self.api,
            "system",
            may_write=lambda: self.is_held,
            on_change=self.take,
            sleep=self.time.sleep,
        )
        self.task = asyncio.ensure_future(self.secret.run())

    def take(self, certificate: str, token: str) -> None:
        if "CERTIFICATE" not in certificate:
            raise ValueError("no certificate")
        self.contents.append((certificate, token))

    def rotate(self, certificate: str, token: str) -> None:
        self.api.version += 1
        secret = self.api.objects[NAME]
        secret["metadata"]["resourceVersion"] = str(self.api.version)
        secret["data"] = {
            "tls.crt": base64.b64encode(certificate.encode()).decode(),
            "token": base64.b64encode(token.encode()).decode(),
        }

    async def end(self) -> None:
        assert not self.task.done()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_absent_secret_is_created_by_the_holder_of_the_lease_only():
    world = World()
    world.is_held = False
    await world.time.run(60)
    assert world.api.writes == []
    world.is_held = True
    await world.time.run(5)
    assert world.api.writes == ["post Secret"]
    assert len(world.contents) == 1
    await world.end()


async def test_deleted_secret_is_made_again_and_passed_on():
    world = World()
    await world.time.run(1)
    del world.api.objects[NAME]
    await world.time.run(12)
    assert world.api.writes == ["post Secret"] * 2
    assert len(set(world.contents)) == 2
    await world.end()


async def test_rotated_secret_is_passed_on_once_and_never_written_over():
    world = World()
    await world.time.run(1)
    world.rotate("CERTIFICATE 2", "token 2")
    await world.time.run(60)
    assert world.contents[1:] == [("CERTIFICATE 2", "token 2")]
    assert world.api.writes == ["post Secret"]
    await world.end()


async def test_content_that_cannot_be_used_is_logged_once_and_the_last_one_stays():
    world = World()
    await world.time.run(1)
    with capture_logs() as lines:
        world.rotate("nonsense", "token 2")
        await world.time.run(60)
        world.api.objects[NAME]["data"] = {"tls.crt": "%%%"}
        await world.time.run(60)
    assert len(world.contents) == 1
    assert len(lines) == 1
    world.rotate("CERTIFICATE 3", "token 3")
    await world.time.run(12)
    assert world.contents[1:] == [("CERTIFICATE 3", "token 3")]
    await world.end()


async def test_outage_keeps_the_content_and_creates_nothing():
    world = World()
    await world.time.run(1)
    world.api.away()
    with capture_logs() as lines:
        await world.time.run(120)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "link Secret not read"
    ]
    world.api.back()
    await world.time.run(5)
    assert len(world.contents) == 1
    assert world.api.writes == ["post Secret"]
    await world.end()
