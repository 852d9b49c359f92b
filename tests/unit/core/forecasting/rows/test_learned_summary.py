"""What was learned in short: written, read back, and not believed blindly."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.api.mlmodelversion import Learned
from modelfleet.core.forecasting.constants import HOUR_BINS, SHIPPED, TAUS
from modelfleet.core.forecasting.dials.dials import Dials
from modelfleet.core.forecasting.features.whole import FEATURES
from modelfleet.core.forecasting.model_figures import ModelFigures
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.regression import Coefficients, uninformed
from modelfleet.core.forecasting.rows.learned_summary import (
    LearnedSummary,
    is_moved,
    read_summary,
    rounded_seconds,
    summary_of,
)
from modelfleet.core.forecasting.rows.transfer import skip, unseen

BANK = Dials(SHIPPED)
X = np.array([1.0] + [0.1] * (FEATURES - 1), dtype=np.float32)


def lesson(scale: float = 1.0, **change: object) -> LearnedSummary:
    chance = np.random.default_rng(3)
    start, keep = chance.normal(0, scale, (2, FEATURES, len(TAUS))).astype(np.float32)
    return replace(LearnedSummary(0.104, 0.009, 0.5, Coefficients(start, keep)), **change)


def test_status_round_trip():
    told = lesson()
    found = read_summary(told.to_status())
    assert found.service_seconds == told.service_seconds
    assert (found.risk, found.floor) == (0.009, 0.5)
    assert np.allclose(found.coefficients.start, told.coefficients.start, rtol=1e-3, atol=1e-6)
    assert not is_moved(told, found, X)
    assert found.dial(BANK) == lesson().dial(BANK)


def test_status_fits_the_schema():
    body = {**lesson(risk=0.45).to_status(), "time": "2026-01-01T00:00:00+00:00"}
    assert Learned.model_validate(body).risk_per_million == 450_000
    assert len(body["coefficients"]) == 1280
    assert Learned.model_validate({**body, "slots": 6}).slots == 6
    assert "slots" not in body, "as many as was said"


@pytest.mark.parametrize("dial", range(Dials(SHIPPED).size))
def test_every_dial_comes_back(dial):
    told = lesson(risk=float(BANK.risk[dial]), floor=float(BANK.floor[dial]))
    assert read_summary(told.to_status()).dial(BANK) == dial


def test_dial_that_no_setting_has_is_none():
    assert lesson(risk=1e-6).dial(BANK) is None
    assert lesson(risk=0.01).dial(BANK) is not None, "the nearest"


def codes(**change: float) -> str:
    table = np.zeros((2, FEATURES, len(TAUS)), dtype="<f2")
    table[0, 0, 0] = change.get("first", 0.0)
    return base64.b64encode(table.tobytes()[: int(change.get("length", 960))]).decode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "format"),
        ({"format": None}, "format"),
        ({"serviceMilliseconds": 0}, "serviceMilliseconds"),
        ({"serviceMilliseconds": "100"}, "serviceMilliseconds"),
        ({"serviceMilliseconds": True}, "serviceMilliseconds"),
        ({"serviceMilliseconds": 10**12}, "serviceMilliseconds"),
        ({"riskPerMillion": -1}, "riskPerMillion"),
        ({"riskPerMillion": None}, "must be set"),
        ({"floorPercent": 101}, "floorPercent"),
        ({"slots": 0}, "slots"),
        ({"slots": 1025}, "slots"),
        ({"slots": 4.0}, "slots"),
        ({"coefficients": None}, "missing"),
        ({"coefficients": "§"}, "base64"),
        ({"coefficients": codes(length=958)}, "bytes"),
        ({"coefficients": codes(first=np.nan)}, "no number"),
        ({"coefficients": codes(first=np.inf)}, "no number"),
        ({"coefficients": codes(first=60_000)}, "above"),
    ],
)
def test_garbled_values_are_named(change, why):
    with pytest.raises(ValueError, match=why):
        read_summary({**lesson().to_status(), **change})


VALUES = st.none() | st.text(max_size=8) | st.integers()


@given(st.dictionaries(st.sampled_from(sorted(lesson().to_status())), VALUES, max_size=2))
def test_anything_is_read_or_refused(change):
    body = {**lesson().to_status(), **change}
    try:
        read_summary(body)
    except ValueError:
        assert change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"service_seconds": 0.12}, False),
        ({"service_seconds": 0.14}, True),
        ({"risk": 0.006}, False),
        ({"risk": 0.002}, True),
        ({"slots": 6}, True),
    ],
)
def test_news(change, expected):
    assert is_moved(lesson(), lesson(**change), X) is expected


@pytest.mark.parametrize(
    ("old", "new", "within_a_day", "expected"),
    [
        (6, 6, True, False),
        (6, 8, False, False),
        (6, 4, False, False),
        (6, 12, True, True),
        (6, 3, True, True),
        (None, 3, True, False),
        (None, 3, False, True),
        (6, None, False, True),
    ],
)
def test_slots_are_news_when_they_are_two_levels_away(old, new, within_a_day, expected):
    told, now = lesson(slots=old), lesson(slots=new)
    assert is_moved(told, now, X, counts_dial=not within_a_day) is expected


def test_slots_come_back_from_a_status():
    assert read_summary(lesson(slots=6).to_status()).slots == 6
    assert read_summary(lesson().to_status()).slots is None


def test_forecast_is_news_when_it_differs_where_the_model_is():
    base = lesson(0.1)
    start = base.coefficients.start.copy()
    start[0] += 0.2
    assert not is_moved(base, replace(base, coefficients=Coefficients(start, start)), X * 0)
    near = replace(base, coefficients=replace(base.coefficients, start=start))
    assert not is_moved(base, near, X)
    start[0] += 0.1
    assert is_moved(base, near, X)


def test_service_times_are_rounded_to_five_percent():
    assert rounded_seconds(0.104) == rounded_seconds(0.099) == pytest.approx(0.102, abs=0.001)
    for seconds in (0.0123, 0.7, 33.0):
        assert rounded_seconds(seconds) == pytest.approx(seconds, rel=0.05)


def test_young_model_has_no_lesson():
    fleet = Policy(1, SHIPPED)
    fleet.adopt(0, ModelFigures(60, 5, 8, 2), uninformed())
    skip(fleet, np.full((HOUR_BINS, 1), 20, dtype=np.float32))
    assert summary_of(fleet, 0) is None, "it has no fit yet"
    fleet.learn(0, uninformed())
    found = summary_of(fleet, 0)
    assert found is not None
    assert found.service_seconds == pytest.approx(2, rel=0.05)
    fleet.live.age[0] = HOUR_BINS - 1
    assert summary_of(fleet, 0) is None


def test_recalled_dial_is_followed_until_the_model_is_known():
    def lived(recalled: int, violates: bool) -> list[int]:
        fleet = Policy(1, SHIPPED)
        fleet.adopt(0, ModelFigures(60, 5, 8, 2, 0.05), uninformed())
        fleet.choice.recalled[0] = recalled
        found = []
        for _ in range(300):
            wanted = fleet.step(unseen(np.full(1, 20, dtype=np.float32)))
            if violates:
                fleet.choice.violated[0, recalled] += 20
            found.append(int(wanted.dial[0]))
        return found

    bold = int(np.flatnonzero(BANK.risk == np.float32(0.4))[0])
    assert set(lived(bold, violates=False)) == {bold}
    cautious = lived(-1, violates=False)
    assert set(cautious[:240]) != {bold}
    broken = lived(bold, violates=True)
    assert set(broken[:239]) == {bold}
    assert bold not in broken[245:], "its own violations are known by then"
