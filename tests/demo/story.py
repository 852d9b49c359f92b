"""The life of one model, phase by phase, under real requests.

Run by ``__main__``. Each phase says what it does, waits for what must be seen, bounded, and writes
what it measured into the report. The allow-list of the generator is widened *before* a change
that may move traffic, and narrowed only after every gateway confirmed the route. It must never
call a phase done because time has passed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import specs
from .board import Board
from .cluster import DemoError, Kubernetes
from .digits import FILES
from .measure import Rates
from .remaining import PHASES, Remaining
from .report import NOT_PROMISED, Report
from .specs import MODEL
from .store import ArtifactStore
from .traffic import Traffic
from .watch import Seen, condition, is_confirmed, weights

HOLD_SECONDS = 8.0
LONG = 90.0
FOREVER = 600.0
"""Length of a step that lasts until the next command."""


@dataclass
class Stage:
    """Everything that the phases use."""

    kubernetes: Kubernetes
    namespace: str
    models: Path
    seen: Seen
    traffic: Traffic
    board: Board
    store: ArtifactStore
    report: Report
    rates: Rates
    factor: float = 1.0
    """How much longer than on the reference machine a wait may take."""

    def __post_init__(self) -> None:
        """All phases are still to come."""
        self._remaining = Remaining(PHASES)

    @contextmanager
    def phase(self, name: str, text: str) -> Iterator[None]:
        """Time a phase; it counts only when it ends without an error."""
        self.board.phase = f"{name}: {text}"
        self.board.say(f"{name}: {text} ({self._remaining.said()})", style="bold")
        self.traffic.tell(phase=name)
        started = time.monotonic()
        yield
        self.report.phases[name] = time.monotonic() - started
        self._remaining.ended(name)
        if name not in NOT_PROMISED:
            self._say_kept(name)

    def _say_kept(self, name: str) -> None:
        within, answered = self.traffic.kept(name)
        if answered:
            self.board.say(
                f"  {within / answered:.1%} of {answered} answers within the objective of "
                f"{self.rates.objective_milliseconds} ms"
            )

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = LONG) -> float:
        """Wait for something of the model."""
        return self.seen.wait(what, holds, seconds * self.factor, MODEL)

    def status(self) -> dict[str, object]:
        """The model's status."""
        found: dict[str, object] = self.seen.model(MODEL).get("status", {})
        return found

    def ask(self, number: int) -> list[dict[str, object]]:
        """Send requests now; their answers."""
        return self.traffic.ask(number, LONG * self.factor)

    def model(self, version: str) -> str:
        """The ten lines for one state of the model."""
        return specs.digits(
            self.namespace,
            self.store.url(FILES[version]),
            version,
            pace=self.rates.pace,
            objective_milliseconds=self.rates.objective_milliseconds,
        )


def tell(stage: Stage) -> None:
    """The whole story."""
    first_answer(stage)
    scale_up(stage)
    roll_out(stage)
    scale_down(stage)
    to_zero(stage)
    wake(stage)
    in_the_cluster(stage)


def serves(stage: Stage, version: str) -> bool:
    """Whether the version has all traffic and every gateway confirmed it."""
    model = stage.seen.model(MODEL)
    owns = {name for name, weight in weights(model).items() if weight} == {version}
    return owns and stage.status().get("stable") == version and is_confirmed(model)


def first_answer(stage: Stage) -> None:
    """From nothing to an answer."""
    text = stage.model("one")
    with stage.phase("first answer", "ten lines, applied with kubectl"):
        stage.board.show(text)
        started = time.monotonic()
        stage.kubernetes.apply(text)
        stage.wait("the first version's route in every gateway", lambda: _first(stage) != "")
        version = _first(stage)
        stage.traffic.tell(allow={version: "one"})
        answer = correct(stage.ask(1)[0])
        stage.report.first_answer_seconds = time.monotonic() - started
        stage.report.versions[version] = "one"
        stage.board.say(
            f"  correct answer from {version}, {stage.report.first_answer_seconds:.1f} s after "
            f"the apply ({float(str(answer['seconds'])):.2f} s of it under way)"
        )


def _first(stage: Stage) -> str:
    """The version that owns the route, once the gateways have it; a request may still be held."""
    stable = str(stage.status().get("stable") or "")
    return stable if stable and serves(stage, stable) else ""


def correct(answer: dict[str, object]) -> dict[str, object]:
    """The answer of a single request, or the reason why it is none."""
    if answer["reason"]:
        msg = f"the answer is wrong: {answer['reason']}: {answer['detail']}"
        raise DemoError(msg)
    return answer


def scale_up(stage: Stage) -> None:
    """Replicas follow the traffic."""
    low, high, ramp = stage.rates.low, stage.rates.high, stage.rates.ramp_seconds
    with stage.phase("scale up", f"from {low:.0f} to {high:.0f} requests/s in {ramp:.0f} s"):
        stage.traffic.tell(steps=[[ramp, low, high], [FOREVER, high, high]])
        started = time.monotonic()
        stage.wait("at least two ready replicas", lambda: stage.seen.most_ready >= 2, ramp + LONG)
        took = time.monotonic() - started
        stage.board.say(f"  second replica ready {took:.1f} s after the start of the ramp")
        pause(stage, started + ramp + HOLD_SECONDS)


def pause(stage: Stage, until: float) -> None:
    """Let traffic flow; ends early with the reason when requests fail."""
    while time.monotonic() < until and not stage.traffic.failed:
        time.sleep(0.1)


