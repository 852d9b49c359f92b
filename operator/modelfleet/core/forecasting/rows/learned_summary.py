"""What was learned of a model in short: rounded, small enough for a status, the start of the next.

Made from a row and read back by `memory.learned_status`. A new leader without a file begins with
it. Must never be trusted: anybody with rights on the status can have written it.
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
"""Of a regression between logarithms; a larger one is no forecast of anything."""
MOVED_SERVICE, MOVED_FORECAST, MOVED_DIAL = 1.25, 0.25, 2.0
"""Factor of the service time, difference of the logarithm of a forecast, factor of the dial."""
_COMPARED: Final = slice(2, 8)
"""Of TAUS 50 % to 96 %: those beyond are decided by few moments and differ from fit to fit."""
_SHAPE: Final = (2, FEATURES, len(TAUS))


@dataclass(frozen=True, slots=True)
class LearnedSummary:
    """Service time, risk and floor of the chosen candidate, forecasts, slots."""

    service_seconds: float
    risk: float
    floor: float
    coefficients: Coefficients
    slots: int | None = None
    """Requests at once that a replica was found good for; None: as many as was said."""

    def candidate(self, bank: Dials) -> int | None:
        """The candidate of a bank that is nearest in floor, then in risk; None without any."""
        floors = np.abs(bank.floor - self.floor)
        is_like = floors <= np.min(floors) + 1e-6
        far = np.abs(np.log(np.where(is_like, bank.risk, np.inf) / self.risk))
        best = int(np.argmin(far))
        return best if far[best] <= math.log(MOVED_DIAL) else None

    def to_status(self) -> dict[str, Any]:
        """As the fields of a version's `status.learned`, without the time of writing."""
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


def summary_of(fleet: Policy, row: int) -> LearnedSummary | None:
    """What a row has learned; None while it is too young or has no fit of its own."""
    service, warm = fleet.services[row], fleet._warm[row]
    if service is None or warm is None or fleet.present.age[row] < MIN_AGE_BINS:
        return None
    if not (np.abs(warm.stacked()) <= MAX_COEFFICIENT).all():
        # Its reader would not take it.
        return None
    chosen = int(fleet.choice.chosen[row])
    return LearnedSummary(
        service_seconds=rounded_figures(service.service_seconds),
        risk=float(fleet.bank.risk[chosen]),
        floor=float(fleet.bank.floor[chosen]),
        coefficients=warm,
    )


def rounded_figures(seconds: float) -> float:
    """On the grid: 0.099 s and 0.104 s are both 0.102 s."""
    exponent = round(math.log(max(seconds, 1e-3)) / math.log(GRID))
    return float(min(max(GRID**exponent, 1e-3), MAX_SERVICE_SECONDS))


def is_moved(
    old: LearnedSummary, new: LearnedSummary, x: Floats, *, counts_dial: bool = True
) -> bool:
    """Whether the new one is worth a write; `x` (20,) are the model's features of now.

    Under steady traffic each fit differs a little from the one before, and neighbours in the bank
    take turns: neither is news. Candidates of equal cost can lie far apart, so the dial counts
    (`counts_dial`) more rarely than the rest.
    """
    factor = new.service_seconds / old.service_seconds
    if not 1 / MOVED_SERVICE < factor < MOVED_SERVICE:
        return True
    if _slots_moved(old.slots, new.slots, counts_dial=counts_dial):
        return True
    if counts_dial and not 1 / MOVED_DIAL <= new.risk / old.risk <= MOVED_DIAL:
        return True
    both = np.stack([one.coefficients.stacked() for one in (old, new)])
    before, after = predict(np.stack((x, x)), both).transpose(1, 0, 2)
    return bool(np.abs(after - before)[:, _COMPARED].max() > MOVED_FORECAST)


def _slots_moved(old: int | None, new: int | None, *, counts_dial: bool) -> bool:
    """Neighbouring levels take turns, and so may the first below the hint and the hint itself."""
    if old is None or new is None:
        return counts_dial and old is not new
    return abs(bisect.bisect(CONCURRENCY_LEVELS, old) - bisect.bisect(CONCURRENCY_LEVELS, new)) > 1


def read_summary(body: Mapping[str, Any]) -> LearnedSummary:
    """A lesson from `status.learned`; ValueError with what is wrong with it."""
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
    found = body.get(name)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= most:
        msg = f"{name} is {str(found)[:20]}"
        raise ValueError(msg)
    return found


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
    found = np.frombuffer(codes, dtype="<f2").astype(np.float32).reshape(_SHAPE)
    if not (np.abs(found) <= MAX_COEFFICIENT).all():
        msg = f"a coefficient is above {MAX_COEFFICIENT:g} or no number"
        raise ValueError(msg)
    return Coefficients(found[0].copy(), found[1].copy())
