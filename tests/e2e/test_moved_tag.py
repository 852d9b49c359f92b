"""A tag is moved to another image while its version runs: the model says that it runs two."""

import os

from tests import stack
from tests.cluster import oci
from tests.cluster.choose import provider
from tests.cluster.images import Workshop
from tests.e2e.conftest import claims, model, ready

TAG = "docker.io/modelfleet/moved:1"


def test_replicas_of_two_images_are_said(namespace, store, tmp_path):
    archives = {each.reference.rpartition("/")[2]: each for each in Workshop().build()}
    cluster = provider(os.environ)

    def point_tag_at(name: str) -> None:
        cluster.load_image(oci.renamed(archives[name], TAG, tmp_path / "moved.tar"))

    point_tag_at("server:dev")
    served = model(namespace, f"{store}/digits-1.onnx", runtime={"image": "modelfleet/moved:1"})
    served["spec"]["replicas"] = 1
    stack.apply(served)
    ready(namespace)
    found = stack.get("mlmodel", namespace, "digits")
    assert stack.condition(found, "Degraded")[0] == "False"
    point_tag_at("paced:dev")
    stack.kubectl("-n", namespace, "scale", "mlmodel", "digits", "--replicas=2")
    reason, message = claims(namespace, "Degraded", "True")
    assert reason == "ImageMoved"
    images = {
        pod_image(pod) for pod in stack.items("pods", namespace, "modelfleet.dev/role=replica")
    }
    assert len(images) == 2
    assert all(image in message for image in images)
    version = stack.get("mlmodelversion", namespace, "digits-v1")
    assert version["status"]["imageId"] in images


def pod_image(pod: dict) -> str:
    """The digest after the name."""
    return pod["status"]["containerStatuses"][0]["imageID"].rpartition("@")[2]
