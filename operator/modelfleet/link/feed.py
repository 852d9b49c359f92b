"""The feed of one gateway for the leader: the present state, then each change.

`xds.controller`, `admission`, the holder and the sampler write it; `link.link_server` sends it. A
new reader gets the whole state first. A reader that lags too far is dropped, and connects again.
Must never wait for a reader.
"""

import asyncio
from collections.abc import Iterator, Mapping

from modelfleet.facts.traffic import AnswerTimes, GatewaySample, ProbeResult, RouteAcknowledgement
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
    encode_message,
)

QUEUE_LINES = 20_000


class FeedReader:
    """One stream's queue of lines; None in it ends the stream."""

    def __init__(self, lines: int) -> None:
        """`lines` is the number of lines by which the reader may lag."""
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._lines = lines
        self.is_dropped = False
        self.why = ""

    def put(self, line: bytes) -> None:
        """Queue a line, or drop the reader when it lags too far."""
        if self.is_dropped:
            return
        if self.queue.qsize() >= self._lines:
            self.end("it lags")
            return
        self.queue.put_nowait(line)

    def end(self, why: str) -> None:
        """End the stream after the lines that wait already."""
        if not self.is_dropped:
            self.is_dropped, self.why = True, why
            self.queue.put_nowait(None)


class LeaderFeed:
    """State and changes of one gateway."""

    def __init__(self, gateway: str, started: str, lag_lines: int = QUEUE_LINES) -> None:
        """`started` names this start of the agent."""
        self._hello = Hello(gateway, started)
        self._lag_lines = lag_lines
        self._readers: set[FeedReader] = set()
        self.acknowledgements: dict[str, RouteAcknowledgement] = {}
        self.rejections: dict[str, str] = {}
        self.probes: dict[tuple[str, str], ProbeResult] = {}
        self.held: dict[str, int] = {}
        self.answered: Mapping[str, AnswerTimes] = {}
        """Answer times while an operator was connected, by model; the sampler owns them."""

    def acknowledge(self, model: str, acknowledgement: RouteAcknowledgement) -> None:
        """Record that Envoy has this in effect; an equal acknowledgement is not sent again."""
        if self.acknowledgements.get(model) != acknowledgement:
            self.acknowledgements[model] = acknowledgement
            self._send(Acknowledged(model, acknowledgement))

    def reject(self, model: str, reason: str) -> None:
        """Record that Envoy refused a resource of the model."""
        self.rejections[model] = reason
        self._send(Rejected(model, reason))

    def accept(self, model: str) -> None:
        """Record that no resource of the model is refused any more."""
        if self.rejections.pop(model, None) is not None:
            self._send(Rejected(model, ""))

    def forget(self, model: str) -> None:
        """Drop a model that is not served any more."""
        self.acknowledgements.pop(model, None)
        self.rejections.pop(model, None)
        self._send(ModelForgotten(model))

    def record_probe(self, result: ProbeResult) -> None:
        """Record the result of an admission probe."""
        self.probes[result.model, result.endpoint] = result
        self._send(Probed(result))

    def withdraw_probe(self, model: str, endpoint: str) -> None:
        """Drop the result of an endpoint that left."""
        if self.probes.pop((model, endpoint), None) is not None:
            self._send(ProbeWithdrawn(model, endpoint))

    def set_held(self, model: str, requests: int) -> None:
        """Set the number of held requests; a change from or to zero is sent at once."""
        before = self.held.get(model, 0)
        if requests:
            self.held[model] = requests
        else:
            self.held.pop(model, None)
        if (before == 0) != (requests == 0):
            self._send(Held(model, requests))

    def add_sample(self, sample: GatewaySample) -> None:
        """Send the traffic of one second."""
        self._send(Sampled(sample))

    def add_reader(self) -> FeedReader:
        """Return a new reader, with the whole state already in its queue."""
        reader = FeedReader(self._lag_lines)
        for message in self._state():
            reader.queue.put_nowait(encode_message(message))
        self._readers.add(reader)
        return reader

    @property
    def has_reader(self) -> bool:
        """Whether an operator is connected."""
        return bool(self._readers)

    def end_readers(self, why: str) -> None:
        """End the streams of all readers; each may connect again."""
        for reader in self._readers:
            reader.end(why)

    def remove_reader(self, reader: FeedReader) -> None:
        """Drop a reader whose stream ended."""
        self._readers.discard(reader)

    def _state(self) -> Iterator[Message]:
        yield self._hello
        for model, acknowledgement in self.acknowledgements.items():
            yield Acknowledged(model, acknowledgement)
        for model, reason in self.rejections.items():
            yield Rejected(model, reason)
        for result in self.probes.values():
            yield Probed(result)
        for model, requests in self.held.items():
            yield Held(model, requests)
        for model, answered in self.answered.items():
            yield PastAnswers(model, answered)
        yield Synced()

    def _send(self, message: Message) -> None:
        if not self._readers:
            return
        line = encode_message(message)
        for reader in self._readers:
            reader.put(line)
