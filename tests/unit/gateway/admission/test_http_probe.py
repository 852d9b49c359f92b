"""The prober against real HTTP servers: bounds of size and time, redirects, unknown kinds."""

import asyncio

import pytest
from aiohttp import web

from modelfleet.catalog.probes import ProbeSpec
from modelfleet.gateway.admission.http_probe import MAX_ANSWER_BYTES
from tests.doubles.probed_server import probed

SPEC = ProbeSpec("OpenInferenceV2", "churn")
METADATA = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}
RIGHT = {"outputs": [{"name": "y", "data": [1.0]}]}


def replica(answer):
    """A server whose metadata are fine, and whose inference is `answer`, a response or a call."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(METADATA)
        assert (await request.json())["inputs"][0]["data"] == [1, 1]
        return await answer() if callable(answer) else answer

    return handle


def test_a_right_answer():
    assert probed(replica(web.json_response(RIGHT)), SPEC).kind == "Right"


def test_a_redirect_is_not_followed():
    elsewhere = web.Response(status=307, headers={"location": "/v2/models/churn"})
    outcome = probed(replica(elsewhere), SPEC)
    assert (outcome.kind, outcome.reason) == ("Unfit", "inference: HTTP 307")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_without_end_is_not_read_to_its_end(encoding):
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if request.method == "GET":
            return web.json_response(METADATA)
        response = web.StreamResponse()
        if encoding == "gzip":
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        while sent < 64 * MAX_ANSWER_BYTES:
            sent += 2**16
            await response.write(b" " * 2**16)
        return response

    outcome = probed(endless, SPEC)
    assert (outcome.kind, outcome.reason) == ("Unfit", "the answer is too large to be judged")
    assert encoding == "gzip" or sent < 16 * MAX_ANSWER_BYTES


def test_a_late_answer_is_late():
    async def never() -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    spec = ProbeSpec("OpenInferenceV2", "churn", timeout_seconds=0.05)
    assert probed(replica(never), spec).kind == "Late"


def test_a_kind_of_a_later_release_keeps_no_replica_out():
    outcome = probed(replica(web.json_response(RIGHT)), ProbeSpec("Telepathy", "churn"))
    assert outcome.kind == "Unfit"
    assert "'Telepathy'" in outcome.reason
