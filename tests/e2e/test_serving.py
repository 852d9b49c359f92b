"""Ten lines to a served model, from outside and from inside, and what the API refuses."""

import json
import subprocess

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, ready


def test_ten_lines_serve_right_answers_inside_and_outside(namespace, store, artifacts):
    before = stack.audit_position()
    stack.apply(model(namespace, f"{store}/digits-1.onnx", version="one"))
    found = ready(namespace)
    assert found["status"]["stable"] == "digits-v1"
    question = json.loads(artifacts.questions.read_text())[0]
    body = json.dumps(question["body"])
    outside = subprocess.run(
        [
            "curl",
            "-sS",
            "-d",
            body,
            f"http://digits.{namespace}.localhost:8080/v2/models/digits/infer",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    script = (
        "import sys, urllib.request; print(urllib.request.urlopen("
        f"'http://digits.{namespace}/v2/models/digits/infer', sys.argv[1].encode())"
        ".read().decode())"
    )
    pod = stack.items("pods", namespace, "modelfleet.dev/role=replica")[0]["metadata"]["name"]
    inside = stack.kubectl(
        "-n", namespace, "exec", pod, "-c", "server", "--", "python3", "-c", script, body
    )
    for text in (outside, inside):
        answer = json.loads(text)
        assert answer["model_version"] == "digits-v1"
        assert answer["outputs"][0]["data"] == question["labels"]["one"]
    mine = [w for w in stack.writes(before) if w["objectRef"].get("namespace") == namespace]
    status = [w for w in mine if stack.written(w).startswith("patch mlmodels/status")]
    print(f"\nfirst start: {len(mine)} writes, {len(status)} of them to the model's status")
    assert len(status) <= 3, "resolving, routed, ready"


def test_change_of_a_scaling_field_costs_at_most_two_status_writes(namespace, store):
    wanted = model(namespace, f"{store}/digits-1.onnx")
    stack.apply(wanted)
    ready(namespace)
    pods = {p["metadata"]["uid"] for p in stack.items("pods", namespace)}
    before = stack.audit_position()
    wanted["spec"]["scaling"] = {"maxReplicas": 7}
    stack.apply(wanted)
    ready(namespace)
    mine = [w for w in stack.writes(before) if w["objectRef"].get("namespace") == namespace]
    assert 1 <= len(mine) <= 2, [stack.written(w) for w in mine]
    assert {p["metadata"]["uid"] for p in stack.items("pods", namespace)} == pods


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"scaling": {"minReplicas": 5, "maxReplicas": 2}}, "scaling.minReplicas must be at most"),
        ({"runtime": {"name": "custom"}}, "runtime.image must be set"),
        ({"runtime": {"port": 1}}, "must be left out unless name is 'custom'"),
        ({"objective": {"latencyMilliseconds": 0}}, "spec.objective.latencyMilliseconds"),
        ({"model": {"uri": "ftp://x/y.onnx"}}, "model.uri must start with"),
        ({"model": {}}, "model.uri must be set unless"),
        ({"model": {"uri": "http://x/y.onnx", "digest": "md5:1"}}, "spec.model.digest"),
        ({"resources": {"cpu": "lots"}}, "spec.resources.cpu"),
    ],
)
def test_api_server_refuses_with_the_fields_name(namespace, spec, words):
    wrong = model(namespace, "http://x/y.onnx")
    wrong["spec"] = {**wrong["spec"], **spec}
    with pytest.raises(RuntimeError, match=words):
        stack.apply(wrong)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits-v2", "must not end in -v<number>"),
        ("a" * 51, "at most 50 characters"),
        ("9lives", "must start with a letter"),
    ],
)
def test_names_that_would_collide_are_refused(namespace, name, words):
    with pytest.raises(RuntimeError, match=words):
        stack.apply(model(namespace, "http://x/y.onnx", name=name))


def test_versions_are_immutable(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx"))
    ready(namespace)
    with pytest.raises(RuntimeError, match="must not change"):
        stack.kubectl(
            "-n",
            namespace,
            "patch",
            "mlmodelversion",
            "digits-v1",
            "--type=merge",
            "-p",
            '{"spec":{"port":1}}',
        )


def test_deleted_model_takes_everything_with_it(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx"))
    ready(namespace)
    stack.kubectl("-n", namespace, "delete", "mlmodel", "digits")

    def is_empty() -> bool:
        kinds = ("deployments", "services", "mlmodelversions", "pods")
        return not any(stack.items(kind, namespace) for kind in kinds)

    stack.wait("all children to go", is_empty, 60)


def test_custom_image_serves_without_an_artifact(namespace):
    script = (
        "import http.server,signal,os,tempfile;signal.signal(15,lambda *_:os._exit(0));"
        "tempfile.mkstemp();open(os.path.expanduser('~/cache'),'w').close();"
        "http.server.HTTPServer(('',9000),http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    runtime = {
        "name": "custom",
        "image": "modelfleet/server:dev",
        "port": 9000,
        "command": ["python3", "-c", script],
    }
    stack.apply(model(namespace, None, runtime=runtime))
    ready(namespace)
    code = subprocess.run(
        [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            f"http://digits.{namespace}.localhost:8080/",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert code == "200"
    assert claims(namespace, "ProbesPassing", "True")[0] == "NotUsed"


def test_a_request_right_after_apply_is_held_until_the_first_version(namespace, store):
    stack.apply(model(namespace, f"{store}/digits-1.onnx"))
    url = f"http://digits.{namespace}.localhost:8080/v2/models/digits/ready"

    def code() -> str:
        """As soon as the gateways have seen the object, a request is held."""
        asked = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url]
        answered = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return "" if answered == "404" else answered

    assert stack.wait("an answer other than 404", code, 10, every=0.1) == "200"
    assert stack.get("mlmodelversion", namespace, "digits-v1") is not None
