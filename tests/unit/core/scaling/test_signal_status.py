"""What a status says of signals, schedules and bounds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.core.model.decide import decide
from modelfleet.core.scaling.signal_status import signals_of
from modelfleet.facts.model import ModelFacts
from modelfleet.facts.readings import Reading, SignalFault, SignalSpec
from modelfleet.facts.scaling import Ask, Grant
from tests.given import NOW, a_model, spec_of

SIGNALS = [
    {"name": "lag", "query": "sum(lag)", "target": "500m"},
    {"name": "queue", "metric": "QueueDepth", "target": 4},
]
LAG = SignalSpec("lag", 0.5, query="sum(lag)")
QUEUE = SignalSpec("queue", 4.0, metric="QueueDepth")
MANY = SignalFault(Reason.MANY_SERIES, "wrap it in sum()")
STALE = SignalFault(Reason.STALE_SIGNAL, "see the log")
# NOW is a Tuesday, 12:00 UTC.
OPEN = {"name": "noon", "start": "0 11 * * *", "end": "0 13 * * *", "minReplicas": 3}


def facts(readings: tuple[Reading, ...] = (), **scaling: object) -> ModelFacts:
    given = a_model().asking(scaling={"signals": SIGNALS, **scaling}).serving(2).facts()
    return replace(given, readings=readings, metrics_fresh=True)


def claim(given: ModelFacts, kind: str) -> tuple[str, str, str]:
    conditions = decide(given).status.conditions
    return next((c.status, c.reason, c.message) for c in conditions if c.type == kind)


def test_signals_are_values():
    assert signals_of(facts().spec) == (LAG, QUEUE)


@pytest.mark.parametrize(
    ("readings", "status", "reason", "words"),
    [
        ((Reading(LAG, 1.0, True), Reading(QUEUE, 1.0, True)), "True", "Sampled", ""),
        (
            (Reading(LAG, fault=MANY), Reading(QUEUE, 1.0, True)),
            "False",
            "ManySeries",
            "signal 'lag': wrap it in sum(); the last number is kept",
        ),
        (
            (Reading(LAG, fault=MANY), Reading(QUEUE, fault=STALE)),
            "False",
            "ManySeries",
            "signal 'lag': wrap it in sum(); signal 'queue': see the log",
        ),
        ((Reading(LAG, is_known=False), Reading(QUEUE, is_known=False)), "True", "Sampled", ""),
    ],
    ids=["well", "one", "both", "not-yet"],
)
def test_condition_names_the_signal_and_what_to_do(readings, status, reason, words):
    found = claim(facts(readings), "MetricsAvailable")
    assert found[:2] == (status, reason)
    assert words in found[2]


def test_silent_gateway_is_said_first():
    given = replace(facts((Reading(LAG, fault=MANY),)), metrics_fresh=False)
    assert claim(given, "MetricsAvailable")[1] == "NoSamples"


def test_new_leader_says_what_was_said_until_it_knows():
    wrong = decide(facts((Reading(LAG, fault=MANY), Reading(QUEUE, 1.0, True)))).status
    unknown = facts(tuple(Reading(spec, is_known=False) for spec in (LAG, QUEUE)))
    for readings in (unknown.readings, ()):
        kept = claim(replace(unknown, status=wrong, readings=readings), "MetricsAvailable")
        assert kept[1] == "ManySeries"
    well = facts((Reading(LAG, 1.0, True), Reading(QUEUE, 1.0, True)))
    assert claim(replace(well, status=wrong), "MetricsAvailable")[0] == "True"


def test_readings_of_another_spec_say_nothing():
    old = Reading(SignalSpec("lag", 0.5, query="old"), fault=MANY)
    assert claim(facts((old, Reading(QUEUE, 1.0, True))), "MetricsAvailable")[0] == "True"


def test_same_facts_write_nothing_the_second_time():
    given = facts((Reading(LAG, fault=MANY), Reading(QUEUE, 7.0, True)))
    first = decide(given).status
    again = replace(given, status=first, readings=(given.readings[0], Reading(QUEUE, 9.0, True)))
    assert decide(replace(again, now=NOW + timedelta(seconds=30))).status == first


def test_signals_without_gateway_are_said_to_be_ignored():
    given = facts()
    alone = replace(given, gateways=replace(given.gateways, is_used=False))
    assert claim(alone, "MetricsAvailable")[0] == "False"


def granted(given: ModelFacts) -> int:
    scaling = decide(given).status.scaling
    assert scaling is not None
    return scaling.granted


def test_window_raises_the_grant_at_once_and_says_why():
    ask, grant = Ask(2, 1, 10, ("20 requests/s",)), Grant(2, ("20 requests/s",))
    given = replace(facts(schedules=[OPEN], signals=None), ask=ask, grant=grant)
    scaling = decide(given).status.scaling
    assert scaling is not None
    assert scaling.granted == 3
    assert scaling.why[0] == "schedule 'noon': minReplicas 3"
    before = replace(given, now=NOW - timedelta(hours=2))
    assert granted(before) == 2
    assert decide(before).look_again_seconds == 600
    close = replace(given, now=NOW - timedelta(seconds=3630))
    assert decide(close).look_again_seconds == 30


def test_window_lowers_the_maximum():
    given = facts(schedules=[OPEN | {"minReplicas": 1, "maxReplicas": 1}], signals=None)
    assert granted(given) == 1


def test_windows_alone_move_the_number_where_nobody_measures():
    given = facts(schedules=[OPEN], signals=None)
    alone = replace(given, gateways=replace(given.gateways, is_used=False), metrics_fresh=None)
    opened = decide(alone).status
    assert opened.scaling is not None
    assert (opened.scaling.granted, opened.scaling.why) == (3, ["schedule 'noon': minReplicas 3"])
    later = replace(alone, status=opened, now=NOW + timedelta(hours=2))
    assert granted(later) == 1


def test_replicas_set_by_others_are_not_explained_by_a_window():
    given = facts(schedules=[OPEN], signals=None)
    assert given.spec is not None
    others = given.spec.model_copy(update={"replicas": 3})
    ask, grant = Ask(2, 1, 10, ("20 requests/s",)), Grant(2, ("20 requests/s",))
    scaling = decide(replace(given, spec=others, ask=ask, grant=grant)).status.scaling
    assert scaling is not None
    assert scaling.why[0] == "20 requests/s"


def test_planned_raise_is_not_unready():
    assert claim(facts(schedules=[OPEN], signals=None), "Ready")[:2] == ("True", "Serving")


def test_window_that_allows_zero_is_idle():
    window = OPEN | {"minReplicas": 0}
    given = replace(facts(schedules=[window], signals=None), grant=Grant(0, ("quiet",)))
    assert claim(given, "Ready")[:2] == ("True", "Idle")


def test_contradicting_windows_keep_the_model_running_and_are_said():
    other = {**OPEN, "name": "cap", "minReplicas": 0, "maxReplicas": 1}
    given = facts(schedules=[OPEN, other], signals=None)
    assert granted(given) == 3
    status, reason, text = claim(given, "ScalingActive")
    assert (status, reason) == ("True", "SchedulesConflict")
    assert "'noon' and 'cap'" in text
    assert claim(given, "Ready")[0] == "True"


def test_window_that_cannot_be_read_stalls_and_what_serves_goes_on():
    given = facts(schedules=[OPEN | {"timezone": "Moon/Sea"}], signals=None)
    status, reason, text = claim(given, "Stalled")
    assert (status, reason) == ("True", "InvalidSpec")
    assert "scaling.schedules 'noon': timezone 'Moon/Sea'" in text
    assert decide(given).targets == {"digits-v1": 2}


def test_rollout_above_the_maximum_says_so():
    given = (
        a_model()
        .asking(scaling={"maxReplicas": 2})
        .serving(2)
        .wanting_next(2, replicas=2, ready=1)
        .facts()
    )
    rollout = decide(given).status.rollout
    assert rollout is not None
    assert "both versions together have more than scaling.maxReplicas 2" in rollout.why
    wide = replace(given, spec=given.spec.model_copy(update={"scaling": spec_of().scaling}))
    rollout = decide(wide).status.rollout
    assert rollout is not None
    assert "together" not in rollout.why
