"""What an agent tells the leader: messages and their lines on the wire (JSON, one a line).

Encoded by `link.feed`, decoded by `link.link_client`. Their releases may differ by one: unknown
kinds are skipped, unknown fields ignored, and every name on the wire is written out here, so that a
renamed class or field changes nothing. Pure. Must never carry a clock reading that the other side
would compare with its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from modelfleet.facts.traffic import (
    AnswerTimes,
    GatewaySample,
    ModelSample,
    ProbeResult,
    RouteAcknowledgement,
    VersionSample,
)


@dataclass(frozen=True, slots=True)
class Hello:
    """First line of a stream; `started` tells one life of the agent from the next."""

    gateway: str
    started: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What this gateway's Envoy has in effect for a model, from now on."""

    model: str
    acknowledgement: RouteAcknowledgement


@dataclass(frozen=True, slots=True)
class Rejected:
    """Envoy refused a model's resources; an empty reason takes it back."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelForgotten:
    """The model is served here no longer."""

    model: str


@dataclass(frozen=True, slots=True)
class Probed:
    """An admission probe ended."""

    result: ProbeResult


@dataclass(frozen=True, slots=True)
class ProbeWithdrawn:
    """An endpoint left: what its probe said means nothing any more."""

    model: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Held:
    """Requests parked for a model now; sent at once when it leaves zero."""

    model: str
    requests: int


@dataclass(frozen=True, slots=True)
class PastAnswers:
    """What answers of a model took before this stream began: a new leader has seen none."""

    model: str
    answered: AnswerTimes


@dataclass(frozen=True, slots=True)
class Synced:
    """The state before this line was complete; what follows is live."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The traffic of the last second."""

    sample: GatewaySample


Message = (
    Hello
    | Acknowledged
    | Rejected
    | ModelForgotten
    | Probed
    | ProbeWithdrawn
    | Held
    | PastAnswers
    | Synced
    | Sampled
)


Content = dict[str, Any]
"""Of one line, or of a part of it, under the names on the wire."""


def encode_message(message: Message) -> bytes:
    """One line, its newline included."""
    kind, write = _WRITERS[type(message)]
    content = {"kind": kind, **write(message)}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def decode_message(line: bytes) -> Message | None:
    """The message of a line; None for a kind that this release does not know.

    Raises ValueError or KeyError when the line is not what `encode_message` makes.
    """
    content: Mapping[str, Any] = orjson.loads(line)
    reader = _READERS.get(content["kind"])
    return None if reader is None else reader(content)


def _acknowledged_line(message: Acknowledged) -> Content:
    seen = message.acknowledgement
    return {
        "model": message.model,
        "acknowledgement": {
            "uid": seen.uid,
            "revision": seen.revision,
            "content_hash": seen.content_hash,
            "endpoints": seen.endpoints,
        },
    }


def _probed_line(message: Probed) -> Content:
    result = message.result
    return {
        "result": {
            "model": result.model,
            "version": result.version,
            "endpoint": result.endpoint,
            "passed": result.passed,
            "reason": result.reason,
        }
    }


def _remembered_line(message: PastAnswers) -> Content:
    answered = message.answered
    return {
        "model": message.model,
        "answered": {"seconds": answered.seconds, "answers": answered.answers},
    }


def _sampled_line(message: Sampled) -> Content:
    sample = message.sample
    return {
        "sample": {
            "gateway": sample.gateway,
            "seconds": sample.seconds,
            "models": {key: _model_content(model) for key, model in sample.models.items()},
        }
    }


def _model_content(model: ModelSample) -> Content:
    return {
        "versions": {name: _version_content(seen) for name, seen in model.versions.items()},
        "held": model.held,
        "pods_in_flight": model.pods_in_flight,
    }


def _version_content(seen: VersionSample) -> Content:
    return {
        "arrivals": seen.arrivals,
        "completions": seen.completions,
        "service_seconds": seen.service_seconds,
        "hold_seconds": seen.hold_seconds,
        "latency": seen.latency,
        "in_flight": seen.in_flight,
        "failed_attempts": seen.failed_attempts,
        "refused": seen.refused,
    }


def _acknowledged(content: Mapping[str, Any]) -> Acknowledged:
    told = content["acknowledgement"]
    return Acknowledged(
        content["model"],
        RouteAcknowledgement(
            uid=told["uid"],
            revision=told["revision"],
            content_hash=told["content_hash"],
            endpoints={name: tuple(found) for name, found in told["endpoints"].items()},
        ),
    )


def _probed(content: Mapping[str, Any]) -> Probed:
    told = content["result"]
    return Probed(
        ProbeResult(
            model=told["model"],
            version=told["version"],
            endpoint=told["endpoint"],
            passed=told["passed"],
            reason=told.get("reason", ""),
        )
    )


def _remembered(content: Mapping[str, Any]) -> PastAnswers:
    told = content["answered"]
    return PastAnswers(content["model"], AnswerTimes(told["seconds"], told["answers"]))


def _version(told: Mapping[str, Any]) -> VersionSample:
    return VersionSample(
        arrivals=told["arrivals"],
        completions=told["completions"],
        service_seconds=told["service_seconds"],
        hold_seconds=told["hold_seconds"],
        latency={int(bucket): number for bucket, number in told["latency"].items()},
        in_flight=told["in_flight"],
        failed_attempts=told["failed_attempts"],
        refused=told.get("refused", 0),
    )


def _sampled(content: Mapping[str, Any]) -> Sampled:
    told = content["sample"]
    return Sampled(
        GatewaySample(
            gateway=told["gateway"],
            seconds=told["seconds"],
            models={
                key: ModelSample(
                    versions={name: _version(seen) for name, seen in model["versions"].items()},
                    held=model["held"],
                    pods_in_flight=model["pods_in_flight"],
                )
                for key, model in told["models"].items()
            },
        )
    )


_WRITERS: Mapping[type, tuple[str, Callable[[Any], Content]]] = {
    Hello: ("Hello", lambda message: {"gateway": message.gateway, "started": message.started}),
    Acknowledged: ("Acknowledged", _acknowledged_line),
    Rejected: ("Rejected", lambda message: {"model": message.model, "reason": message.reason}),
    ModelForgotten: ("Gone", lambda message: {"model": message.model}),
    Probed: ("Probed", _probed_line),
    ProbeWithdrawn: (
        "Unprobed",
        lambda message: {"model": message.model, "endpoint": message.endpoint},
    ),
    Held: ("Held", lambda message: {"model": message.model, "requests": message.requests}),
    PastAnswers: ("Remembered", _remembered_line),
    Synced: ("Synced", lambda _: {}),
    Sampled: ("Sampled", _sampled_line),
}

_READERS: Mapping[str, Callable[[Mapping[str, Any]], Message]] = {
    "Hello": lambda content: Hello(content["gateway"], content["started"]),
    "Acknowledged": _acknowledged,
    "Rejected": lambda content: Rejected(content["model"], content["reason"]),
    "Gone": lambda content: ModelForgotten(content["model"]),
    "Probed": _probed,
    "Unprobed": lambda content: ProbeWithdrawn(content["model"], content["endpoint"]),
    "Held": lambda content: Held(content["model"], content["requests"]),
    "Remembered": _remembered,
    "Synced": lambda _: Synced(),
    "Sampled": _sampled,
}
