"""One version runs one image: where its tag was moved, the model says so."""

from dataclasses import replace

import pytest

from modelfleet.core.model.decide import decide
from modelfleet.engine.model.pods import pod_facts
from tests.given import a_model

FIRST, MOVED = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def decided(images, *, recorded=None, is_ready=True, image="server:1"):
    """The plan for a version with one pod for each image, the oldest first."""
    facts = a_model().serving(len(images)).facts()
    [version] = facts.versions
    pods = [
        replace(found, image_id=image, is_ready=is_ready or number == 0)
        for number, (found, image) in enumerate(zip(version.pods, images, strict=True))
    ]
    template = {"spec": {"containers": [{"name": "server", "image": image}]}}
    version = replace(
        version, pods=tuple(pods), image_id=recorded, outcome="Stable", template=template
    )
    return decide(replace(facts, versions=(version,)))


@pytest.mark.parametrize(
    ("images", "recorded", "is_ready", "moved"),
    [
        ([FIRST, FIRST], None, True, False),
        ([FIRST, MOVED], None, True, True),
        ([MOVED, MOVED], FIRST, True, True),  # every pod was made anew since
        ([FIRST, MOVED], FIRST, False, False),  # it never served
        ([None, FIRST], None, True, False),  # a node that does not say it
        ([FIRST, FIRST], FIRST, True, False),
    ],
)
def test_replicas_with_another_image_are_said(images, recorded, is_ready, moved):
    plan = decided(images, recorded=recorded, is_ready=is_ready)
    [degraded] = [c for c in plan.status.conditions if c.type == "Degraded"]
    assert degraded.reason == ("ImageMoved" if moved else "Healthy")
    if moved:
        assert MOVED in degraded.message
        assert FIRST in degraded.message
        assert "set runtime.image" in degraded.message


def test_an_image_with_a_digest_has_no_tag_to_move():
    plan = decided([FIRST, MOVED], image=f"server@sha256:{'0' * 64}")
    [degraded] = [c for c in plan.status.conditions if c.type == "Degraded"]
    assert degraded.reason == "Healthy"


def test_the_first_image_is_written_once():
    [learned] = decided([FIRST, MOVED]).learned
    assert learned.image_id == FIRST
    assert decided([FIRST, MOVED], recorded=FIRST).learned == ()
    assert decided([None, None]).learned == ()


@pytest.mark.parametrize(
    ("said", "digest"),
    [
        (f"registry.example/a/b@{FIRST}", FIRST),
        (f"docker-pullable://registry.example/a/b@{FIRST}", FIRST),
        (f"docker://{FIRST}", FIRST),
        (FIRST, FIRST),
        ("", None),
        (None, None),
    ],
)
def test_digest_of_a_pods_image(said, digest):
    status = {"name": "server", "imageID": said, "state": {"running": {}}, "restartCount": 0}
    other = {"name": "proxy", "imageID": MOVED, "state": {"running": {}}, "restartCount": 0}
    pod = {
        "metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-11-24T12:00:00Z"},
        "status": {"containerStatuses": [other, status]},
    }
    assert pod_facts(pod, 8080, None).image_id == digest
