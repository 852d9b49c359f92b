"""Windows: bad ones are refused in words, an open one raises replicas, contradictions are said."""

from datetime import UTC, datetime

import pytest

from tests import stack
from tests.e2e.conftest import claims, model, ready

ALWAYS = {"name": "always", "start": "0 0 * * *", "end": "59 23 31 12 *", "minReplicas": 2}


def refusal(namespace: str, store: str, scaling: dict[str, object]) -> str:
    with pytest.raises(RuntimeError) as refused:
        stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=scaling))
    return str(refused.value)


def window(**fields) -> dict[str, object]:
    return {"schedules": [ALWAYS | fields]}


def signal(**fields) -> dict[str, object]:
    return {"signals": [{"name": "s", **fields}]}


@pytest.mark.parametrize(
    ("scaling", "field", "words"),
    [
        (window(start="0 8 * *"), "spec.scaling.schedules[0].start", "five fields"),
        (window(start="0 0 1 1 *", end="0 0 1 1 *"), "schedules[0]", "end must differ from start"),
        (window(minReplicas=11), "spec.scaling", "at most scaling.maxReplicas"),
        (window(minReplicas=3, maxReplicas=2), "schedules[0]", "maxReplicas of the same window"),
        (signal(query="up", target=0), "spec.scaling.signals[0]", "target must be above 0"),
        (signal(query="up", target="0m"), "spec.scaling.signals[0]", "target must be above 0"),
        (signal(query="up", target=-1), "spec.scaling.signals[0]", "target must be above 0"),
        (signal(query="up", target=0.5), "spec.scaling.signals[0].target", "integer"),
        (signal(target=1), "spec.scaling.signals[0]", "exactly one of query and metric"),
        (signal(query="u", metric="Tokens", target=1), "signals[0]", "exactly one of query"),
        (signal(metric="Lag", target=1), "signals[0].metric", "QueueDepth"),
    ],
)
def test_api_server_refuses_with_the_field(namespace, store, scaling, field, words):
    text = refusal(namespace, store, scaling)
    assert field in text
    assert words in text


def test_open_window_raises_the_replicas_and_contradictions_are_said(namespace, store):
    scaling = {"minReplicas": 1, "maxReplicas": 3, **window()}
    stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=scaling))
    ready(namespace)
    stack.wait(
        "two replicas",
        lambda: len(stack.items("pods", namespace, "modelfleet.dev/role=replica")) == 2,
        30,
    )
    cap = ALWAYS | {"name": "cap", "minReplicas": 1, "maxReplicas": 1}
    scaling["schedules"].append(cap)
    stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=scaling))
    stack.wait("the contradiction", lambda: claim(namespace)[1] == "SchedulesConflict", 15)
    assert "'always' and 'cap'" in claim(namespace)[2]
    assert ready(namespace)["status"]["scaling"]["granted"] == 2


def claim(namespace: str) -> tuple[str, str, str]:
    return stack.condition(stack.get("mlmodel", namespace, "digits"), "ScalingActive")


def test_zone_that_does_not_exist_is_stalled_and_named(namespace, store):
    scaling = window(timezone="Europe/Atlantis")
    stack.apply(model(namespace, f"{store}/digits-1.onnx", scaling=scaling))
    reason, text = claims(namespace, "Stalled", "True")
    assert reason == "InvalidSpec"
    assert "scaling.schedules 'always': timezone 'Europe/Atlantis'" in text


def test_window_of_the_test_is_open():
    """A control: the windows above are open but for one minute of the year."""
    now = datetime.now(UTC)
    assert (now.month, now.day, now.hour, now.minute) != (12, 31, 23, 59)
