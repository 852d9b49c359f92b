"""An object that the agent cannot take holds no other one up."""

from typing import Any

from structlog.testing import capture_logs

from modelfleet.compose.agent import Feed
from modelfleet.telemetry import metrics


def item(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": "1"}}


class Agent:
    """Breaks at one object."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.gone: list[str] = []

    def put(self, kind: str, obj: dict[str, Any]) -> None:
        if obj["metadata"]["name"] == "odd":
            raise TypeError("odd object")
        self.taken.append(obj["metadata"]["name"])

    def delete(self, kind: str, obj: dict[str, Any]) -> None:
        self.gone.append(obj["metadata"]["name"])


def test_odd_object_is_logged_counted_and_skipped():
    agent: Any = Agent()
    feed = Feed(agent, "EndpointSlice")
    before = metrics.WATCH_FAILURES.labels("EndpointSlice")._value.get()
    with capture_logs() as lines:
        feed.replace([item("a"), item("odd"), item("b")], "5")
    assert agent.taken == ["a", "b"]
    assert [line["event"] for line in lines] == ["object not taken"]
    assert metrics.WATCH_FAILURES.labels("EndpointSlice")._value.get() == before + 1
    feed.replace([item("b")], "6")
    assert sorted(agent.gone) == ["a", "odd"]
