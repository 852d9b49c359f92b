"""A kind of probe with known answers: it exists only here, and the gateway sends it."""

import orjson
import pytest
from aiohttp import web

from modelfleet.catalog import probes
from modelfleet.catalog.probes import Exchange, ProbeOutcome, ProbeRequest, ProbeSpec
from modelfleet.crds.catalogues import PARTS
from tests.doubles.probed_server import probed


class Golden:
    """Two questions whose answers are known."""

    name = "Golden"

    def exchange(self, spec: ProbeSpec) -> Exchange:
        for question in (1, 2):
            answer = yield ProbeRequest("POST", f"/{spec.model}", orjson.dumps(question))
            if answer.body is None or orjson.loads(answer.body) != 2 * question:
                return ProbeOutcome("Wrong", f"{question} is not doubled")
        return ProbeOutcome("Right")


@pytest.mark.parametrize(("factor", "kind"), [(2, "Right"), (3, "Wrong")])
def test_a_kind_is_one_file_and_one_line(monkeypatch, factor, kind):
    monkeypatch.setattr(probes, "PROBE_KINDS", (*probes.PROBE_KINDS, Golden()))

    async def replica(request: web.Request) -> web.Response:
        return web.json_response(factor * await request.json())

    assert probed(replica, ProbeSpec("Golden", "doubler")).kind == kind


def test_the_crd_names_the_kinds_of_the_catalogue():
    assert PARTS["probes"]() == {"enum": [kind.name for kind in probes.PROBE_KINDS]}
