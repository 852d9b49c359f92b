"""The signal catalogue. To add one: a file here, a line in SIGNALS, a test beside the others."""

from modelfleet.signals.base import Signal, staffed
from modelfleet.signals.concurrency import ConcurrencySignal
from modelfleet.signals.query import QuerySignal
from modelfleet.signals.rate import RateSignal

SIGNALS: tuple[Signal, ...] = (RateSignal(), ConcurrencySignal(), QuerySignal())

__all__ = ["SIGNALS", "Signal", "staffed"]
