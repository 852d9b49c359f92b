"""Differences as merge patches, ownership, and which fields moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.api.mlmodelstatus import MLModelStatus
from modelfleet.build.metadata import is_owned
from modelfleet.kube.apply import Applier, changed_fields, merge_patch

JSON = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: (
        st.dictionaries(st.text(max_size=2), inner, max_size=4) | st.lists(inner, max_size=2)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=2), JSON, max_size=5)


def apply(target: object, patch: object) -> object:
    """RFC 7396, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, {"b": None, "c": 3}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": 1}, {}),
    ],
)
def test_merge_patch_examples(old, new, expected):
    assert merge_patch(old, new) == expected


@given(OBJECTS, OBJECTS)
def test_merge_patch_leads_from_old_to_new(old, new):
    assert apply(old, merge_patch(old, new)) == new


def test_owner_is_the_uid_and_not_the_name():
    item = {"metadata": {"ownerReferences": [{"name": "digits", "uid": "other"}]}}
    assert not is_owned(item, "mine")
    assert is_owned(item, "other")
    assert not is_owned({"metadata": {}}, "mine")


def test_moved_conditions_are_named():
    old = {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Stalled"}]}
    change = {
        "stable": "v1",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled"}],
    }
    assert changed_fields(old, change) == ("stable", "Ready")


async def test_a_status_is_written_around_what_a_newer_release_wrote():
    sent = []

    class Client:
        async def patch(self, _path, body, **_):
            sent.append(body["status"])
            return {}

    stored = {"stable": "digits-v1", "url": "gone", "newer": 1, "conditions": "?"}
    item = {"metadata": {"namespace": "a", "name": "b", "resourceVersion": "1"}, "status": stored}
    status = MLModelStatus(observed_generation=2, stable="digits-v1")
    changed = await Applier(Client(), {}, lambda: True).publish_status(item, status)
    assert sent == [{"observedGeneration": 2, "url": None, "conditions": [], "versions": []}]
    assert changed == ("observedGeneration", "url", "versions")
