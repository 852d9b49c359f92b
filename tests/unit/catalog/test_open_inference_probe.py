"""The generated probe: its request, and the judgment of every answer that a server may give."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.catalog.probes import ProbeAnswer, ProbeOutcome, ProbeRequest, ProbeSpec
from modelfleet.catalog.probes.open_inference_probe import (
    MAX_ELEMENTS,
    OpenInferenceProbe,
    generate,
    judge,
)

SPEC = ProbeSpec("OpenInferenceV2", "churn")


def tensor(*shape: int, datatype: str = "FP32", name: str = "x") -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        (tensor(-1, 2), [1, 2]),
        (tensor(-1, -1), [1, 1]),
        (tensor(-1, 3, -1, -1), [1, 3, 64, 64]),
        (tensor(2, 3, 640, 640), [2, 3, 640, 640]),
        (tensor(), []),
    ],
)
def test_unknown_sizes_get_sensible_values(asked, shape):
    request = generate({"inputs": [asked]})
    if shape == [2, 3, 640, 640]:
        assert request is None
        return
    [made] = request["inputs"]
    assert made["shape"] == shape
    assert set(made["data"]) == {1}


@pytest.mark.parametrize(("datatype", "one"), [("INT64", 1), ("BOOL", True), ("BYTES", "a")])
def test_ones_of_each_type(datatype, one):
    assert generate({"inputs": [tensor(-1, datatype=datatype)]})["inputs"][0]["data"] == [one]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"inputs": []},
        {"inputs": [tensor(10_000_000)]},
        {"inputs": [tensor(MAX_ELEMENTS), tensor(1, name="y")]},
        {"inputs": [{"name": "x", "datatype": "FP32"}]},
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": ["n"]}]},
        {"inputs": ["x"]},
        [],
        None,
    ],
    ids=repr,
)
def test_no_request_without_usable_inputs_or_of_absurd_size(metadata):
    assert generate(metadata) is None


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        ('[{"name": "y", "data": [0.5]}]', "Right"),
        ('[{"name": "y", "data": [[1], [2]]}]', "Right"),
        ('[{"name": "y", "data": ["cat"]}]', "Right"),
        ('[{"name": "y", "parameters": {"binary_data_size": 4}}]', "Right"),
        ('[{"name": "boxes", "shape": [0, 4], "data": []}]', "Right"),
        ('[{"name": "y", "data": [null]}]', "Wrong"),
        ('[{"name": "y", "data": [0.1, [null]]}]', "Wrong"),
        ('[{"name": "y", "data": []}]', "Wrong"),
        ('[{"name": "y", "shape": [1], "data": []}]', "Wrong"),
        ('[{"name": "y"}]', "Wrong"),
        ('["y"]', "Wrong"),
        ('{"y": 1}', "Wrong"),
        ("[]", "Wrong"),
    ],
)
def test_judgment(outputs, kind):
    assert judge(orjson.loads(f'{{"outputs": {outputs}}}')).kind == kind


def outcome(*answers: ProbeAnswer) -> ProbeOutcome:
    """Run a whole exchange."""
    exchange = OpenInferenceProbe().exchange(SPEC)
    request = next(exchange)
    assert request == ProbeRequest("GET", "/v2/models/churn")
    try:
        for answer in answers:
            request = exchange.send(answer)
            assert (request.method, request.path) == ("POST", "/v2/models/churn/infer")
    except StopIteration as end:
        return end.value
    raise AssertionError(request)


METADATA = ProbeAnswer(200, orjson.dumps({"inputs": [tensor(-1, 2)]}))
FINE = ProbeAnswer(200, b'{"outputs": [{"name": "y", "data": [1]}]}')


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((METADATA, FINE), "Right"),
        ((METADATA, ProbeAnswer(200, b"<html>")), "Wrong"),
        ((METADATA, ProbeAnswer(200, b'{"outputs": [{"name": "y", "data": [NaN]}]}')), "Wrong"),
        ((METADATA, ProbeAnswer(200, None)), "Unfit"),
        ((METADATA, ProbeAnswer(500, b"")), "Wrong"),
        ((METADATA, ProbeAnswer(422, b"")), "Unfit"),
        ((METADATA, ProbeAnswer(503, b"")), "Late"),
        ((METADATA, ProbeAnswer(307, b"")), "Unfit"),
        ((ProbeAnswer(301, b""),), "Unfit"),
        ((ProbeAnswer(404, b""),), "Unfit"),
        ((ProbeAnswer(200, b"<html>"),), "Unfit"),
        ((ProbeAnswer(200, None),), "Unfit"),
    ],
)
def test_outcome_of_an_exchange(answers, kind):
    assert outcome(*answers).kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "outputs", "name", "datatype", "shape", "data"]), inner
        )
    ),
    max_leaves=12,
)


@given(metadata=JSON, answer=JSON, status=st.sampled_from([200, 302, 404, 500, 503]))
def test_no_answer_of_a_server_raises(metadata, answer, status):
    answers = (ProbeAnswer(200, orjson.dumps(metadata)), ProbeAnswer(status, orjson.dumps(answer)))
    assert outcome(*answers).kind in {"Right", "Wrong", "Late", "Unfit"}
