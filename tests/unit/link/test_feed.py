"""The wire format, the board's state and news, and readers that lag."""

import pytest

from modelfleet.facts.traffic import (
    AnswerTimes,
    GatewaySample,
    ModelSample,
    ProbeResult,
    RouteAcknowledgement,
    VersionSample,
)
from modelfleet.gateway.requests.holder import least_stay_seconds
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
    board = LeaderFeed("g", "1")
    board.acknowledge("a/b", ACK)
    board.hold("a/b", 2)
    board.answered = {"a/b": AnswerTimes(12.5, 250.0)}
    reader = board.join()
    board.acknowledge("a/b", ACK)
    board.hold("a/b", 3)
    board.hold("a/b", 0)
    assert lines(reader) == [
        Hello("g", "1"),
        Acknowledged("a/b", ACK),
        Held("a/b", 2),
        PastAnswers("a/b", AnswerTimes(12.5, 250.0)),
        Synced(),
        Held("a/b", 0),
    ]


def test_a_reader_that_lags_is_dropped() -> None:
    board = LeaderFeed("g", "1", lag_lines=3)
    reader = board.join()
    for number in range(5):
        board.reject("a/b", str(number))
    assert reader.is_dropped
    assert lines(reader)[-1] is None


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0), (2, 0), (3, 0.5), (4, 1), (5, 2), (6, 4), (7, 4), (10, 4)]
)
def test_bounces_of_one_request_become_rarer(attempt: int, seconds: float) -> None:
    assert least_stay_seconds(attempt) == seconds
