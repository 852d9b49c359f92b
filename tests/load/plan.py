"""What the generator is told before it starts, and where it may send. Called by ``__main__``.

The plan is a JSON file: ``url``, ``host``, ``questions`` (file made by ``tests.demo.digits`` or by
a test), and optionally ``steps``, ``allow``, ``pacing``, ``seed``, ``fresh_share``,
``timeout_seconds``, ``most_requests``, ``most_seconds``, ``most_in_flight``, ``stay``,
``vouched``, ``objective_seconds``. It must refuse every address outside this machine or the
cluster's own network.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .answers import Question
from .schedule import Pacing, PlanError, Step, read_steps


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. ``stay`` keeps it running after the last step, for a driver that steers it.

    ``vouched``: the driver says that the private address is a node of the local cluster (kind).
    """

    url: str
    host: str
    questions: str
    steps: tuple[Step, ...] = ()
    allow: Mapping[str, str] | None = None
    pacing: Pacing = "poisson"
    seed: int = 1
    fresh_share: float = 0.1
    timeout_seconds: float = 120.0
    most_requests: int = 200_000
    most_seconds: float = 3_600.0
    most_in_flight: int = 5_000
    stay: bool = False
    vouched: bool = False
    objective_seconds: float | None = None
    """Correct answers that are as quick are counted apart."""


def read_plan(path: Path) -> Plan:
    """Read and check a plan; raises PlanError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: {error}"
        raise PlanError(msg) from error
    return plan_of(value)


def plan_of(value: Any) -> Plan:
    """A plan from JSON; raises PlanError that names the field."""
    if not isinstance(value, dict):
        raise PlanError("a plan is a JSON object")
    known = {each.name for each in fields(Plan)}
    if unknown := sorted(set(value) - known):
        msg = f"a plan has no field {unknown[0]!r}; it has {', '.join(sorted(known))}"
        raise PlanError(msg)
    for name in ("url", "host", "questions"):
        if not isinstance(value.get(name), str):
            msg = f"{name} must be a string"
            raise PlanError(msg)
    if value.get("pacing", "poisson") not in {"poisson", "uniform"}:
        raise PlanError("pacing must be 'poisson' or 'uniform'")
    if not 0 <= value.get("fresh_share", 0) <= 1:
        raise PlanError("fresh_share must be in [0, 1]")
    plan = Plan(**{**value, "steps": read_steps(value.get("steps", []))})
    check_target(plan.url, in_own_network=plan.vouched or _in_own_network())
    return plan


def read_questions(path: Path) -> list[Question]:
    """Prepared requests: a JSON list of ``{"body": object, "labels": {kind: [int, ...]}}``."""
    values = json.loads(path.read_text(encoding="utf-8"))
    questions = [
        Question(json.dumps(each["body"], separators=(",", ":")).encode(), each["labels"])
        for each in values
    ]
    if not questions:
        msg = f"{path} holds no question"
        raise PlanError(msg)
    return questions


def check_target(url: str, *, in_own_network: bool) -> None:
    """Raise PlanError unless ``url`` leads to loopback, or to a private address from inside."""
    parts = urlsplit(url)
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError as error:
        msg = f"url: {parts.hostname!r} must be an IP address"
        raise PlanError(msg) from error
    if parts.scheme != "http":
        raise PlanError("url must start with http://")
    if not (address.is_loopback or (in_own_network and address.is_private)):
        msg = (
            f"url: {address} is neither loopback nor inside the cluster's network "
            "(python3 -m tests.cluster enter -- ...)"
        )
        raise PlanError(msg)


def _in_own_network() -> bool:
    """Whether this process has another network than the machine's first process."""
    try:
        return Path("/proc/self/ns/net").readlink() != Path("/proc/1/ns/net").readlink()
    except OSError:
        return False
