"""What this gateway has to tell the leader: the present state, and news to whoever listens.

Written by `controller`, `admission`, `holder` and the sampler; read by `link_server`. A new reader
gets the whole state first. A reader that does not keep up is dropped: it will come again. Must
never wait for a reader.
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
        """`lines` is how far it may lag."""
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._lines = lines
        self.is_dropped = False

    def give(self, line: bytes) -> None:
        """Queue a line, or drop the reader when it lags too far."""
        if self.is_dropped:
            return
        if self.queue.qsize() >= self._lines:
            self.is_dropped = True
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(line)


class LeaderFeed:
    """State and news of one gateway."""

    def __init__(self, gateway: str, started: str, lag_lines: int = QUEUE_LINES) -> None:
        """`started` names this life of the agent."""
        self._hello = Hello(gateway, started)
        self._lag_lines = lag_lines
        self._readers: set[FeedReader] = set()
        self.acknowledgements: dict[str, RouteAcknowledgement] = {}
        self.rejections: dict[str, str] = {}
        self.probes: dict[tuple[str, str], ProbeResult] = {}
        self.held: dict[str, int] = {}
        self.answered: Mapping[str, AnswerTimes] = {}
        """What answers took while an operator listened, by model; owned by the sampler."""

    def acknowledge(self, model: str, acknowledgement: RouteAcknowledgement) -> None:
        """Envoy has this in effect; equal news are no news."""
        if self.acknowledgements.get(model) != acknowledgement:
            self.acknowledgements[model] = acknowledgement
            self._tell(Acknowledged(model, acknowledgement))

    def reject(self, model: str, reason: str) -> None:
        """Envoy refused a resource of the model."""
        self.rejections[model] = reason
        self._tell(Rejected(model, reason))

    def accept(self, model: str) -> None:
        """Nothing of the model is refused any more."""
        if self.rejections.pop(model, None) is not None:
            self._tell(Rejected(model, ""))

    def forget(self, model: str) -> None:
        """The model is served no longer."""
        self.acknowledgements.pop(model, None)
        self.rejections.pop(model, None)
        self._tell(ModelForgotten(model))

    def probed(self, result: ProbeResult) -> None:
        """An admission probe ended."""
        self.probes[result.model, result.endpoint] = result
        self._tell(Probed(result))

    def unprobed(self, model: str, endpoint: str) -> None:
        """The endpoint left."""
        if self.probes.pop((model, endpoint), None) is not None:
            self._tell(ProbeWithdrawn(model, endpoint))

    def hold(self, model: str, requests: int) -> None:
        """So many are parked now; leaving and reaching zero is told at once."""
        before = self.held.get(model, 0)
        if requests:
            self.held[model] = requests
        else:
            self.held.pop(model, None)
        if (before == 0) != (requests == 0):
            self._tell(Held(model, requests))

    def sample(self, sample: GatewaySample) -> None:
        """One second's traffic."""
        self._tell(Sampled(sample))

    def join(self) -> FeedReader:
        """A new reader, with the whole state already in its queue."""
        reader = FeedReader(self._lag_lines)
        for message in self._state():
            reader.queue.put_nowait(encode_message(message))
        self._readers.add(reader)
        return reader

    @property
    def has_reader(self) -> bool:
        """Whether an operator listens."""
        return bool(self._readers)

    def leave(self, reader: FeedReader) -> None:
        """The stream ended."""
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

    def _tell(self, message: Message) -> None:
        if not self._readers:
            return
        line = encode_message(message)
        for reader in self._readers:
            reader.give(line)
