"""The wire format, the feed's state and news, and readers that lag."""

import pytest

from modelfleet.facts.traffic import (
    AnswerTimes,
    GatewaySample,
    ModelSample,
    ProbeResult,
    RouteAcknowledgement,
    VersionSample,
)
from modelfleet.gateway.requests.hold_times import min_hold_seconds
from modelfleet.link.feed import FeedReader, LeaderFeed
from modelfleet.link.messages import (
    Acknowledged,
    Held,
    Hello,
    Message,
    ModelForgotten,
    PastAnswers,
    Probed,
    ProbeWithdrawn,
    Rejected,
    Sampled,
    Synced,
    decode_message,
    encode_message,
)

ACK = RouteAcknowledgement("u", 3, "abc", {"churn-v1": ("10.0.0.1:80",)})
SAMPLE = GatewaySample(
    "g",
    1.0,
    {
        "a/b": ModelSample(
            {"b-v1": VersionSample(1, {"2xx": 1}, 0.5, 0.1, {54: 1}, 2, 3)}, 4, {"10.0.0.1:80": 2}
        )
    },
)


@pytest.mark.parametrize(
    "message",
    [
        Hello("g", "1"),
        Acknowledged("a/b", ACK),
        Rejected("a/b", "why"),
        ModelForgotten("a/b"),
        Probed(ProbeResult("a/b", "b-v1", "10.0.0.1:80", passed=False, reason="NaN")),
        ProbeWithdrawn("a/b", "10.0.0.1:80"),
        Held("a/b", 3),
        PastAnswers("a/b", AnswerTimes(12.5, 250.0)),
        Synced(),
        Sampled(SAMPLE),
    ],
)
def test_every_message_comes_back(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


def test_news_of_a_later_release_are_skipped() -> None:
    assert decode_message(b'{"kind": "Telepathy"}') is None


def lines(reader: FeedReader) -> list[Message | None]:
    found = []
    while not reader.queue.empty():
        line = reader.queue.get_nowait()
        found.append(None if line is None else decode_message(line))
    return found


def test_a_reader_gets_the_state_and_then_news() -> None:
    feed = LeaderFeed("g", "1")
    feed.acknowledge("a/b", ACK)
    feed.set_held("a/b", 2)
    feed.answered = {"a/b": AnswerTimes(12.5, 250.0)}
    reader = feed.add_reader()
    feed.acknowledge("a/b", ACK)
    feed.set_held("a/b", 3)
    feed.set_held("a/b", 0)
    assert lines(reader) == [
        Hello("g", "1"),
        Acknowledged("a/b", ACK),
        Held("a/b", 2),
        PastAnswers("a/b", AnswerTimes(12.5, 250.0)),
        Synced(),
        Held("a/b", 0),
    ]


def test_a_reader_that_lags_is_dropped() -> None:
    feed = LeaderFeed("g", "1", lag_lines=3)
    reader = feed.add_reader()
    for number in range(5):
        feed.reject("a/b", str(number))
    assert reader.is_dropped
    assert lines(reader)[-1] is None


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0), (2, 0), (3, 0.5), (4, 1), (5, 2), (6, 4), (7, 4), (10, 4)]
)
def test_bounces_of_one_request_become_rarer(attempt: int, seconds: float) -> None:
    assert min_hold_seconds(attempt) == seconds
