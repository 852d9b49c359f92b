"""Messages from an agent to the leader, and their lines on the wire (JSON, one a line).

`link.feed` encodes them, `link.link_client` decodes them. The releases of the two ends may differ
by one: unknown kinds are skipped, unknown fields ignored. Every name on the wire is written out
here, so that a renamed class or field changes nothing. Pure. Must never carry a clock reading that
the other side would compare with its own.
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
    """First line of a stream; `started` differs for each start of the agent."""

    gateway: str
    started: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Route and endpoints of a model that this gateway's Envoy has in effect from now on."""

    model: str
    acknowledgement: RouteAcknowledgement


@dataclass(frozen=True, slots=True)
class Rejected:
    """Envoy refused a model's resources; an empty reason takes the refusal back."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelForgotten:
    """This gateway does not serve the model any more."""

    model: str


@dataclass(frozen=True, slots=True)
class Probed:
    """An admission probe has ended."""

    result: ProbeResult


@dataclass(frozen=True, slots=True)
class ProbeWithdrawn:
    """An endpoint left; the result of its probe is void."""

    model: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Held:
    """Number of held requests of a model; sent at once when it leaves zero."""

    model: str
    requests: int


@dataclass(frozen=True, slots=True)
class PastAnswers:
    """Answer times of a model from before this stream began: a new leader has none of its own."""

    model: str
    answered: AnswerTimes


@dataclass(frozen=True, slots=True)
class Synced:
    """End of the state; the lines that follow are live."""


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
"""Content of one line, or of a part of it, under the names on the wire."""


def encode_message(message: Message) -> bytes:
    """Return one line with its newline."""
    kind, write = _WRITERS[type(message)]
    content = {"kind": kind, **write(message)}
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def decode_message(line: bytes) -> Message | None:
    """Return the message of a line; None for a kind that this release does not have.

    Raises ValueError or KeyError when the line is not what `encode_message` makes.
    """
    content: Mapping[str, Any] = orjson.loads(line)
    reader = _READERS.get(content["kind"])
    return None if reader is None else reader(content)


def _acknowledged_line(message: Acknowledged) -> Content:
    acknowledgement = message.acknowledgement
    return {
        "model": message.model,
        "acknowledgement": {
            "uid": acknowledgement.uid,
            "revision": acknowledgement.revision,
            "content_hash": acknowledgement.content_hash,
            "endpoints": acknowledgement.endpoints,
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


def _past_answers_line(message: PastAnswers) -> Content:
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
        "versions": {name: _version_content(version) for name, version in model.versions.items()},
        "held": model.held,
        "pods_in_flight": model.pods_in_flight,
    }


def _version_content(version: VersionSample) -> Content:
    return {
        "arrivals": version.arrivals,
        "completions": version.completions,
        "service_seconds": version.service_seconds,
        "hold_seconds": version.hold_seconds,
        "latency": version.latency,
        "in_flight": version.in_flight,
        "failed_attempts": version.failed_attempts,
        "refused": version.refused,
    }


def _acknowledged(content: Mapping[str, Any]) -> Acknowledged:
    fields = content["acknowledgement"]
    return Acknowledged(
        content["model"],
        RouteAcknowledgement(
            uid=fields["uid"],
            revision=fields["revision"],
            content_hash=fields["content_hash"],
            endpoints={name: tuple(addresses) for name, addresses in fields["endpoints"].items()},
        ),
    )


def _probed(content: Mapping[str, Any]) -> Probed:
    fields = content["result"]
    return Probed(
        ProbeResult(
            model=fields["model"],
            version=fields["version"],
            endpoint=fields["endpoint"],
            passed=fields["passed"],
            reason=fields.get("reason", ""),
        )
    )


def _past_answers(content: Mapping[str, Any]) -> PastAnswers:
    fields = content["answered"]
    return PastAnswers(content["model"], AnswerTimes(fields["seconds"], fields["answers"]))


def _version(fields: Mapping[str, Any]) -> VersionSample:
    return VersionSample(
        arrivals=fields["arrivals"],
        completions=fields["completions"],
        service_seconds=fields["service_seconds"],
        hold_seconds=fields["hold_seconds"],
        latency={int(bucket): number for bucket, number in fields["latency"].items()},
        in_flight=fields["in_flight"],
        failed_attempts=fields["failed_attempts"],
        refused=fields.get("refused", 0),
    )


def _sampled(content: Mapping[str, Any]) -> Sampled:
    fields = content["sample"]
    return Sampled(
        GatewaySample(
            gateway=fields["gateway"],
            seconds=fields["seconds"],
            models={
                key: ModelSample(
                    versions={
                        name: _version(version_fields)
                        for name, version_fields in model["versions"].items()
                    },
                    held=model["held"],
                    pods_in_flight=model["pods_in_flight"],
                )
                for key, model in fields["models"].items()
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
    PastAnswers: ("Remembered", _past_answers_line),
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
    "Remembered": _past_answers,
    "Synced": lambda _: Synced(),
    "Sampled": _sampled,
}
