"""The turn, one pass for one model: observe, decide, guard, apply, publish.

`loop.worker` makes it for a key of the queue. A turn may be cut off anywhere: the next one does the
rest. Must never decide anything itself.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from modelfleet.api import names
from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.api.reasons import Reason
from modelfleet.core.model import status as claims
from modelfleet.core.model.decide import decide
from modelfleet.core.model.decision import is_decision, leads_on
from modelfleet.core.model.invariants import guard, without_breaches
from modelfleet.core.model.object_diff import edition, first_difference
from modelfleet.core.model.validation import config_references
from modelfleet.core.model.version.version_hash import source_hash
from modelfleet.engine.ledger import Entry, Ledger
from modelfleet.engine.loop.worker import TurnResult
from modelfleet.engine.model.last_turn import ScalingTimes, last_turn_of
from modelfleet.engine.model.observe import Observer
from modelfleet.engine.ports import ConfigReader, Events, Json, Objects, Writer
from modelfleet.engine.turn_memory import TurnMemory
from modelfleet.errors import Forbidden, ModelfleetError, NameTaken, Refused, Transient
from modelfleet.facts.identity import Key
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.plan import Create, EventFact, Plan, Repair
from modelfleet.telemetry import metrics

STATUS_SECONDS = 1.0
MAX_PASSES = 8
FIGHT_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(slots=True)
class Applied:
    """How far a plan was applied. `looks_anew`: the facts have changed, decide again at once.

    `again_seconds`: when the first write that was refused is due again.
    """

    writes: int = 0
    looks_anew: bool = False
    failure: ModelfleetError | None = None
    again_seconds: float | None = None

    def wait(self, seconds: float) -> None:
        """Look again after so many seconds, unless something else comes first."""
        self.again_seconds = _soonest(self.again_seconds, seconds)


@dataclass(slots=True)
class TurnLog:
    """Effects of the passes of one turn, for one line of the log."""

    writes: int = 0
    status: tuple[str, ...] = ()
    plan: Plan | None = None

    def write(self, key: Key) -> None:
        """Log the turn; nothing for a turn that wrote nothing."""
        if self.writes and self.plan is not None:
            log.info(
                "turn",
                key=str(key),
                writes=self.writes,
                status=tuple(dict.fromkeys(self.status)),
                targets=dict(self.plan.targets),
                why=self.plan.why,
            )


class ModelTurns:
    """Makes turns."""

    def __init__(
        self,
        models: Objects,
        observer: Observer,
        writer: Writer,
        events: Events,
        *,
        configs: ConfigReader,
        ledger: Ledger,
        times: ScalingTimes,
        on_observe: Callable[[Key], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """All ports. `on_observe` is called before each look, `monotonic` gives seconds."""
        self._models = models
        self._observer = observer
        self._writer = writer
        self._events = events
        self._configs = configs
        self._ledger = ledger
        self._times = times
        self._on_observe = on_observe
        self._monotonic = monotonic

    async def turn(self, key: Key) -> TurnResult:
        """Bring one model a step nearer to its spec.

        Our own writes wake no turn. A turn therefore ends with a pass that has seen all its writes
        and wants no more.
        """
        turn_log = TurnLog()
        for _ in range(MAX_PASSES):
            model = self._models.get(key.namespace, key.name)
            facts = await self._facts(key, model)
            if facts is None or model is None:
                self._forget(key)
                return TurnResult(turn_log.writes, None, is_gone=True)
            entry = self._ledger.entry(key)
            plan = self._guarded(decide(facts), facts)
            self._remember(entry, facts, plan)
            applied = await self._apply(model, facts, plan)
            turn_log.writes += applied.writes
            turn_log.plan = plan
            if applied.looks_anew:
                # A version was created, or a name is taken: the next pass writes the status.
                continue
            changed_fields, soonest = await self._publish(entry, model, plan, facts)
            turn_log.status += changed_fields
            turn_log.writes += bool(changed_fields)
            if applied.failure is not None:
                turn_log.write(key)
                raise applied.failure
            if applied.writes or (changed_fields and leads_on(facts.status, plan.status)):
                continue
            turn_log.write(key)
            again = _soonest(plan.look_again_seconds, soonest, applied.again_seconds)
            return TurnResult(turn_log.writes, again)
        turn_log.write(key)
        # Another writer undoes our writes as fast as we make them: repeat them slowly.
        return TurnResult(turn_log.writes, FIGHT_SECONDS)

    def _forget(self, key: Key) -> None:
        """Drop what was learned and measured of an object that is gone."""
        self._ledger.forget(key)
        self._observer.forget(key)
        metrics.forget_model(key.namespace, key.name)

    async def _facts(self, key: Key, model: Json | None) -> ModelFacts | None:
        entry = self._ledger.entry(key)
        config = await self._config(key, model)
        self._on_observe(key)
        facts = self._observer.facts(key, entry, self._monotonic(), config)
        if facts is None or entry.uid == facts.uid:
            return facts
        # Another model of the same name: nothing that was learned belongs to this one.
        self._forget(key)
        self._ledger.entry(key).uid = facts.uid
        return replace(
            facts,
            ask=None,
            grant=None,
            readings=(),
            lone_latency_seconds=None,
            evidence={},
            taken=frozenset(),
            refused={},
        )

    def _guarded(self, plan: Plan, facts: ModelFacts) -> Plan:
        """Return the plan without the writes that would break an invariant."""
        breaches = guard(plan, facts)
        if not breaches:
            return plan
        for breach in breaches:
            metrics.BREACHES.labels(breach.name).inc()
            log.error("plan refused", key=str(facts.key), breach=breach.name, text=breach.message)
        rest = without_breaches(plan, breaches)
        if not guard(rest, facts):
            return rest
        text = f"{breaches[0].name}: {breaches[0].message}; please report this"
        status = claims.refused(facts, Reason.PLAN_REFUSED, text)
        return Plan(status=status, why=text, look_again_seconds=5.0)

    async def _config(self, key: Key, model: Json | None) -> dict[tuple[str, str], str | None]:
        """Return the ConfigMaps of a spec that has no version yet; nothing otherwise."""
        spec = self._observer.spec_of(model) if model is not None else None
        if spec is None or not config_references(spec) or self._has_version(key, spec):
            return {}
        contents: dict[tuple[str, str], str | None] = {}
        for name, entry in config_references(spec):
            data = await self._configs.read(key.namespace, name)
            contents[(name, entry)] = None if data is None else data.get(entry)
        return contents

    def _has_version(self, key: Key, spec: MLModelSpec) -> bool:
        return self._observer.has_source(key, source_hash(spec))

    def _remember(self, entry: Entry, facts: ModelFacts, plan: Plan) -> None:
        now = self._monotonic()
        entry.turn.note_causes(plan.causes, now)
        metrics.show_conditions(facts.key.namespace, facts.key.name, plan.status.conditions)
        if facts.spec is not None:
            entry.hand_over(last_turn_of(facts, facts.spec, plan, now, self._times))

    async def _apply(self, model: Json, facts: ModelFacts, plan: Plan) -> Applied:
        """Apply all parts in the order of the plan's fields."""
        key = facts.key
        applied = Applied()
        self._ledger.entry(key).turn.note_generation(facts.generation)
        if not is_decision(facts.status, plan.status):
            # An object that is not wanted any more, or exists, is refused no more.
            wanted = {
                *map(_identity, plan.creates),
                *(f"Pod/{change.name}" for change in plan.pods),
                *(f"Deployment/{scale.name}" for scale in plan.scales),
                *(f"MLModelVersion/{learned.name}" for learned in plan.learned),
                *(f"{delete.kind}/{delete.name}" for delete in plan.deletes),
            }
            self._ledger.entry(key).turn.keep_refusals(wanted)
        for create in plan.creates:
            await self._create(facts, create, applied)
            if applied.looks_anew:
                return applied
        writer, wrote = self._writer, partial(self._write, facts, applied)
        for repair in plan.repairs:
            await self._repair(model, facts, repair)
        for change in plan.pods:
            await wrote(f"Pod/{change.name}", writer.set_service(key, change))
        for scale in plan.scales:
            version = facts.version(scale.name)
            is_down = version is not None and scale.replicas < version.replicas
            await wrote(f"Deployment/{scale.name}", writer.scale(key, scale, is_down=is_down))
        await self._learn(facts, plan, wrote)
        for delete in plan.deletes:
            is_done = await wrote(f"{delete.kind}/{delete.name}", writer.delete(key, delete))
            if is_done and delete.event:
                self._events.publish(model, EventFact("Warning", delete.event, delete.why[:900]))
        applied.writes += len(plan.repairs)
        return applied

    async def _learn(
        self, facts: ModelFacts, plan: Plan, wrote: Callable[..., Awaitable[bool]]
    ) -> None:
        """Write what is new of the versions.

        A CRD of an earlier release drops the image: writing it again would never end.
        """
        images = self._ledger.entry(facts.key).turn.images
        for learned in plan.learned:
            version, name = facts.version(learned.name), learned.name
            is_other = version is None or version.outcome != learned.outcome
            if (is_other or images.get(name) != learned.image_id) and await wrote(
                f"MLModelVersion/{name}", self._writer.learn(facts.key, learned)
            ):
                images[name] = learned.image_id

    async def _write(
        self, facts: ModelFacts, applied: Applied, identity: str, write: Coroutine[Any, Any, None]
    ) -> bool:
        """Make one write, and return whether it was made.

        A refusal stops neither the rest of the plan nor the status. It is tried again with pauses.
        """
        memory = self._ledger.entry(facts.key).turn
        if self._is_paused(memory, identity, applied):
            write.close()
            return False
        applied.writes += 1
        try:
            await write
        except (Refused, Forbidden) as error:
            self._refuse(memory, identity, error, applied)
            return False
        memory.refused.pop(identity, None)
        return True

    def _is_paused(self, memory: TurnMemory, identity: str, applied: Applied) -> bool:
        pause = memory.pause_seconds(identity, self._monotonic())
        if pause:
            applied.wait(pause)
        return pause > 0

    def _refuse(
        self,
        memory: TurnMemory,
        identity: str,
        error: ModelfleetError,
        applied: Applied,
        reason: Reason = Reason.WRITE_REFUSED,
    ) -> None:
        memory.note_refusal(identity, error, self._monotonic(), reason)
        pause = memory.pause_seconds(identity, self._monotonic())
        log.warning("write refused", object=identity, error=str(error), again_seconds=pause)
        applied.wait(pause)

    async def _repair(self, model: Json, facts: ModelFacts, repair: Repair) -> None:
        """Set back changed fields: first ours alone, then the whole part with additions of others.

        Where admission refuses the repair, or makes the same object again, that edition is left as
        it is: a fight would never end, and would keep everything else from being done.
        """
        left_edition, because = None, "each repair is undone"
        try:
            live = await self._writer.repair(facts.key, repair)
            if first_difference(repair.manifest, live) is not None:
                live = await self._writer.replace(facts.key, repair)
            if first_difference(repair.manifest, live) is not None:
                left_edition = edition(live)
        except (Refused, Forbidden) as refusal:
            left_edition, because = repair.edition, f"the repair is refused: {refusal}"
        reason, text = "Repaired", repair.why
        if left_edition is not None:
            identity = f"{repair.manifest['kind']}/{repair.manifest['metadata']['name']}"
            self._ledger.entry(facts.key).turn.unmoved[identity] = left_edition
            reason, text = "ForeignEdit", f"{repair.why}; it is left so: {because}"
        self._events.publish(model, EventFact("Warning", reason, text[:900]))

    async def _create(self, facts: ModelFacts, create: Create, applied: Applied) -> None:
        """Create one object; a refusal must not stop the rest of the plan."""
        identity = _identity(create)
        entry = self._ledger.entry(facts.key)
        if self._is_paused(entry.turn, identity, applied):
            return
        applied.writes += 1
        try:
            await self._writer.create(facts.key, facts.uid, create)
        except NameTaken as taken:
            entry.turn.taken[f"{taken.kind}/{taken.name}"] = self._monotonic()
            applied.looks_anew = True
        except (Refused, Forbidden) as error:
            self._refuse(entry.turn, identity, error, applied, Reason.CREATE_REFUSED)
        except Transient as error:
            now = self._monotonic()
            entry.turn.note_refusal(identity, error, now, Reason.CREATE_REFUSED)
            applied.failure = error
        else:
            entry.turn.refused.pop(identity, None)
            applied.looks_anew = create.manifest["kind"] == names.VERSION_KIND

    async def _publish(
        self, entry: Entry, model: Json, plan: Plan, facts: ModelFacts
    ) -> tuple[tuple[str, ...], float | None]:
        """Write the status at most once a second, decisions at once; then post the events."""
        newest = self._models.get(facts.key.namespace, facts.key.name) or model
        since = self._monotonic() - entry.turn.status_at
        if not is_decision(facts.status, plan.status) and since < STATUS_SECONDS:
            return (), STATUS_SECONDS - since
        if newest["metadata"].get("generation") != facts.generation:
            return (), 0.0
        changed_fields = await self._writer.publish_status(newest, plan.status)
        if changed_fields:
            entry.turn.status_at = self._monotonic()
            for event in plan.events:
                self._events.publish(model, event)
        return changed_fields, None


def _identity(create: Create) -> str:
    return f"{create.manifest['kind']}/{create.manifest['metadata']['name']}"


def _soonest(*times: float | None) -> float | None:
    known = [t for t in times if t is not None]
    return min(known) if known else None
