"""Summary of what was learned of a model: rounded, and small enough for a status.

`memory.learned_status` writes it to `status.learned` and reads it back; a new leader without a
memory file starts with it. Must never be trusted: any client with rights on the status can have
written it.
"""

import base64
import binascii
import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from modelfleet.core.forecasting.constants import HOUR_BINS, TAUS
from modelfleet.core.forecasting.dials.dials import Dials
from modelfleet.core.forecasting.features.whole import FEATURES, Floats
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.quantiles.regression import Coefficients, predict
from modelfleet.facts.scaling import CONCURRENCY_LEVELS

FORMAT: Final = 1
GRID: Final = 1.1
"""Service times are rounded to powers of this: within 5 %."""
MIN_AGE_BINS: Final = HOUR_BINS
MAX_SERVICE_SECONDS: Final = 86_400.0
MAX_COEFFICIENT: Final = 50.0
"""Bound of a coefficient between logarithms; a larger one cannot be from a fit."""
MOVED_SERVICE, MOVED_FORECAST, MOVED_DIAL = 1.25, 0.25, 2.0
"""Changes that are worth a write: factor of the service time, difference of a forecast's logarithm,
factor of the risk."""
_COMPARED: Final = slice(2, 8)
"""Of TAUS 50 % to 96 %: few moments decide the levels beyond, which differ from fit to fit."""
_SHAPE: Final = (2, FEATURES, len(TAUS))


@dataclass(frozen=True, slots=True)
class LearnedSummary:
    """Service time, risk and floor of the chosen dial, forecasts, concurrency."""

    service_seconds: float
    risk: float
    floor: float
    coefficients: Coefficients
    slots: int | None = None
    """Learned concurrency of a replica; None: the spec's or the default value."""

    def dial(self, dials: Dials) -> int | None:
        """Return the nearest dial in floor, then in risk; None without a near one."""
        floors = np.abs(dials.floor - self.floor)
        is_like = floors <= np.min(floors) + 1e-6
        distance = np.abs(np.log(np.where(is_like, dials.risk, np.inf) / self.risk))
        best = int(np.argmin(distance))
        return best if distance[best] <= math.log(MOVED_DIAL) else None

    def to_status(self) -> dict[str, Any]:
        """Return the fields of a version's `status.learned`, without the time of writing."""
        codes = self.coefficients.stacked().astype("<f2").tobytes()
        body: dict[str, Any] = {
            "format": FORMAT,
            "serviceMilliseconds": max(1, round(self.service_seconds * 1000)),
            "riskPerMillion": round(self.risk * 1_000_000),
            "floorPercent": round(self.floor * 100),
            "coefficients": base64.b64encode(codes).decode(),
        }
        if self.slots is not None:
            body["slots"] = self.slots
        return body


def summary_of(policy: Policy, row: int) -> LearnedSummary | None:
    """Return the summary of a row; None while it is too young or has no fit of its own."""
    figures, warm = policy.figures[row], policy._warm[row]
    if figures is None or warm is None or policy.live.age[row] < MIN_AGE_BINS:
        return None
    if not (np.abs(warm.stacked()) <= MAX_COEFFICIENT).all():
        # A reader would refuse these coefficients.
        return None
    chosen = int(policy.choice.chosen[row])
    return LearnedSummary(
        service_seconds=rounded_seconds(figures.service_seconds),
        risk=float(policy.dials.risk[chosen]),
        floor=float(policy.dials.floor[chosen]),
        coefficients=warm,
    )


def rounded_seconds(seconds: float) -> float:
    """Return seconds on the grid: 0.099 s and 0.104 s are both 0.102 s."""
    exponent = round(math.log(max(seconds, 1e-3)) / math.log(GRID))
    return float(min(max(GRID**exponent, 1e-3), MAX_SERVICE_SECONDS))


def is_moved(
    old: LearnedSummary, new: LearnedSummary, x: Floats, *, counts_dial: bool = True
) -> bool:
    """Return whether the new summary is worth a write; `x` (20,) are the model's features of now.

    Under steady traffic each fit differs a little from the one before, and neighbouring dials take
    turns: neither is worth a write. Dials of equal cost can lie far apart, so the dial counts
    (`counts_dial`) more rarely than the rest.
    """
    factor = new.service_seconds / old.service_seconds
    if not 1 / MOVED_SERVICE < factor < MOVED_SERVICE:
        return True
    if _slots_moved(old.slots, new.slots, counts_dial=counts_dial):
        return True
    if counts_dial and not 1 / MOVED_DIAL <= new.risk / old.risk <= MOVED_DIAL:
        return True
    both = np.stack([summary.coefficients.stacked() for summary in (old, new)])
    before, after = predict(np.stack((x, x)), both).transpose(1, 0, 2)
    return bool(np.abs(after - before)[:, _COMPARED].max() > MOVED_FORECAST)


def _slots_moved(old: int | None, new: int | None, *, counts_dial: bool) -> bool:
    """Return whether the concurrency changed by more than one level.

    Neighbouring levels take turns, and so may the level below the spec's value and that value.
    """
    if old is None or new is None:
        return counts_dial and old is not new
    return abs(bisect.bisect(CONCURRENCY_LEVELS, old) - bisect.bisect(CONCURRENCY_LEVELS, new)) > 1


def read_summary(body: Mapping[str, Any]) -> LearnedSummary:
    """Return the summary in `status.learned`; raises ValueError with its first fault."""
    if body.get("format") != FORMAT:
        msg = f"format is {str(body.get('format'))[:20]}, not {FORMAT}"
        raise ValueError(msg)
    service = _number(body, "serviceMilliseconds", MAX_SERVICE_SECONDS * 1000)
    floor = _number(body, "floorPercent", 100)
    risk = _number(body, "riskPerMillion", 1_000_000)
    slots = _number(body, "slots", CONCURRENCY_LEVELS[-1])
    if service is None or floor is None or risk is None:
        msg = "serviceMilliseconds, riskPerMillion and floorPercent must be set"
        raise ValueError(msg)
    return LearnedSummary(
        service_seconds=service / 1000,
        risk=risk / 1_000_000,
        floor=floor / 100,
        coefficients=_coefficients(body.get("coefficients")),
        slots=slots,
    )


def _number(body: Mapping[str, Any], name: str, most: float) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        msg = f"{name} is {str(value)[:20]}"
        raise ValueError(msg)
    return value


def _coefficients(text: object) -> Coefficients:
    if not isinstance(text, str):
        msg = "coefficients are missing"
        raise ValueError(msg)  # noqa: TRY004 - the reader of a status asks for one kind of error
    try:
        codes = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = "coefficients are not base64"
        raise ValueError(msg) from error
    wanted = 2 * math.prod(_SHAPE)
    if len(codes) != wanted:
        msg = f"coefficients are {len(codes)} bytes, not {wanted}"
        raise ValueError(msg)
    coefficients = np.frombuffer(codes, dtype="<f2").astype(np.float32).reshape(_SHAPE)
    if not (np.abs(coefficients) <= MAX_COEFFICIENT).all():
        msg = f"a coefficient is above {MAX_COEFFICIENT:g} or no number"
        raise ValueError(msg)
    return Coefficients(coefficients[0].copy(), coefficients[1].copy())