def roll_out(stage: Stage) -> None:
    """A new version, nobody notices."""
    old = str(stage.status()["stable"])
    number = int(str(stage.status()["lastVersion"])) + 1
    new = f"{MODEL}-v{number}"
    text = stage.model("two")
    with stage.phase("roll out", f"{new} replaces {old} under {stage.rates.high:.0f} requests/s"):
        stage.traffic.tell(allow={old: "one", new: "two"})
        started = time.monotonic()
        stage.kubernetes.apply(text)
        stage.wait(f"the promotion of {new}, confirmed", lambda: serves(stage, new), 2 * LONG)
        stage.traffic.tell(allow={new: "two"})
        stage.report.rollout_seconds = time.monotonic() - started
        stage.report.versions[new] = "two"
        stage.board.say(f"  {new} has all traffic after {stage.report.rollout_seconds:.1f} s")
        pause(stage, time.monotonic() + 5)


def scale_down(stage: Stage) -> None:
    """The load goes, and replicas leave after it."""
    version = str(stage.status()["stable"])
    before = stage.seen.ready(version)
    low, high = stage.rates.low, stage.rates.high
    with stage.phase("scale down", f"from {high:.0f} requests/s to none"):
        stage.traffic.tell(steps=[[4, high, low], [4, low, low]])
        mistakes(stage)
        took = stage.wait("fewer ready replicas", lambda: stage.seen.ready(version) < before)
        after = stage.seen.ready(version)
        stage.board.say(f"  {before} -> {after} ready replicas, {took:.1f} s later")


def mistakes(stage: Stage) -> None:
    """What the user is told about wrong specs; while the load goes, to save the user's time."""
    started = time.monotonic()
    uri = stage.store.url(FILES["one"])
    stage.board.say("mistakes: one the API server refuses, one the operator explains", style="bold")
    refused(stage, specs.contradiction(stage.namespace, uri))
    explained(stage, specs.unknown_runtime(stage.namespace, uri))
    stage.report.phases["mistakes"] = time.monotonic() - started


def refused(stage: Stage, text: str) -> None:
    """A contradiction never gets into the cluster; the message names the field."""
    stage.board.show(text)
    done = stage.kubernetes.try_kubectl("apply", "-f", "-", stdin=text.encode())
    message = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0 or "minReplicas" not in message:
        msg = f"a spec that contradicts itself was not refused by name: {message}"
        raise DemoError(msg)
    stage.report.messages["contradiction"] = message
    stage.board.say(f"  {message}", style="yellow")


def explained(stage: Stage, text: str) -> None:
    """What only the operator can see is said in a condition."""
    stage.board.show(text)
    stage.kubernetes.apply(text)
    stage.seen.wait(
        "a condition that names the unknown runtime",
        lambda: _stalled(stage).get("status") == "True",
        30 * stage.factor,
        specs.UNKNOWN,
    )
    found = _stalled(stage)
    stage.report.messages["unknown runtime"] = f"{found['reason']}: {found['message']}"
    stage.board.say(f"  Stalled, {found['reason']}: {found['message']}", style="yellow")
    stage.kubernetes.kubectl("-n", stage.namespace, "delete", "mlmodel", specs.UNKNOWN)


def _stalled(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = condition(stage.seen.model(specs.UNKNOWN), "Stalled")
    return found


def to_zero(stage: Stage) -> None:
    """Nothing runs while nobody asks."""
    with stage.phase("to zero", "no traffic"):
        took = stage.wait("zero pods", lambda: not stage.seen.pods and _is_idle(stage))
        stage.board.say(f"  no pod is left after {took:.1f} s more without traffic")


def _is_idle(stage: Stage) -> bool:
    return condition(stage.seen.model(MODEL), "Ready").get("reason") == "Idle"


def wake(stage: Stage) -> None:
    """The first request waits for its replica, and is answered."""
    with stage.phase("wake", "one request to a model without a pod"):
        answer = correct(stage.ask(1)[0])
        stage.report.wake_seconds = float(str(answer["seconds"]))
        stage.wait("the Ready event of its pod", lambda: stage.seen.ready() > 0)
        ready_at = min(p.ready_at for p in stage.seen.pods.values() if p.ready_at is not None)
        first_byte = float(str(answer["first_byte_at"]))
        stage.report.wake_ready_to_first_byte_seconds = first_byte - ready_at
        stage.board.say(
            f"  held, then answered after {stage.report.wake_seconds:.2f} s, "
            f"{(first_byte - ready_at) * 1000:.0f} ms after the pod's Ready event"
        )
        for each in stage.ask(20):
            correct(each)


def in_the_cluster(stage: Stage) -> None:
    """A client in a pod uses the model's own name."""
    url = f"http://{MODEL}.{stage.namespace}/v2/models/{MODEL}/infer"
    question = json.loads((stage.models / "questions.json").read_text(encoding="utf-8"))[0]
    with stage.phase(
        "in the cluster", f"one request from a pod to http://{MODEL}.{stage.namespace}/"
    ):
        stage.report.others_requests += 1
        value = json.loads(stage.store.ask(url, json.dumps(question["body"]).encode()))
        labels = next(o["data"] for o in value["outputs"] if o["name"] == "label")
        version = str(value["model_version"])
        kind = stage.report.versions.get(version, "")
        if labels != question["labels"].get(kind):
            msg = f"the answer of {version} in the cluster is wrong: {labels}"
            raise DemoError(msg)
        stage.board.say(f"  correct answer from {version}")
