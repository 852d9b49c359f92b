"""Schedules: which bounds hold when, in their own time zones, and what is wrong with them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.api.scaling_spec import Scaling, ScalingSchedule
from modelfleet.core.scaling.schedules import bounds, fault

WORK = {"name": "work", "start": "0 8 * * MON-FRI", "end": "0 18 * * MON-FRI", "minReplicas": 4}
LUNCH = {"name": "lunch", "start": "0 12 * * *", "end": "0 13 * * *", "minReplicas": 2}
BERLIN = {"timezone": "Europe/Berlin"}


def scaling(*schedules: dict[str, object], low: int = 1, high: int = 10) -> Scaling:
    return Scaling.model_validate(
        {"minReplicas": low, "maxReplicas": high, "schedules": list(schedules)}
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def found(given: Scaling, moment: str) -> tuple[int, int]:
    now = bounds(given, at(moment))
    return now.low, now.high


# 2026-11-24 is a Tuesday.
@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-24T07:59:59", (1, 10)),
        ("2026-11-24T08:00:00", (4, 10)),
        ("2026-11-24T17:59:59", (4, 10)),
        ("2026-11-24T18:00:00", (1, 10)),
        ("2026-11-28T12:00:00", (1, 10)),
        ("2026-11-30T08:00:01", (4, 10)),
    ],
    ids=["before", "opens", "last-second", "closes", "weekend", "monday"],
)
def test_window_is_open_from_start_to_end(moment, expected):
    assert found(scaling(WORK), moment) == expected


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([WORK, LUNCH], (4, 10)),
        ([WORK | {"maxReplicas": 20}], (4, 20)),
        ([WORK | {"maxReplicas": 8}, LUNCH | {"maxReplicas": 6}], (4, 6)),
        ([LUNCH | {"minReplicas": 0}], (0, 10)),
        ([WORK, LUNCH | {"maxReplicas": 3}], (4, 4)),
        ([LUNCH | {"minReplicas": 12, "maxReplicas": 12}], (12, 12)),
    ],
    ids=["highest-min", "raised-max", "lowest-max", "allows-zero", "contradiction", "above"],
)
def test_open_windows_are_joined(windows, expected):
    assert found(scaling(*windows), "2026-11-24T12:30:00") == expected


def test_contradiction_names_both_windows_and_keeps_the_minimum():
    text = bounds(scaling(WORK, LUNCH | {"maxReplicas": 3}), at("2026-11-24T12:30")).conflict
    assert "'work' and 'lunch'" in text
    assert "the minimum is kept" in text
    assert not bounds(scaling(WORK, LUNCH | {"maxReplicas": 3}), at("2026-11-24T09:30")).conflict


def test_reason_names_the_window():
    now = bounds(scaling(WORK | {"maxReplicas": 8}), at("2026-11-24T12:30"))
    assert now.low_why == "schedule 'work': minReplicas"
    assert now.high_why == "schedule 'work': maxReplicas"


# Clocks in Berlin: 2027-03-28 02:00 becomes 03:00 (01:00 UTC); 2026-10-25 03:00 becomes 02:00.
@pytest.mark.parametrize(
    ("start", "end", "moment", "is_open"),
    [
        ("0 8 * * *", "0 18 * * *", "2026-07-01T06:00", True),
        ("0 8 * * *", "0 18 * * *", "2026-12-01T06:30", False),
        ("0 8 * * *", "0 18 * * *", "2026-12-01T07:00", True),
        ("30 2 * * *", "0 6 * * *", "2027-03-28T00:59", False),
        ("30 2 * * *", "0 6 * * *", "2027-03-28T01:00", True),
        ("0 1 * * *", "30 2 * * *", "2027-03-28T00:59", True),
        ("0 1 * * *", "30 2 * * *", "2027-03-28T01:00", False),
        ("30 2 * * *", "0 6 * * *", "2026-10-25T00:29", False),
        ("30 2 * * *", "0 6 * * *", "2026-10-25T00:30", True),
        ("30 2 * * *", "0 6 * * *", "2026-10-25T01:15", True),
        ("0 1 * * *", "30 2 * * *", "2026-10-25T00:30", False),
        ("0 1 * * *", "30 2 * * *", "2026-10-25T01:15", False),
    ],
)
def test_change_of_the_clocks(start, end, moment, is_open):
    window = {"name": "w", "start": start, "end": end, "minReplicas": 5, **BERLIN}
    assert found(scaling(window), moment) == ((5, 10) if is_open else (1, 10))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("month", [3, 10])
def test_window_opens_once_a_day_around_the_changes(zone, month):
    window = {"name": "w", "start": "30 1 * * *", "end": "30 2 * * *", "minReplicas": 5}
    given = scaling(window | {"timezone": zone})
    now, opened, before = datetime(2026, month, 1, 8, tzinfo=UTC), 0, False
    for _ in range(48 * 40):
        now += timedelta(minutes=30)
        is_open = bounds(given, now).low == 5
        opened += is_open and not before
        before = is_open
    assert opened == 40


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "0 8 * * FOO"}, "start '0 8 * * FOO' is no cron expression: Bad day-of-week"),
        ({"end": "61 8 * * *"}, "end '61 8 * * *' is no cron expression: Bad minute"),
        ({"start": "0 0 31 2 *"}, "Bad day-of-month"),
        ({"start": "* 0 8 * * *"}, "start '* 0 8 * * *' must have five fields"),
        ({"start": "@daily"}, "must have five fields"),
        ({"timezone": "Europe/Bonn"}, "timezone 'Europe/Bonn' must be an IANA name"),
        ({"timezone": "Europe"}, "must be an IANA name"),
        ({"timezone": "../../etc/passwd"}, "must be an IANA name"),
        ({"timezone": "/etc/localtime"}, "must be an IANA name"),
        ({"end": "00 8 * * 1-5"}, "end must differ from start"),
    ],
)
def test_fault_names_the_window_and_its_field(change, words):
    wrong = ScalingSchedule.model_validate(WORK | change)
    text = fault(wrong)
    assert text is not None
    assert text.startswith("scaling.schedules 'work': ")
    assert words in text
    assert found(scaling(WORK | change, LUNCH), "2026-11-24T12:30") == (2, 10), "others go on"


def test_sunday_is_0_and_7():
    seven = ScalingSchedule.model_validate(WORK | {"start": "0 8 * * 7", "end": "0 8 * * 0"})
    assert "must differ" in (fault(seven) or "")


def test_next_look_is_at_the_edge():
    assert bounds(scaling(), at("2026-11-24T07:00")).edge_seconds is None
    assert bounds(scaling(WORK), at("2026-11-24T07:59:30")).edge_seconds == 30
    assert bounds(scaling(WORK), at("2026-11-24T17:58:00")).edge_seconds == 120
    assert bounds(scaling(WORK), at("2026-11-28T12:00")).edge_seconds == 600


CRON = st.builds(
    "{} {} * * {}".format,
    st.integers(0, 59) | st.just("*/15"),
    st.integers(0, 23) | st.just("*"),
    st.sampled_from(["*", "MON-FRI", "SUN", "0,6"]),
)
WINDOW = st.fixed_dictionaries(
    {
        "start": CRON,
        "end": CRON,
        "minReplicas": st.integers(0, 30),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    },
    optional={"maxReplicas": st.integers(1, 30)},
)


@settings(max_examples=200)
@given(
    st.lists(WINDOW, max_size=4),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_bounds_never_cross_and_an_edge_is_never_slept_over(windows, moment):
    named = [{"name": f"w{i}", **window} for i, window in enumerate(windows)]
    given_scaling = scaling(*named)
    now = moment.replace(tzinfo=UTC)
    first = bounds(given_scaling, now)
    assert 0 <= first.low <= first.high
    assert first.high >= 1
    if first.edge_seconds is None:
        return
    just_before = now + timedelta(seconds=max(0.0, first.edge_seconds - 1.0))
    later = bounds(given_scaling, just_before)
    assert (later.low, later.high) == (first.low, first.high)
