"""A live object is compared by value: another spelling is no difference, another value is one."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.api.base import exact_amount
from modelfleet.core.model.object_diff import first_difference

DEPLOYMENT = {
    "kind": "Deployment",
    "spec": {
        "paused": False,
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
                        "resources": {"limits": {"memory": "1024Mi"}, "requests": {"cpu": "0.5"}},
                    }
                ],
                "tolerations": [],
                "nodeSelector": {},
            },
        },
    },
}
SERVICE = {"kind": "Service", "spec": {"selector": {"model": "m"}, "ports": [{"port": 8080}]}}
CONTAINER = ("spec", "template", "spec", "containers", 0)


def changed(item: dict, path: tuple, value: object) -> dict:
    """A copy with one value set, or removed where `value` is Ellipsis."""
    copy = deepcopy(item)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*CONTAINER, "resources", "limits", "memory"), "1Gi"),
        ((*CONTAINER, "resources", "limits", "memory"), "1073741824"),
        ((*CONTAINER, "resources", "requests", "cpu"), "500m"),
        ((*CONTAINER, "env", 1), {"name": "EMPTY"}),
        (("spec", "paused"), ...),
        (("spec", "template", "spec", "tolerations"), ...),
        (("spec", "template", "spec", "nodeSelector"), ...),
        (("spec", "template", "metadata", "annotations"), {"restartedAt": "now"}),
        (("spec", "template", "metadata", "labels", "theirs"), "x"),
        (("spec", "template", "spec", "schedulerName"), "default-scheduler"),
        (("status",), {"replicas": 2}),
    ],
)
def test_other_spellings_and_harmless_additions_are_no_difference(path, value):
    assert first_difference(DEPLOYMENT, changed(DEPLOYMENT, path, value)) is None


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ((*CONTAINER, "resources", "limits", "memory"), "1G", "memory"),
        ((*CONTAINER, "resources", "limits", "memory"), ..., "memory"),
        ((*CONTAINER, "resources", "requests", "cpu"), "501m", "cpu"),
        ((*CONTAINER, "env", 0, "value"), "01", "value"),
        ((*CONTAINER, "env", 1, "value"), "x", "value"),
        ((*CONTAINER, "env"), [{"name": "A", "value": "1"}], "env"),
        ((*CONTAINER, "name"), "1024Mi", "name"),
        (("spec", "paused"), True, "paused"),
        (("spec", "template", "spec", "tolerations"), [{"operator": "Exists"}], "tolerations"),
        (("spec", "template", "metadata", "labels", "a"), "c", "labels.a"),
    ],
)
def test_other_values_are_found(path, value, found):
    assert first_difference(DEPLOYMENT, changed(DEPLOYMENT, path, value)).endswith(found)


def test_addition_to_the_selector_of_a_service_is_found():
    live = changed(SERVICE, ("spec", "selector", "theirs"), "x")
    assert first_difference(SERVICE, live) == ".spec.selector.theirs"


def test_false_is_not_absent_where_the_default_is_true():
    wanted = {"kind": "Pod", "spec": {"automountServiceAccountToken": False}}
    assert first_difference(wanted, {"kind": "Pod", "spec": {}}) is not None


@pytest.mark.parametrize(
    "same",
    [
        ("1024Mi", "1Gi", "1073741824", 1073741824),
        ("0.5", "500m", ".5", "5e-1", "500000u"),
        ("1e9", "1G", "1000M", "1E9", 1e9),
        ("2", 2, "2.", "2.0", "+2"),
    ],
)
def test_spellings_of_one_amount_are_equal(same):
    assert len({exact_amount(text) for text in same}) == 1


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "-1", "1Kim", "0x10", "nan", "1e9999"])
def test_what_is_no_amount_is_an_error(text):
    with pytest.raises(ValueError, match="must be a number such as 4"):
        exact_amount(text)


@given(st.integers(0, 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_an_amount_and_its_thousandths_are_equal(number, suffix):
    thousandths = {"": "m", "k": "", "M": "k"}.get(suffix)
    if thousandths is not None:
        assert exact_amount(f"{number}{suffix}") == exact_amount(f"{number * 1000}{thousandths}")
    assert exact_amount(f"{number}.0{suffix}") == exact_amount(f"{number}{suffix}")
