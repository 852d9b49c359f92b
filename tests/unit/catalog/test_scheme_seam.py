"""An artifact scheme with a credential and a volume: it exists only here."""

import pytest

from modelfleet import artifacts
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.build.pod import pod_template, resolve_pod_spec
from modelfleet.catalog import schemes
from modelfleet.catalog.runtimes import runtime_named
from modelfleet.catalog.schemes import FetchShape
from modelfleet.core.model.validation import check_names
from modelfleet.crds.structural import crds
from modelfleet.errors import Refused
from modelfleet.facts.model import Defaults

DIGEST = f"sha256:{'0' * 64}"
DEFAULTS = Defaults(server_image="server:1")
TOKEN = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "shelf", "key": "token"}}}


class ShelfScheme:
    """Files on a shelf that needs a token and a certificate."""

    names = ("shelf",)

    def pod(self, spec: MLModelSpec) -> FetchShape:
        return FetchShape(
            env=(TOKEN,),
            volumes=({"name": "ca", "secret": {"secretName": "shelf-ca"}},),
            mounts=({"name": "ca", "mountPath": "/ca", "readOnly": True},),
        )


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setattr(schemes, "SCHEMES", (*schemes.SCHEMES, ShelfScheme()))


def spec_of(uri: str) -> MLModelSpec:
    return MLModelSpec.model_validate({"model": {"uri": uri}, "runtime": {"name": "onnx"}})


def template(spec: MLModelSpec) -> dict:
    shape = runtime_named("onnx").pod("m", spec, "server:1")
    made = pod_template("m-v1", "m", spec, shape, digest=DIGEST, config={}, defaults=DEFAULTS)
    return made["spec"]


def test_credentials_and_volumes_reach_the_container_that_fetches_and_no_other(shelf):
    pod = template(spec_of("shelf://a/b.onnx"))
    [fetch], [server] = pod["initContainers"], pod["containers"]
    assert fetch["env"] == [TOKEN]
    assert {"name": "ca", "mountPath": "/ca", "readOnly": True} in fetch["volumeMounts"]
    assert [volume["name"] for volume in pod["volumes"]] == ["model", "ca", "tmp"]
    assert TOKEN not in server["env"]
    assert [mount["name"] for mount in server["volumeMounts"]] == ["model", "tmp"]


def test_the_resolve_pod_has_them_too(shelf):
    pod = resolve_pod_spec(spec_of("shelf://a/b.onnx"), None, DEFAULTS)
    assert pod["containers"][0]["env"] == [TOKEN]
    assert pod["volumes"][0]["secret"] == {"secretName": "shelf-ca"}


def test_a_scheme_that_needs_nothing_changes_nothing():
    pod = template(spec_of("https://models.example/b.onnx"))
    assert "env" not in pod["initContainers"][0]
    assert [volume["name"] for volume in pod["volumes"]] == ["model", "tmp"]


def test_the_crd_takes_its_addresses(shelf):
    model = crds()[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    [rule] = model["properties"]["model"]["properties"]["uri"]["x-kubernetes-validations"]
    assert "self.startsWith('shelf://')" in rule["rule"]
    assert rule["message"] == "model.uri must start with https:// or http:// or shelf://"


def test_an_unknown_scheme_is_refused_with_the_known_ones():
    with pytest.raises(Refused, match=r"model\.uri must start with https:// or http://"):
        check_names(spec_of("shelf://a/b.onnx"))


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    spec = spec_of("https://models.example/b.onnx")
    rollout = spec.rollout.model_copy(update={"strategy": "Sideways"})
    with pytest.raises(Refused, match=r"rollout\.strategy 'Sideways' must be one of: Rolling"):
        check_names(spec.model_copy(update={"rollout": rollout}))


def test_what_the_operator_admits_the_fetch_command_can_fetch():
    fetched = {name for fetcher in artifacts.SCHEMES for name in fetcher.schemes}
    assert fetched == set(schemes.scheme_names())
